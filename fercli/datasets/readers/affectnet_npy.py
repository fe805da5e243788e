"""AffectNet as cropped faces with one .npy file per label, the form its authors distribute today.

`train_set/images/0.jpg` (224 px) has its expression in `train_set/annotations/0_exp.npy`, and valence and arousal in
0_val.npy and 0_aro.npy, which count as not annotated where they are missing, or not both in -1..1 (0_lnd, the
landmarks, is not read); `val_set/` likewise. The test labels were never published and papers report on the validation
set, so **the validation set is used as test here**, and a validation split is taken from train.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np

from fercli.datasets.affect import format_affect
from fercli.datasets.readers.affectnet_csv import CODES
from fercli.datasets.readers.base import ANY, ImportOptions, Item
from fercli.datasets.readers.codes import Labels, count_codes
from fercli.datasets.readers.lists import NO_LABEL
from fercli.errors import DataError
from fercli.files import open_file
from fercli.images import MISSING, has_image_suffix

SPLITS: dict[str, str] = {"train_set": "train", "val_set": "test"}
SUFFIX = "_exp.npy"
_AFFECT = ("val", "aro")
MAX_BYTES = 4096
"""Maximum bytes of a label file; numpy writes about 136."""


class AffectNetNpy:
    """train_set/ and val_set/, each with images/ and annotations/."""

    name = "affectnet-npy"
    title = "AffectNet as cropped faces with .npy labels, its validation set as test"
    expects = "train_set/ and val_set/, each with images/ and annotations/*_exp.npy; val_set becomes test"
    # 8 classes; 283,901 and 3,500 (ResEmoteNet's Table I, rounded: 3,499 of the files) without contempt.
    published: ClassVar[dict[str, int]] = {"train": 287_651, "test": 3_999}

    def matches(self, source: Path, options: ImportOptions = ANY) -> bool:
        """Return whether a set with both of its folders exists."""
        return bool(_sets(source))

    def read(self, source: Path, options: ImportOptions = ANY) -> Iterator[Item]:
        """Yield each set in numerical order: every image, and every label whose image is missing."""
        sets = _sets(source)
        if not sets:
            raise DataError(f"{source}: not AffectNet's layout; {self.name} expects {self.expects}")
        labels, codes = Labels(CODES, options), [_read_codes(source / name / "annotations") for name in sets]
        labels.check(source, count_codes(code for each in codes for code in each.values()))
        for name, each in zip(sets, codes, strict=True):
            yield from _items(source / name, name, each, labels)


def _sets(source: Path) -> list[str]:
    return [name for name in SPLITS if (source / name / "images").is_dir() and (source / name / "annotations").is_dir()]


def _read_codes(folder: Path) -> dict[str, str | None]:
    """Return the code by image number, None if its file cannot be read. Each small file is read once."""
    try:
        names = [entry.name for entry in os.scandir(folder) if entry.name.endswith(SUFFIX)]
    except OSError as error:
        raise DataError(f"{error.filename or folder}: {error.strerror or error}") from error
    return {name[: -len(SUFFIX)]: read_code(folder / name) for name in names}


def _items(folder: Path, name: str, codes: dict[str, str | None], labels: Labels) -> Iterator[Item]:
    try:
        pictures = [entry.name for entry in os.scandir(folder / "images") if has_image_suffix(Path(entry.name))]
    except OSError as error:
        raise DataError(f"{error.filename or folder}: {error.strerror or error}") from error
    for picture in sorted(pictures, key=_by_number):
        number = picture.rpartition(".")[0]
        item = Item(SPLITS[name], "", number, f"{name}/images/{picture}", file=folder / "images" / picture)
        code = codes.get(number)
        if code is not None:
            item.emotion, item.problem, item.left_out = labels.of(code)
            if item.emotion:
                item.affect = format_affect(
                    *(_read_number(folder / "annotations" / f"{number}_{s}.npy") for s in _AFFECT)
                )
        else:
            item.problem = "label unreadable" if number in codes else NO_LABEL
        yield item
    for number in sorted(codes.keys() - {picture.rpartition(".")[0] for picture in pictures}, key=_by_number):
        yield Item(SPLITS[name], "", number or "0", f"{name}/annotations/{number}{SUFFIX}", problem=MISSING)


def _by_number(name: str) -> tuple[int, str]:
    """Sort 2.jpg before 10.jpg, and non-numeric names last."""
    stem = name.split(".")[0]
    return (int(stem), name) if stem.isascii() and stem.isdigit() and len(stem) < 19 else (10**19, name)


def _read_number(path: Path) -> float | None:
    """Return the number in an annotation's file, or None if there is no such file, or no number in it."""
    data = _read(path)
    value = None if data is None else parse_value(data)
    try:
        return None if value is None else float(value)
    except ValueError:
        return None


def read_code(path: Path) -> str | None:
    """Return the code in a label file as digits, or None if it cannot be read."""
    data = _read(path)
    return None if data is None else parse_code(data)


def _read(path: Path) -> bytes | None:
    """Return the contents of a small file, or None if it cannot be read."""
    try:
        with open_file(path) as file:
            data = file.read(MAX_BYTES + 1)
    except OSError:
        return None
    return data if len(data) <= MAX_BYTES else None


@lru_cache(maxsize=256)  # few distinct files: eight labels, written by one program
def parse_code(data: bytes) -> str | None:
    """Return the only value of a .npy file (a string or a number) as digits, or None."""
    value = parse_value(data)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int) else None


def parse_value(data: bytes) -> str | float | None:
    """Return the only value of a .npy file if it is a string or a number, or None; nothing is ever unpickled."""
    try:
        file = io.BytesIO(data)
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, kind = read_header(file)
        # Checked before anything is allocated: a header may claim any size.
        if kind.hasobject or kind.itemsize > MAX_BYTES or any(side != 1 for side in shape):
            return None
        value = np.load(io.BytesIO(data), allow_pickle=False).item()
    except Exception:  # damaged headers make numpy raise anything: SyntaxError, TypeError, tokenize.TokenError
        return None
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    return value if isinstance(value, str | int | float) and not isinstance(value, bool) else None
