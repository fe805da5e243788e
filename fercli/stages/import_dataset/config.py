"""Options of import."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from fercli.datasets.readers import ImportOptions
from fercli.datasets.readers.base import word
from fercli.datasets.subjects import checked_pattern
from fercli.emotions import CONTEMPT, EMOTIONS, canonical
from fercli.errors import did_you_mean
from fercli.stages.base import Accepts, Cli, StageConfig
from fercli.stages.options import Out, Overwrite, Seed, Strict, Workers

LEAVE_OUT = "-"


def names_of(text: str) -> dict[str, str]:
    """Parse a map of label names to emotions, `anger=angry,laugh=happy`; `word=-` maps to an empty string.

    Raises:
        ValueError: a pair is malformed, its emotion is unknown, or a word has two emotions.
    """
    names: dict[str, str] = {}
    for pair in text.split(","):
        name, equals, target = pair.rpartition("=")
        if not equals or not name.strip() or not target.strip():
            raise ValueError(f"'{pair.strip()}' is not of the form word=emotion, as in anger=angry,laugh=happy")
        emotion = "" if target.strip() == LEAVE_OUT else canonical(target)
        if emotion is None:
            known = [*EMOTIONS, CONTEMPT]
            raise ValueError(f"{did_you_mean('emotion', target.strip(), known)} (or {LEAVE_OUT} to exclude a word)")
        if names.setdefault(word(name), emotion) != emotion:
            raise ValueError(f"'{name.strip()}' is given twice, with different emotions; keep one")
    return names


ROLES = ("path", "label", "split", "subject")


def columns_of(text: str) -> dict[str, str]:
    """Parse a map of column roles to columns, `path=file,label=expression`.

    Raises:
        ValueError: a pair is malformed, its role is unknown, or a role has two columns.
    """
    columns: dict[str, str] = {}
    for pair in text.split(","):
        role, equals, column = (part.strip() for part in pair.partition("="))
        if not equals or not column:
            raise ValueError(f"'{pair.strip()}' is not of the form path=COLUMN,label=COLUMN")
        if role not in ROLES:
            raise ValueError(did_you_mean("column role", role, list(ROLES)))
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
    """Import a published dataset or folders of images."""

    stage: ClassVar[str] = "import"
    kind: ClassVar[str] = "dataset"

    source: Annotated[
        Path,
        Field(description="A published dataset's file or folder, or a folder of images, by emotion or unlabelled."),
        Cli(argument=True, metavar="SOURCE", in_key=False),
    ]
    out: Out = None
    format: Annotated[
        str | None,
        Field(description="Layout of SOURCE, one of --list (default: detected)."),
    ] = None
    classes: Annotated[
        Literal[7, 8],
        BeforeValidator(lambda value: {"7": 7, "8": 8}.get(value, value) if isinstance(value, str) else value),
        Accepts(Literal[7, 8]),
        Field(description="7 emotions (contempt is skipped and counted), or 8 with contempt"),
    ] = 7
    votes: Annotated[
        Literal["majority", "soft"],
        Field(description="Use annotators' votes as one label, or as a soft target"),
    ] = "majority"
    share: Annotated[
        float,
        Field(ge=0, lt=1, description="Share of the votes that the leading emotion (soft: all emotions) must exceed."),
    ] = 0.5
    map: Annotated[
        str | None,
        Field(description="Map label names or codes to emotions: laugh=happy,0=angry; word=- excludes one."),
        AfterValidator(_checked_map),
        Cli(metavar="WORD=EMOTION,…"),
    ] = None
    columns: Annotated[
        str | None,
        Field(
            description="Columns of a table by name or number: path=file,label=3; also split, subject (=- for none)."
        ),
        AfterValidator(_checked_columns),
        Cli(metavar="path=COLUMN,…", added=True),
    ] = None
    folds: Annotated[
        int | None,
        Field(
            ge=2, le=100, description="Assign folds 1 to K to the images outside a published test split, by subject."
        ),
        Cli(metavar="K"),
    ] = None
    split: Annotated[
        Literal["train", "validation", "test"] | None,
        Field(description="Put all images into one split, regardless of the source's splits"),
        Cli(added=True),
    ] = None
    subjects: Annotated[
        str | None,
        Field(
            description="Regular expression whose only group matches the person in an image's path within SOURCE, such "
            r"as '([^/]+)_\d+\.jpg': no person's images are divided between splits or folds."
        ),
        AfterValidator(checked_pattern),
        Cli(metavar="PATTERN", added=True),
    ] = None
    strict: Strict = False
    seed: Seed = 0
    workers: Workers = None
    overwrite: Overwrite = False

    def reader_options(self) -> ImportOptions:
        """Return the options that readers take."""
        names = names_of(self.map) if self.map is not None else {}
        columns = columns_of(self.columns) if self.columns is not None else {}
        return ImportOptions(self.classes, self.votes, self.share, names, split=self.split or "", columns=columns)
