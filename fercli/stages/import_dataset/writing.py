"""Writing a reader's items to the dataset's folder and collecting their rows."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

from fercli.artifacts import link_or_copy
from fercli.datasets.index import Row
from fercli.datasets.names import Names, clean_name, printable
from fercli.datasets.readers import Item
from fercli.datasets.readers.base import CONTEMPT_LEFT_OUT
from fercli.emotions import CONTEMPT
from fercli.errors import ImageError
from fercli.faces.base import Box, Face, clip_to_image
from fercli.faces.cropping import crop_face
from fercli.images import MISSING, Pixels, encode_png, is_nearly_black, pixel_digest, read_image, suffix_of
from fercli.parallel import in_threads
from fercli.stages.import_dataset.journal import Journal, Result, Written

T = TypeVar("T")
_CHUNK = 64
TO_SPLIT = "to-split"
"""The folder of images that have no split yet."""
LARGEST_FACE = 512
"""Faces are cropped at the size of their box up to this side, in pixels; larger ones are downscaled."""
LEAST_WITHIN = 0.5
"""Minimum share of a box's area within the image: anything beyond the edge is only mirrored."""


AS_PNG = frozenset({".heic", ".heif", ".hif"})
"""Suffixes of files converted to PNG, so that the dataset can be read without an optional dependency."""


@dataclass
class Writer:
    """Writes items to the dataset's folder and collects their rows.

    Attributes:
        folder: The dataset's folder.
        strict: Raise at the first item with a problem.
        workers: Number of writing threads; None for one per core, 0 for only the caller's.
        classes: 7, or 8 with contempt.
        split: Put all images into this split; empty keeps the items' own splits.
        rows: Rows of the images written, in the order of the items.
        skipped: Skipped images by reason.
        found: Number of images in the source by split, usable or not.
        missing: Images listed in the source but missing, by split.
        dark: Nearly black images.
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

    def write(self, items: Iterable[Item]) -> int:
        """Write items in threads (the codecs release the GIL), with bounded read-ahead and rows in order.

        What an interrupted call has written is not written again.

        Returns:
            The number of items, written or not, that an earlier call had done.
        """
        resumed = 0
        with Journal(self.folder) as journal:
            placed = ((chunk, [self._place(item) for item in chunk]) for chunk in _chunks(iter(items), _CHUNK))
            chunks = ((chunk, paths, journal.take(paths)) for chunk, paths in placed)
            with closing(in_threads(partial(self._write, journal.resumed), chunks, self.workers)) as written:
                for chunk, paths, known, results in written:
                    if known is None:
                        journal.add(paths, results)
                    else:
                        resumed += len(chunk)
                    self._keep(chunk, paths, results)
        return resumed

    def _write(
        self, resumed: bool, work: tuple[list[Item], list[str], list[Result] | None]
    ) -> tuple[list[Item], list[str], list[Result] | None, list[Result]]:
        chunk, paths, known = work
        if known is not None:
            return chunk, paths, known, known
        if resumed:  # an earlier call may have been killed within the chunk
            for path in filter(None, paths):
                (self.folder / path).unlink(missing_ok=True)
        return chunk, paths, None, _write_all(self.folder, chunk, paths)

    def _keep(self, items: list[Item], paths: list[str], results: list[Result]) -> None:
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
        """Remove folders that are empty after moving."""
        for folder in sorted(self.folder.glob("*/**/"), reverse=True):
            if not any(folder.iterdir()):
                folder.rmdir()

    def _place(self, item: Item) -> str:
        """Return the item's path in the dataset and create its folder; an empty path if the item is skipped."""
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
    """Return the name of an item for messages."""
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
        valence=item.affect[0],
        arousal=item.affect[1],
    )


def _write_all(folder: Path, items: list[Item], paths: list[str]) -> list[Result]:
    """Write items to their paths; return the result or the error of each."""
    results: list[Result] = []
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
    """Return the face in a box as a square at about the box's resolution, grey or RGB like the image.

    Raises:
        ImageError: half of the box or more lies outside the image.
    """
    height, width = pixels.shape[:2]
    area = box[2] * box[3]
    seen = clip_to_image([Face(box, 1.0)], height, width) if area > 0 else []
    if not seen or not seen[0].box[2] * seen[0].box[3] > LEAST_WITHIN * area:
        reason = "face box outside the image"
        raise ImageError(reason, f"{label}: {reason} ({' '.join(f'{v:g}' for v in box)} in {width} x {height})")
    side = min(max(1, round(max(box[2], box[3]))), LARGEST_FACE)
    return crop_face(pixels, Face(box, 1.0), side, "gray" if pixels.ndim == 2 else "rgb")


def _chunks(items: Iterator[T], size: int) -> Iterator[list[T]]:
    while chunk := list(islice(items, size)):
        yield chunk
