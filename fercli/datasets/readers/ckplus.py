"""CK+ as published: sequences of frames from neutral to the peak, with a one-number file for each labelled sequence.

`cohn-kanade-images/S005/001/S005_001_00000001.png` and `Emotion/S005/001/S005_001_00000011_emotion.txt`. As in papers,
the last three frames of a labelled sequence get its label and the first is neutral; 327 of the 593 sequences have a
label. Frames of one person are alike, so splits and folds keep them together. The frames are uncropped, 640 x 490.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from fercli.datasets.readers.base import ANY, ImportOptions, Item, pictures_in
from fercli.datasets.readers.codes import Codes, Labels, code_of, count_codes
from fercli.errors import DataError
from fercli.files import open_file

EMOTIONS = ("neutral", "angry", "contempt", "disgust", "fear", "happy", "sad", "surprise")
# 0 is defined but labels no sequence.
CODES = Codes(
    "CK+", {str(number): emotion for number, emotion in enumerate(EMOTIONS)}, wholes=(frozenset(range(1, 8)),)
)
"""Emotions by their code in the label files."""
PEAK = 3
"""Number of frames at the end of a sequence that show its emotion."""
SEQUENCES = 327
SUBJECT = re.compile(r"S\d{3}", re.IGNORECASE | re.ASCII)
_LARGEST_LABEL = 1_000


class CkPlus:
    """The published trees of images and labels."""

    name = "ckplus"
    title = "CK+ as sequences"
    expects = "a folder with cohn-kanade-images/S005/001/*.png and Emotion/S005/001/*_emotion.txt"
    published: ClassVar[dict[str, int]] = {"": SEQUENCES * (PEAK + 1)}

    def matches(self, source: Path, options: ImportOptions = ANY) -> bool:
        """Return whether both trees exist."""
        return _trees(source) is not None

    def read(self, source: Path, options: ImportOptions = ANY) -> Iterator[Item]:
        """Yield the frames of the labelled sequences, and one item with the reason for each sequence without any."""
        trees = _trees(source)
        if trees is None:
            raise DataError(f"{source}: CK+ is a folder with cohn-kanade-images/ and Emotion/; both are needed")
        images, labels = trees
        try:
            places = sorted({*_sequences(images), *_sequences(labels)})
            label_codes = Labels(CODES, options)
            label_codes.check(labels, count_codes(_number(_texts(labels / place)) for place in places))
            for place in places:
                yield from _sequence(source, images / place, labels / place, label_codes)
        except OSError as error:
            raise DataError(f"{error.filename or source}: {error.strerror or error}") from error


def _trees(source: Path) -> tuple[Path, Path] | None:
    """Return the folders of images and labels, as named by the archives or common unpackers."""
    images = _below(source, "cohn-kanade-images")
    labels = _below(source, "emotion", "emotion_labels")
    if labels is not None:
        labels = _below(labels, "emotion") or labels
    if images is None or labels is None or not any(_sequences(images)):
        return None
    return images, labels


def _below(folder: Path, *names: str) -> Path | None:
    found = [p for p in sorted(folder.iterdir()) if p.name.lower() in names and p.is_dir()] if folder.is_dir() else []
    return found[0] if found else None


def _sequences(tree: Path) -> list[str]:
    """Return the sequences of a tree, `S005/001`, in order."""
    subjects = [path for path in sorted(tree.iterdir()) if SUBJECT.fullmatch(path.name) and path.is_dir()]
    return [
        f"{subject.name}/{path.name}"
        for subject in subjects
        for path in sorted(subject.iterdir())
        if path.is_dir() and not path.name.startswith(".")
    ]


def _texts(labels: Path) -> list[Path]:
    return sorted(labels.glob("[!.]*.txt")) if labels.is_dir() else []


def _sequence(source: Path, frames: Path, labels: Path, label_codes: Labels) -> Iterator[Item]:
    """Yield a sequence's items: its first frame as neutral, then its last three with the label."""
    within, subject = frames.relative_to(source).as_posix(), frames.parent.name.upper()
    sequence = Item("", "", f"{subject}_{frames.name}", within, subject=subject, counted=False)
    files = list(pictures_in(frames)) if frames.is_dir() else []
    texts = _texts(labels)
    if not texts:
        sequence.left_out = "sequence without a label"
        yield sequence
        return
    number = _number(texts)
    emotion, unknown, sequence.left_out = label_codes.of(number) if number is not None else ("", "label unreadable", "")
    if unknown:
        sequence.problem = unknown if len(texts) == 1 else "several labels"
    elif sequence.left_out:
        pass
    elif not files:
        sequence.problem = "sequence without frames"
    elif len(files) <= PEAK:
        sequence.problem = "sequence too short"
    else:
        for file, shown in [(files[0], "neutral"), *((file, emotion) for file in files[-PEAK:])]:
            name, frame = file.relative_to(source).as_posix(), file.stem.rpartition("_")[2]
            frame = str(int(frame)) if frame.isascii() and frame.isdigit() and len(frame) < 20 else ""
            yield Item("", shown, file.stem, name, file=file, subject=subject, frame=frame)
        return
    yield sequence


def _number(texts: list[Path]) -> str | None:
    """Return the integer in the only label file, such as `3.0000000e+00`, or None."""
    if len(texts) != 1:
        return None
    with open_file(texts[0]) as file:
        content = file.read(_LARGEST_LABEL)
    try:
        return code_of(f"{float(content):.15g}")
    except ValueError:
        return None
