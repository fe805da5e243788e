"""SFEW 2.0: film frames in folders by split and emotion.

`Train/Angry/Airheads_000519240_00000005.png`, `Val/…`, and Test/ whose labels were never published. The aligned faces
are in `Train_Aligned_Faces/` and `Val_Aligned_Faces/` (or …_new), on their own or within Train/ and Val/. Papers report
on Val, so **Val is used as test here** and a validation split is taken from train; if Test/ has been sorted into
emotions, it is the test split and Val is validation. (EmotionNet, section 4.1, instead merges everything and splits it
80/10/10; that is how plain emotion folders are read.)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import ClassVar

from fercli.datasets.readers.base import ANY, ImportOptions, Item, emotion_folders, pictures_in
from fercli.datasets.readers.folders import SPLIT_NAMES, items_of
from fercli.datasets.readers.lists import NO_LABEL
from fercli.errors import DataError

_FRAME = re.compile(r"(?P<film>.+)_[0-9]{9}_(?P<frame>[0-9]{8})")
"""Film, time and frame: a name pattern unique to SFEW, which distinguishes Train/Angry/ from plain folders."""
_WRAPPED = 3
"""Folders inside the archives: Val/Val_Aligned_Faces_new/Val_Aligned_Faces/Angry."""


class Sfew:
    """The whole frames."""

    name = "sfew"
    title = "SFEW 2.0, whole frames, its validation set as test"
    expects = (
        "Train/ and Val/ by emotion with files named Film_000519240_00000005.png; Val becomes test, since no test "
        "labels were published"
    )
    published: ClassVar[dict[str, int]] = {"train": 958, "test": 436}
    _aligned: ClassVar[bool] = False

    def matches(self, source: Path, options: ImportOptions = ANY) -> bool:
        """Return whether the first files of a split are named like SFEW's frames."""
        for split in ("train", "val"):
            folder = self._folder(source, split, options)
            for emotion in emotion_folders(folder, options).values() if folder else ():
                if any(_FRAME.fullmatch(path.stem) for path in islice(pictures_in(emotion), 50)):
                    return True
        return False

    def read(self, source: Path, options: ImportOptions = ANY) -> Iterator[Item]:
        """Yield the frames split by split; those in a Test/ without emotions are items with a problem."""
        found = {split: self._folder(source, split, options) for split in ("train", "val", "test")}
        if not found["train"] and not found["val"]:
            raise DataError(f"{source}: not SFEW's layout; {self.name} expects {self.expects}")
        serves = {"train": "train", "val": "validation" if found["test"] else "test", "test": "test"}
        for split, folder in found.items():
            if folder:
                for item in items_of(source, serves[split], folder, options):
                    if item.file and _is_aligned(source, item.file.parent) is not self._aligned:
                        continue  # Train/ may contain Train_Aligned_Faces/ beside the emotions
                    # All frames of a film show the same actors; SFEW's own splits share no person.
                    if match := _FRAME.fullmatch(item.name):
                        item.subject, item.frame = match["film"], str(int(match["frame"]))
                    yield item
        if not found["test"]:
            yield from self._unlabelled(source)

    def _unlabelled(self, source: Path) -> Iterator[Item]:
        for folder in _named(source, "test"):
            for file in pictures_in(folder):
                if _is_aligned(source, file.parent) is self._aligned:
                    place = file.relative_to(source).as_posix()
                    yield Item("test", "", file.stem, place, file=file, left_out=NO_LABEL, counted=False)

    def _folder(self, source: Path, split: str, options: ImportOptions) -> Path | None:
        """Return the folder with a split's emotion folders, however deeply it is nested."""
        folders = _named(source, split)
        for _ in range(_WRAPPED):
            for folder in folders:
                if _is_aligned(source, folder) is self._aligned and emotion_folders(folder, options):
                    return folder
            folders = [inner for folder in folders for inner in _named(folder, split)]
        return None


class SfewAligned(Sfew):
    """The faces as detected and aligned by the dataset's authors; in some frames they found none."""

    name = "sfew-aligned"
    title = "SFEW 2.0, aligned faces, its validation set as test"
    expects = "Train_Aligned_Faces/ and Val_Aligned_Faces/ by emotion, also within Train/ and Val/; Val becomes test"
    published: ClassVar[dict[str, int]] = {"train": 891, "test": 431}
    _aligned: ClassVar[bool] = True

    def matches(self, source: Path, options: ImportOptions = ANY) -> bool:
        """Return whether a split's folders of aligned faces exist, whose names are unique to SFEW."""
        return any(self._folder(source, split, options) for split in ("train", "val"))


def _is_aligned(source: Path, folder: Path) -> bool:
    return "_aligned_faces" in str(folder.relative_to(source)).lower()


def _named(folder: Path, split: str) -> list[Path]:
    """Return the sub-folders named after a split; Val_Aligned_Faces_new before the older Val_Aligned_Faces."""
    if not folder.is_dir():
        return []
    names = "|".join(name for name, means in SPLIT_NAMES.items() if means == SPLIT_NAMES[split])
    options = re.compile(rf"({names})(_aligned_faces\w*)?", re.IGNORECASE)
    return [path for path in sorted(folder.iterdir(), reverse=True) if options.fullmatch(path.name) and path.is_dir()]
