"""The reader protocol and the items that readers yield."""

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
    """The import options that readers take.

    Attributes:
        classes: 7, or 8 with contempt.
        votes: How annotators' votes are used: the majority as the label, or the distribution as a soft target.
        share: Share of the votes that the leading emotion must exceed.
        names: Maps the source's label names (normalised by `word`) to emotions and takes precedence over the built-in
            names; an empty emotion excludes the images.
        seen: The keys of `names` that occurred in the source.
        split: Put all images into this split; empty keeps the source's own splits.
        columns: Maps a column's role (path, label, split, subject) to its name, its number from 1, or `-`.
    """

    classes: Literal[7, 8] = 7
    votes: Literal["majority", "soft"] = "majority"
    share: float = 0.5
    names: dict[str, str] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set, compare=False)
    split: str = ""
    columns: dict[str, str] = field(default_factory=dict)

    def emotion(self, name: str) -> str | None:
        """Return the canonical emotion for a label name of the source, or None."""
        key = word(name)
        if key in self.names:
            self.seen.add(key)
            return self.names[key] or None
        return canonical(name)

    def excluded(self, name: str) -> bool:
        """Return whether a label name of the source is excluded."""
        return self.names.get(word(name)) == ""


def word(name: str) -> str:
    """Normalise a label name for comparison: NFC, case-folded, without surrounding spaces."""
    return unicodedata.normalize("NFC", name.strip()).casefold()


ANY = ImportOptions()
"""The default options."""


@dataclass(slots=True)
class Item:
    """One image of a source, given by its pixels or by its file.

    Attributes:
        split: train, validation or test; empty where the source has no splits and the import stage creates them.
        emotion: Canonical name.
        name: File name for the image, without a suffix.
        source: Path within the source, or the name of its table.
        row: Row in the source's table, from 0.
        pixels: uint8 (H, W) or (H, W, 3), if the source is a table of pixels.
        file: The image file, if the source is a folder.
        votes: Annotators' votes by emotion, `angry:3 neutral:7`, if soft targets are requested.
        subject: The person, if known. Splits and folds that fercli creates never separate a person's images.
        frame: Frame number in a sequence.
        box: Face box (left, top, width, height, in pixels) to crop; None keeps the whole image.
        score: Confidence of the box or the label, as given by the source.
        problem: Why the item cannot be used: it is skipped and counted, and `--strict` stops there. Empty if usable.
        left_out: Why the item is excluded by the dataset's rules or the options: it is skipped and counted, but is not
            an error. The import stage excludes contempt.
        counted: Whether `Reader.published` includes it.
        affect: Valence and arousal as in the index, or two empty texts.
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
    affect: tuple[str, str] = ("", "")


class Reader(Protocol):
    """Reads one published layout.

    Attributes:
        name: Name for `--format`.
        title: Display name of the dataset.
        expects: The files the source must contain, in one phrase.
        published: Number of images in each published split (`""` if there are no splits), before any exclusion; empty
            if no number is published.
    """

    name: str
    title: str
    expects: str
    published: ClassVar[dict[str, int]]

    def matches(self, source: Path, options: ImportOptions = ANY) -> bool:
        """Return whether `source` has this layout, by a quick check."""
        ...

    def read(self, source: Path, options: ImportOptions = ANY) -> Iterator[Item]:
        """Yield one item per image listed in the source, usable or not, in the source's order.

        Raises:
            DataError: the source does not have this layout.
        """
        ...


_HERE = Path()
CONTEMPT_LEFT_OUT = f"{CONTEMPT} (kept by --classes 8)"
"""Why contempt is excluded with seven classes."""


def emotion_folders(folder: Path, options: ImportOptions = ANY) -> dict[str, Path]:
    """Return the sub-folders named after emotions, sorted by name."""
    found = {}
    names = os.listdir(folder) if folder.is_dir() else []
    for name in sorted(name for name in names if not name.startswith(".") and options.emotion(name)):
        if (folder / name).is_dir():
            found[name] = folder / name
    return found


def path_within(source: Path, file: Path) -> str:
    """Return the path of a file relative to a folder; five times as fast as `Path.relative_to`."""
    return file.as_posix()[len(source.as_posix().rstrip("/")) + 1 :] if source != _HERE else file.as_posix()


def pictures_in(folder: Path) -> Iterator[Path]:
    """Yield the image files under `folder` recursively, in a fixed order."""
    from fercli.artifacts.digests import walk_files

    return (path for path in walk_files(folder) if is_image_file(path))
