"""Writing the items of a reader into the data set's folder, and keeping their rows."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar

from fercli.artifacts import link_or_copy
from fercli.datasets.index import Row
from fercli.datasets.names import Names, clean_name, printable
from fercli.datasets.readers import Item
from fercli.datasets.readers.base import CONTEMPT_LEFT_OUT
from fercli.emotions import CONTEMPT
from fercli.errors import ImageError
from fercli.faces.base import Box, Face, in_picture
from fercli.faces.cropping import crop_face
from fercli.images import MISSING, Pixels, encode_png, is_nearly_black, pixel_digest, read_image, suffix_of
from fercli.parallel import in_threads

T = TypeVar("T")
_CHUNK = 64
TO_SPLIT = "to-split"
"""The folder of images whose split is still open."""
LARGEST_FACE = 512
"""Faces are cut out at their box's own size up to this side, pixels; larger ones are reduced."""
LEAST_WITHIN = 0.5
"""Share of a box's area that must lie within the picture: what lies beyond is only its mirror image."""


AS_PNG = frozenset({".heic", ".heif", ".hif"})
"""Endings of files that become PNG, so that the data set can be read without the extra that reads them."""


class Written(NamedTuple):
    """An image that was written: the digest of its pixels, and whether it is nearly black."""

    digest: str
    dark: bool


@dataclass
class Writer:
    """Writes items into the data set's folder and keeps their rows.

    Attributes:
        folder: The data set's.
        strict: Raise at the first item with a problem.
        workers: Threads that write; None for one a core, 0 for none beside the caller's.
        classes: 7, or 8 with contempt.
        split: The split that all go into; empty where the items' own are kept.
        rows: Of the images written, in the items' order.
        skipped: What is left out, by reason.
        found: Images that the source holds, by split, usable or not.
        missing: Images that it lists and does not hold, by split.
        dark: Images in which nothing can be seen.
    """

    folder: Path
    strict: bool
    workers: int | None
    classes: int = 7
    split: str = ""
    rows: list[Row] = field(default_factory=list)
    skipped: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    found: Counter[str] = field(default_factory=Counter)
    missing: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    dark: list[str] = field(default_factory=list)
    _names: Names = field(default_factory=Names)
    _folders: set[str] = field(default_factory=set)

    def take(self, items: Iterable[Item]) -> None:
        """Write items by threads (the codecs let go of the lock), a bounded number ahead; rows in order."""
        chunks = ((chunk, [self._place(item) for item in chunk]) for chunk in _chunks(iter(items), _CHUNK))
        with closing(in_threads(self._write, chunks, self.workers)) as written:
            for chunk, paths, results in written:
                self._keep(chunk, paths, results)

    def _write(self, work: tuple[list[Item], list[str]]) -> tuple[list[Item], list[str], list[Written | ImageError]]:
        chunk, paths = work
        return chunk, paths, _write_all(self.folder, chunk, paths)

    def _keep(self, items: list[Item], paths: list[str], results: list[Written | ImageError]) -> None:
        for item, path, result in zip(items, paths, results, strict=True):
            missing = isinstance(result, ImageError) and result.reason == MISSING
            if missing:
                self.missing[item.split].append(label_of(item))
            elif item.counted:
                self.found[item.split] += 1
            if isinstance(result, ImageError):
                if self.strict and not item.left_out:
                    raise result
                self.skipped[result.reason].append(label_of(item))
            else:
                self.rows.append(_row(path, item, self.split or item.split, result.digest))
                if result.dark:
                    self.dark.append(label_of(item))

    def move(self, row: Row, split: str) -> Row:
        """Move an image to another split; return its row there."""
        old = Path(row.path)
        path = self._names.unique(f"{split}/{row.emotion}/{old.stem}", old.suffix)
        self._make(f"{split}/{row.emotion}")
        (self.folder / row.path).rename(self.folder / path)
        return replace(row, path=path, split=split)

    def remove_empty(self) -> None:
        """Remove the folders that moving has emptied."""
        for folder in sorted(self.folder.glob("*/**/"), reverse=True):
            if not any(folder.iterdir()):
                folder.rmdir()

    def _place(self, item: Item) -> str:
        """Return the item's path in the data set, and make its folder; empty where it is not to be written."""
        if item.emotion == CONTEMPT and self.classes == 7 and not item.problem:
            item.left_out = CONTEMPT_LEFT_OUT
        if item.problem or item.left_out:
            return ""
        folder = f"{self.split or item.split or TO_SPLIT}/{item.emotion}".rstrip("/")
        self._make(folder)
        suffix = suffix_of(item.file) if item.file and item.box is None else ".png"
        suffix = ".png" if suffix in AS_PNG else suffix
        return self._names.unique(f"{folder}/{clean_name(item.name)}", suffix)

    def _make(self, folder: str) -> None:
        if folder not in self._folders:
            (self.folder / folder).mkdir(parents=True, exist_ok=True)
            self._folders.add(folder)


def label_of(item: Item) -> str:
    """Return what people know an item by."""
    return item.source if item.row is None else f"{item.source} row {item.row}"


def _row(path: str, item: Item, split: str, digest: str) -> Row:
    source = printable(item.source)
    return Row(
        path,
        split,
        item.emotion,
        votes=item.votes,
        source=source,
        row="" if item.row is None else str(item.row),
        photograph=source if item.box else "",
        box=" ".join(f"{value:.2f}" for value in item.box or ()),
        score=item.score,
        subject=printable(item.subject),
        frame=item.frame,
        sha256=digest,
    )


def _write_all(folder: Path, items: list[Item], paths: list[str]) -> list[Written | ImageError]:
    """Write items to their paths; return what each one is, or why it cannot be used."""
    results: list[Written | ImageError] = []
    for item, path in zip(items, paths, strict=True):
        try:
            results.append(_write(item, folder / path))
        except ImageError as error:
            results.append(error)
    return results


def _write(item: Item, target: Path) -> Written:
    reason = item.problem or item.left_out
    if reason:
        raise ImageError(reason, f"{label_of(item)}: {reason}")
    pixels = read_image(item.file) if item.file is not None else item.pixels
    assert pixels is not None, "an item without a problem has pixels or a file"
    if item.box is not None:
        pixels = cut_out(pixels, item.box, label_of(item))
    written = Written(pixel_digest(pixels), is_nearly_black(pixels))
    if item.file is not None and item.box is None and suffix_of(item.file) not in AS_PNG:
        link_or_copy(item.file, target)
    else:
        target.write_bytes(encode_png(pixels))
    return written


def cut_out(pixels: Pixels, box: Box, label: str) -> Pixels:
    """Return the face in a box as a square at about the box's own resolution, in the picture's own colour.

    Raises:
        ImageError: half of the box or more lies outside the picture.
    """
    height, width = pixels.shape[:2]
    area = box[2] * box[3]
    seen = in_picture([Face(box, 1.0)], height, width) if area > 0 else []
    if not seen or not seen[0].box[2] * seen[0].box[3] > LEAST_WITHIN * area:
        reason = "face box outside the picture"
        raise ImageError(reason, f"{label}: {reason} ({' '.join(f'{v:g}' for v in box)} in {width} x {height})")
    side = min(max(1, round(max(box[2], box[3]))), LARGEST_FACE)
    return crop_face(pixels, Face(box, 1.0), side, "gray" if pixels.ndim == 2 else "rgb")


def _chunks(items: Iterator[T], size: int) -> Iterator[list[T]]:
    while chunk := list(islice(items, size)):
        yield chunk
