"""Filling a class up by augmentation: children are made of the images there are.

Images are read, changed and written in threads; what is drawn at random, named and compared is so in one thread and
in the index's order, so that the result does not depend on how many threads there are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from fercli.datasets.index import Row
from fercli.datasets.reading import read_checked
from fercli.errors import DataError
from fercli.images import encode_png, pixel_digest
from fercli.parallel import in_threads
from fercli.progress import Progress
from fercli.stages.balance.context import BalanceContext
from fercli.stages.balance.methods.transforms import DRAWS, augment
from fercli.stages.balance.plan import Plan

_CHUNK = 64
_TRIES = 100
"""Draws for one child before its parent is given up: of two copies of a plain picture many children are equal."""
# What random numbers are drawn for, so that no two uses share a stream.
_PARENTS, _CHILDREN, _AGAIN, _APART = 1, 2, 3, 4


def fill(work: BalanceContext) -> list[Row]:
    """Make the children that the plan wants of the data set's images; return their rows.

    Raises:
        DataError: a class has no image to make children of, or one whose children always equal what there is.
    """
    config = work.config
    if work.constant:
        work.progress.log(f"made no copies of {len(work.constant):,} images of one constant value")
    filler = Filler(work.dataset.path, work.job.folder, config.seed, config.workers, work.progress, work.constant)
    return filler.children(work.rows, work.plan)


def make_again(work: BalanceContext, child: Row, number: int, turn: int, digests: Collection[str]) -> str:
    """Write a child anew, by other draws, equal to no image of `digests`; return its digest.

    Args:
        work: What its data set is made by.
        child: Its row.
        number: Its number, and `turn` how often it was made again: what is drawn depends on them.
        turn: As said.
        digests: Of the images there are.

    Raises:
        DataError: all draws equal images that there are.
    """
    parent = next(row for row in work.rows if row.path == child.parent)
    config, folder = work.config, work.job.folder
    filler = Filler(work.dataset.path, folder, config.seed, config.workers, work.progress, work.constant)
    return filler.draw_again(parent, child, [_APART, number, turn], digests)


@dataclass
class Filler:
    """One data set being filled up.

    Attributes:
        source: Folder of the data set that was read, for messages.
        folder: Folder of the one that is written; the images are there.
        seed: Of everything drawn at random.
        workers: Threads; None for one a core.
        progress: Moves with the images.
        constant: Paths of the images of one constant value, which become nobody's parents.
    """

    source: Path
    folder: Path
    seed: int
    workers: int | None
    progress: Progress
    constant: set[str]
    _taken: set[str] = field(default_factory=set)

    def children(self, rows: Sequence[Row], plan: Plan) -> list[Row]:
        """Make the children that the plan wants of the rows taken over; return the children's rows.

        No child equals an image of any split, nor another child.

        Raises:
            DataError: a class has no image to make children of, or one whose children always equal what there is.
        """
        self._taken.update(row.path.lower() for row in rows)  # some disks do not tell a.png from A.png
        family = list(self._family(rows, plan))
        starts = range(0, len(family), _CHUNK)
        digests = {row.sha256 for row in rows}
        made: list[Row] = []
        with self.progress.task("augmenting", len(family)):
            for done in in_threads(lambda low: self._make_chunk(family, low), starts, self.workers):
                for sha256 in done:
                    parent, child = family[len(made)]
                    if sha256 in digests:
                        sha256 = self.draw_again(parent, child, [_AGAIN, len(made)], digests)
                    digests.add(sha256)
                    made.append(replace(child, sha256=sha256))
                self.progress.advance(len(done))
        return made

    def _family(self, rows: Sequence[Row], plan: Plan) -> Iterator[tuple[Row, Row]]:
        """Yield each child with its parent, a parent's children side by side: it is read once for all of them."""
        by_class: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for row in rows:
            by_class[row.split, row.emotion].append(row)
        for number, (split, emotion, need) in enumerate(plan.classes()):
            if not need.augment:
                continue
            parents = self._parents(by_class[split, emotion], split, emotion, need.target)
            times = evenly(need.augment, len(parents), np.random.default_rng([self.seed, _PARENTS, number]))
            for parent, count in zip(parents, times, strict=True):
                name = 0
                for _ in range(count):
                    name, path = self._name(parent.path, name)
                    yield parent, _child(parent, path)

    def _parents(self, rows: Sequence[Row], split: str, emotion: str, target: int) -> list[Row]:
        """Return the images of a class to make children of: none of one constant value, originals where there are any.

        A child's child is twice turned, cropped and blurred.
        """
        able = [row for row in rows if row.path not in self.constant]
        if not able:
            raise DataError(
                f"{self.source}: {split} has no image to augment for {emotion}: its {len(rows)} show one constant "
                f"value each ({target:,} are wanted); add some, or take {emotion} out of the data set"
            )
        return [row for row in able if row.origin != "augmented"] or able

    def _make_chunk(self, family: Sequence[tuple[Row, Row]], low: int) -> list[str]:
        """Write a chunk of children; return their digests. What is drawn depends on the chunk's place alone."""
        part = family[low : low + _CHUNK]
        draws = np.random.default_rng([self.seed, _CHILDREN, low]).random((len(part), DRAWS))
        digests, read = [], None
        for (parent, child), own in zip(part, draws, strict=True):
            if read is None or read[0] is not parent:
                read = parent, read_checked(self.folder, parent)
            pixels = augment(read[1], own)
            (self.folder / child.path).write_bytes(encode_png(pixels))
            digests.append(pixel_digest(pixels))
        return digests

    def draw_again(self, parent: Row, child: Row, stream: Sequence[int], digests: Collection[str]) -> str:
        """Write a child that came out equal to another image anew, until it is one of its own; return its digest."""
        pixels = read_checked(self.folder, parent)
        draws: npt.NDArray[np.float64] = np.random.default_rng([self.seed, *stream]).random((_TRIES, DRAWS))
        for own in draws:
            changed = augment(pixels, own)
            if (sha256 := pixel_digest(changed)) not in digests:
                (self.folder / child.path).write_bytes(encode_png(changed))
                return sha256
        raise DataError(
            f"{self.source / parent.path}: {_TRIES} augmented copies all equal images that there are; it is too plain "
            "for so many: take it out, or fill its class up less"
        )

    def _name(self, parent: str, number: int) -> tuple[int, str]:
        """Return the next free number after `number` of a parent's children, and the child's path."""
        stem = str(PurePosixPath(parent).with_suffix(""))
        while True:
            number += 1
            path = f"{stem}-aug-{number:04d}.png"
            if path.lower() not in self._taken:
                self._taken.add(path.lower())
                return number, path


def _child(parent: Row, path: str) -> Row:
    """Return a child's row: its class, votes and person are its parent's, its place in a photograph is not."""
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
    )


def evenly(wanted: int, parents: int, generator: np.random.Generator) -> list[int]:
    """Return how many children each parent has: all as many, but that some, drawn at random, have one more."""
    each, more = divmod(wanted, parents)
    times = np.full(parents, each)
    times[generator.permutation(parents)[:more]] += 1
    result: list[int] = times.tolist()
    return result
