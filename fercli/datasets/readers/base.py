"""What a reader is, and what it yields."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal, Protocol

from fercli.emotions import CONTEMPT, canonical
from fercli.faces.base import Box
from fercli.images import Pixels, is_image_file


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What a call wants of a source, beyond its files.

    Attributes:
        classes: 7, or 8 with contempt.
        votes: Where a source has annotators' votes: the label of the majority, or their distribution as soft target.
        share: Share of the votes that the strongest emotion has to exceed.
        names: Emotion by the source's own word for it (as `word` returns it), before fercli's own list of words; empty
            for what is to be left out.
        met: The words of `names` that a reader has asked about.
        split: The split that all images are to go into, whatever the source says; empty where its own are kept.
        columns: A table's column by what it holds (path, label, split, subject): its name, its number from 1, or `-`.
    """

    classes: Literal[7, 8] = 7
    votes: Literal["majority", "soft"] = "majority"
    share: float = 0.5
    names: dict[str, str] = field(default_factory=dict)
    met: set[str] = field(default_factory=set, compare=False)
    split: str = ""
    columns: dict[str, str] = field(default_factory=dict)

    def emotion(self, name: str) -> str | None:
        """Return the canonical emotion that a source's word stands for, or None."""
        key = word(name)
        if key in self.names:
            self.met.add(key)
            return self.names[key] or None
        return canonical(name)

    def unwanted(self, name: str) -> bool:
        """Tell whether a source's word is one to be left out."""
        return self.names.get(word(name)) == ""


def word(name: str) -> str:
    """Return a source's word for an emotion as it is compared: without case, spaces around it, or composed accents."""
    return unicodedata.normalize("NFC", name.strip()).casefold()


ANY = ImportOptions()
"""Nothing in particular."""


@dataclass(slots=True)
class Item:
    """One image of a source: either its pixels, or the file that holds them.

    Attributes:
        split: train, validation, test; empty where the source has no splits and the import stage is to cut them.
        emotion: Canonical name.
        name: What to call the image, without an ending.
        source: What the source calls it: a path within the source, or its table's name.
        row: Row in the source's table, from 0.
        pixels: uint8 (H, W) or (H, W, 3), where the source is a table.
        file: The image's file, where the source is a folder.
        votes: Annotators' votes by emotion where they are wanted as soft target, `angry:3 neutral:7`.
        subject: The person, where the source names them: they never stand in two splits or folds that fercli cuts.
        frame: Number of the frame in a sequence.
        box: Face in the file's picture (left, top, width, height, pixels), which is then cut out; None: all of it.
        score: What the source says of the box's or the label's certainty.
        problem: Why the item cannot be used (then it is skipped and counted, and `--strict` stops), or empty.
        left_out: Why it is not wanted, where the data set's rules or the call's options leave it out: skipped and
            counted as well, but nothing is wrong with it. Contempt is left out by the import stage.
        counted: Whether it is among the images that `Reader.published` counts.
    """

    split: str
    emotion: str
    name: str
    source: str
    row: int | None = None
    pixels: Pixels | None = None
    file: Path | None = None
    votes: str = ""
    subject: str = ""
    frame: str = ""
    box: Box | None = None
    score: str = ""
    problem: str = ""
    left_out: str = ""
    counted: bool = True


class Reader(Protocol):
    """One published layout.

    Attributes:
        name: What `--format` calls it.
        title: The data set's name for people.
        wants: What the source must hold, in one phrase.
        published: How many images the published set has in each split (`""` where it has no splits), counted before
            any is left out; empty where no number is published.
    """

    name: str
    title: str
    wants: str
    published: ClassVar[dict[str, int]]

    def recognises(self, source: Path, wanted: ImportOptions = ANY) -> bool:
        """Tell, by a quick look, whether `source` has this layout."""
        ...

    def read(self, source: Path, wanted: ImportOptions = ANY) -> Iterator[Item]:
        """Yield the items in the source's own order, one for each image that the source lists, usable or not.

        Raises:
            DataError: the source does not have this layout.
        """
        ...


CONTEMPT_LEFT_OUT = f"{CONTEMPT} (kept by --classes 8)"
"""Why contempt is left out of seven classes."""


def emotion_folders(folder: Path, wanted: ImportOptions = ANY) -> dict[str, Path]:
    """Return the sub-folders whose names are emotions, by name, in order of the names."""
    found = {}
    names = os.listdir(folder) if folder.is_dir() else []
    for name in sorted(name for name in names if not name.startswith(".") and wanted.emotion(name)):
        if (folder / name).is_dir():
            found[name] = folder / name
    return found


def pictures_in(folder: Path) -> Iterator[Path]:
    """Yield the picture files under `folder`, nested folders included, in a fixed order."""
    from fercli.artifacts.digests import walk_files

    return (path for path in walk_files(folder) if is_image_file(path))
