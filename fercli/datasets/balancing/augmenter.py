"""Create images by augmentation: each new image (child) is an altered copy of an existing one (parent).

Images are read, changed and written in threads. Random numbers, names and comparisons are handled in one thread and in
the order of the index, so that the result does not depend on the number of threads.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from fercli.datasets.balancing.transforms import UNIFORMS, augment
from fercli.datasets.index import Row
from fercli.datasets.reading import read_checked
from fercli.errors import DataError
from fercli.images import encode_png, pixel_digest
from fercli.parallel import in_threads
from fercli.progress import Progress

_CHUNK = 64
_MAX_TRIES = 100
"""Maximum number of tries for one child: children of a nearly constant image are often equal."""
# Random streams, one for each use.
_PARENTS, _CHILDREN, _DUPLICATES, LEAKS = 1, 2, 3, 4


@dataclass(frozen=True, slots=True)
class Missing:
    """How many images a class of a split lacks.

    Attributes:
        split: The split.
        emotion: The emotion.
        augment: Number of images to create.
        target: The number of images that the class is to have, for messages.
    """

    split: str
    emotion: str
    augment: int
    target: int


@dataclass
class Augmenter:
    """Fills up a dataset by augmentation.

    Attributes:
        source: Folder of the input dataset, for messages.
        parents: Folder of the images to augment.
        folder: Folder to which the new images are written, at their paths.
        seed: Random seed.
        workers: Number of threads; None for one per core.
        progress: Progress callback, advanced by each image.
        constant: Paths of constant images, which are not augmented.
    """

    source: Path
    parents: Path
    folder: Path
    seed: int
    workers: int | None
    progress: Progress
    constant: set[str]
    _taken: set[str] = field(default_factory=set)

    def augment(self, rows: Sequence[Row], missing: Sequence[Missing]) -> list[Row]:
        """Create the missing images; return their rows.

        No child equals an image of any split, nor another child. The order of the classes determines their random
        numbers.

        Raises:
            DataError: a class has no image to augment, or all children of an image equal existing images.
        """
        self._taken.update(row.path.lower() for row in rows)  # some file systems do not distinguish a.png from A.png
        pairs = list(self._pairs(rows, missing))
        starts = range(0, len(pairs), _CHUNK)
        digests = {row.sha256 for row in rows}
        created: list[Row] = []
        with self.progress.task("augmenting", len(pairs)):
            for done in in_threads(lambda low: self._write_chunk(pairs, low), starts, self.workers):
                for sha256 in done:
                    parent, child = pairs[len(created)]
                    if sha256 in digests:
                        sha256 = self.replace_child(parent, child, [_DUPLICATES, len(created)], digests)
                    digests.add(sha256)
                    created.append(replace(child, sha256=sha256))
                self.progress.advance(len(done))
        return created

    def _pairs(self, rows: Sequence[Row], missing: Sequence[Missing]) -> Iterator[tuple[Row, Row]]:
        """Yield each parent with its child; children of one parent are adjacent, so that it is read only once."""
        by_class: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for row in rows:
            by_class[row.split, row.emotion].append(row)
        for stream, need in enumerate(missing):
            if not need.augment:
                continue
            parents = self._parents(by_class[need.split, need.emotion], need.split, need.emotion, need.target)
            counts = distribute(need.augment, len(parents), np.random.default_rng([self.seed, _PARENTS, stream]))
            for parent, count in zip(parents, counts, strict=True):
                number = 0
                for _ in range(count):
                    number, path = self._free_path(parent.path, number)
                    yield parent, _child(parent, path)

    def _parents(self, rows: Sequence[Row], split: str, emotion: str, target: int) -> list[Row]:
        """Return the images of a class to augment: no constant ones, and originals if there are any.

        A child of a child would be rotated, cropped and blurred twice.
        """
        usable = [row for row in rows if row.path not in self.constant]
        if not usable:
            raise DataError(
                f"{self.source}: {split} has no image to augment for {emotion}: its {len(rows)} images are "
                f"constant ({target:,} are needed); add some, or remove {emotion} from the dataset"
            )
        return [row for row in usable if row.origin != "augmented"] or usable

    def _write_chunk(self, pairs: Sequence[tuple[Row, Row]], low: int) -> list[str]:
        """Write a chunk of children; return their digests. The random numbers depend on the chunk's start only."""
        part = pairs[low : low + _CHUNK]
        uniforms = np.random.default_rng([self.seed, _CHILDREN, low]).random((len(part), UNIFORMS))
        digests, read = [], None
        for (parent, child), numbers in zip(part, uniforms, strict=True):
            if read is None or read[0] is not parent:
                read = parent, read_checked(self.parents, parent)
            pixels = augment(read[1], numbers)
            (self.folder / child.path).write_bytes(encode_png(pixels))
            digests.append(pixel_digest(pixels))
        return digests

    def replace_child(self, parent: Row, child: Row, stream: Sequence[int], digests: Collection[str]) -> str:
        """Replace a child that equals another image by one that equals none; return its digest."""
        pixels = read_checked(self.parents, parent)
        uniforms: npt.NDArray[np.float64] = np.random.default_rng([self.seed, *stream]).random((_MAX_TRIES, UNIFORMS))
        for numbers in uniforms:
            altered = augment(pixels, numbers)
            if (sha256 := pixel_digest(altered)) not in digests:
                (self.folder / child.path).write_bytes(encode_png(altered))
                return sha256
        raise DataError(
            f"{self.source / parent.path}: {_MAX_TRIES} augmented copies all equal existing images; it has too little "
            "content: remove it, or choose a --policy that adds less"
        )

    def _free_path(self, parent: str, number: int) -> tuple[int, str]:
        """Return the next unused number after `number` of a parent's children, and the path of that child."""
        stem = str(PurePosixPath(parent).with_suffix(""))
        while True:
            number += 1
            path = f"{stem}-aug-{number:04d}.png"
            if path.lower() not in self._taken:
                self._taken.add(path.lower())
                return number, path


def _child(parent: Row, path: str) -> Row:
    """Return a child's row: class, votes, affect and subject are its parent's, but not the position in a photograph."""
    return Row(
        path,
        parent.split,
        parent.emotion,
        votes=parent.votes,
        photograph=parent.photograph,
        subject=parent.subject,
        fold=parent.fold,
        origin="augmented",
        parent=parent.path,
        valence=parent.valence,
        arousal=parent.arousal,
    )


def distribute(children: int, parents: int, generator: np.random.Generator) -> list[int]:
    """Return the number of children of each parent: equal, but for one more for randomly chosen parents."""
    each, more = divmod(children, parents)
    counts = np.full(parents, each)
    counts[generator.permutation(parents)[:more]] += 1
    result: list[int] = counts.tolist()
    return result
