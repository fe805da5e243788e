"""Options of import."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from fercli.datasets.readers import ImportOptions
from fercli.datasets.readers.base import word
from fercli.emotions import CONTEMPT, EMOTIONS, canonical
from fercli.errors import did_you_mean
from fercli.stages.base import Accepts, Cli, StageConfig
from fercli.stages.import_dataset.subjects import checked_pattern
from fercli.stages.options import Out, Overwrite, Seed, Strict, Workers

LEAVE_OUT = "-"


def names_of(text: str) -> dict[str, str]:
    """Return the emotion by the word that a map gives it, `anger=angry,laugh=happy`; empty for `word=-`.

    Raises:
        ValueError: a pair is none, its emotion is unknown, or a word is given two emotions.
    """
    names: dict[str, str] = {}
    for pair in text.split(","):
        name, equals, target = pair.rpartition("=")
        if not equals or not name.strip() or not target.strip():
            raise ValueError(f"'{pair.strip()}' is no pair word=emotion; write anger=angry,laugh=happy")
        emotion = "" if target.strip() == LEAVE_OUT else canonical(target)
        if emotion is None:
            known = [*EMOTIONS, CONTEMPT]
            raise ValueError(f"{did_you_mean('emotion', target.strip(), known)} (and {LEAVE_OUT} leaves a word out)")
        if names.setdefault(word(name), emotion) != emotion:
            raise ValueError(f"'{name.strip()}' is given twice, with different emotions; keep one")
    return names


ROLES = ("path", "label", "split", "subject")


def columns_of(text: str) -> dict[str, str]:
    """Return a table's column by what it holds, `path=file,label=expression`.

    Raises:
        ValueError: a pair is none, is for something that a table has no column of, or stands there twice.
    """
    columns: dict[str, str] = {}
    for pair in text.split(","):
        role, equals, column = (part.strip() for part in pair.partition("="))
        if not equals or not column:
            raise ValueError(f"'{pair.strip()}' is no pair; write path=COLUMN,label=COLUMN")
        if role not in ROLES:
            raise ValueError(did_you_mean("kind of column", role, list(ROLES)))
        if columns.setdefault(role, column) != column:
            raise ValueError(f"{role} is given twice, with different columns; keep one")
    return columns


def _checked_columns(text: str | None) -> str | None:
    if text is not None:
        columns_of(text)
    return text


def _checked_map(text: str | None) -> str | None:
    if text is not None:
        names_of(text)
    return text


class ImportConfig(StageConfig):
    """What import reads, and how."""

    stage: ClassVar[str] = "import"
    kind: ClassVar[str] = "dataset"

    source: Annotated[
        Path,
        Field(description="A published dataset's file or folder, or a folder of pictures, by emotion or unlabelled."),
        Cli(argument=True, metavar="SOURCE", in_key=False),
    ]
    out: Out = None
    format: Annotated[
        str | None,
        Field(description="Layout of SOURCE, by its name in --list (default: by looking)."),
    ] = None
    classes: Annotated[
        Literal[7, 8],
        BeforeValidator(lambda value: {"7": 7, "8": 8}.get(value, value) if isinstance(value, str) else value),
        Accepts(Literal[7, 8]),
        Field(description="7 emotions, contempt left out and counted, or 8 with contempt"),
    ] = 7
    votes: Annotated[
        Literal["majority", "soft"],
        Field(description="Annotators' votes as one label, or as a distribution to train on"),
    ] = "majority"
    share: Annotated[
        float,
        Field(ge=0, lt=1, description="Share of the votes that the strongest emotion (soft: all kept) has to exceed."),
    ] = 0.5
    map: Annotated[
        str | None,
        Field(description="Emotions of any names or codes: laugh=happy,0=angry; word=- leaves one out."),
        AfterValidator(_checked_map),
        Cli(metavar="WORD=EMOTION,…"),
    ] = None
    columns: Annotated[
        str | None,
        Field(
            description="Columns of a table, by name or number: path=file,label=3; also split, subject (=- for none)."
        ),
        AfterValidator(_checked_columns),
        Cli(metavar="path=COLUMN,…", added=True),
    ] = None
    folds: Annotated[
        int | None,
        Field(ge=2, le=100, description="Give the images outside a published test split folds 1 to K, by subject."),
        Cli(metavar="K"),
    ] = None
    split: Annotated[
        Literal["train", "validation", "test"] | None,
        Field(description="Put all images into one split, whatever the source says"),
        Cli(added=True),
    ] = None
    subjects: Annotated[
        str | None,
        Field(
            description="Regular expression whose one group is the person in a picture's path within SOURCE, such as "
            r"'([^/]+)_\d+\.jpg': no person is cut into two splits or folds."
        ),
        AfterValidator(checked_pattern),
        Cli(metavar="PATTERN", added=True),
    ] = None
    strict: Strict = False
    seed: Seed = 0
    workers: Workers = None
    overwrite: Overwrite = False

    def wanted(self) -> ImportOptions:
        """Return what readers are to know of the options."""
        names = names_of(self.map) if self.map is not None else {}
        columns = columns_of(self.columns) if self.columns is not None else {}
        return ImportOptions(self.classes, self.votes, self.share, names, split=self.split or "", columns=columns)
