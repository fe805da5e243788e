"""The leak check: whether augmented or generated images appear, exactly or nearly, in another split."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fercli.datasets.duplicates import MAX_BITS, MIN_CORRELATION, correlations
from fercli.datasets.hash_search import close_hashes
from fercli.datasets.index import SPLITS, Row
from fercli.datasets.perceptual import Hashes, Indices, perceptual_hashes, shrink
from fercli.datasets.reading import read_checked
from fercli.images import Pixels
from fercli.parallel import in_threads
from fercli.progress import Progress

_CHUNK = 64
_PAIRS = 2048


@dataclass
class LeakReport:
    """What a check found.

    Attributes:
        checked: Number of augmented and generated images that were checked.
        compared: Number of images of other splits that they were compared with.
        equal: Path of each checked image with equal pixels in another split, and the path of that image.
        near: As `equal`, for near copies: hashes at most 10 bits apart, correlation of at least 0.97.
        parent: As `equal`, for images whose parent is in another split.
    """

    checked: int = 0
    compared: int = 0
    equal: dict[str, str] = field(default_factory=dict)
    near: dict[str, str] = field(default_factory=dict)
    parent: dict[str, str] = field(default_factory=dict)

    @property
    def leaks(self) -> dict[str, str]:
        """All leaks: equal, near, and by parent."""
        return {**self.near, **self.parent, **self.equal}

    def summary(self) -> dict[str, int]:
        """Return the counts."""
        counts = {name: len(getattr(self, name)) for name in ("equal", "near", "parent")}
        return {"made": self.checked, "against": self.compared, **counts}


class LeakChecker:
    """Compares images with those of other splits; hashes are cached by digest across checks.

    Args:
        folder: Folder of the dataset.
        workers: Threads; None for one per core.
        progress: Progress callback, advanced by each hashed image.
    """

    def __init__(self, folder: Path, workers: int | None, progress: Progress) -> None:
        self._folder, self._workers, self._progress = folder, workers, progress
        self._hashes: dict[str, tuple[int, int]] = {}

    def check(self, rows: Sequence[Row], candidates: Sequence[Row]) -> LeakReport:
        """Check whether any of `candidates` appears in a split other than its own.

        Args:
            rows: All images of the dataset.
            candidates: Rows to check; real images among them are skipped.
        """
        report = LeakReport()
        splits = {row.path: row.split for row in rows}
        compared: set[str] = set()
        for split in SPLITS:
            own = [row for row in candidates if row.split == split and row.origin != "real"]
            others = [row for row in rows if row.split in SPLITS and row.split != split]
            if split == "train" or not own:  # train yields: leaks are reported for the other splits
                others = [row for row in others if row.split != "train"]
            if not own:
                continue
            report.checked += len(own)
            compared.update(row.path for row in others)
            by_digest = {row.sha256: row.path for row in others}
            for row in own:
                if row.sha256 in by_digest:
                    report.equal[row.path] = by_digest[row.sha256]
                if row.parent and splits.get(row.parent, split) != split:
                    report.parent[row.path] = row.parent
            rest = [row for row in own if row.path not in report.equal]
            report.near.update(self._near(rest, others))
        report.compared = len(compared)
        return report

    def _near(self, own: Sequence[Row], others: Sequence[Row]) -> dict[str, str]:
        """Return for each of `own` its near copy in `others`, the one with the highest correlation."""
        if not own or not others:
            return {}
        self._hash_new([*own, *others])
        left, _ = self._hashes_of(own)
        best: dict[str, tuple[float, str]] = {}
        for mirrored, right in enumerate(self._hashes_of(others)):
            none = np.empty(0, np.intp)
            pairs = [(none, none), *((i, j) for i, j, _ in close_hashes(left, right, MAX_BITS))]
            i, j = (np.concatenate(part) for part in zip(*pairs, strict=True))
            for a, b, value in self._correlated(own, others, i, j, bool(mirrored)):
                known = best.get(own[a].path)
                if known is None or value > known[0]:
                    best[own[a].path] = value, others[b].path
        return {path: other for path, (_, other) in best.items()}

    def _hash_new(self, rows: Sequence[Row]) -> None:
        """Hash the images that are not in the cache."""
        new = list({row.sha256: row for row in rows if row.sha256 not in self._hashes}.values())
        chunks = [new[low : low + _CHUNK] for low in range(0, len(new), _CHUNK)]
        with self._progress.task("checking", len(new)):
            for chunk, hashes in zip(chunks, in_threads(self._hash, chunks, self._workers), strict=True):
                self._hashes.update(zip((row.sha256 for row in chunk), hashes, strict=True))
                self._progress.advance(len(chunk))

    def _hash(self, rows: Sequence[Row]) -> list[tuple[int, int]]:
        small = np.stack([shrink(read_checked(self._folder, row))[0] for row in rows])
        plain, mirrored = perceptual_hashes(small)
        return list(zip(plain.tolist(), mirrored.tolist(), strict=True))

    def _hashes_of(self, rows: Sequence[Row]) -> tuple[Hashes, Hashes]:
        both = np.array([self._hashes[row.sha256] for row in rows], np.uint64)
        return both[:, 0], both[:, 1]

    def _correlated(
        self, own: Sequence[Row], others: Sequence[Row], i: Indices, j: Indices, mirrored: bool
    ) -> Iterator[tuple[int, int, float]]:
        """Yield the pairs with sufficient correlation; their pixels are read again, since few hashes are close."""
        for low in range(0, len(i), _PAIRS):
            part_i, part_j = i[low : low + _PAIRS], j[low : low + _PAIRS]
            pixels = self._pixels([own[k] for k in part_i], [others[k] for k in part_j])
            stack = np.stack(list(pixels.values()))
            place = {digest: k for k, digest in enumerate(pixels)}
            first = np.array([place[own[k].sha256] for k in part_i])
            second = np.array([place[others[k].sha256] for k in part_j])
            flat = stack.min(axis=(1, 2)) == stack.max(axis=(1, 2))
            textured: npt.NDArray[np.bool_] = ~(flat[first] | flat[second])  # correlation needs contrast
            values = correlations(stack, first[textured], second[textured], mirrored=mirrored)
            for a, b, value in zip(part_i[textured].tolist(), part_j[textured].tolist(), values.tolist(), strict=True):
                if value >= MIN_CORRELATION:
                    yield a, b, value

    def _pixels(self, *rows: Sequence[Row]) -> dict[str, Pixels]:
        distinct = {row.sha256: row for part in rows for row in part}
        read = in_threads(lambda row: shrink(read_checked(self._folder, row))[1], distinct.values(), self._workers)
        return dict(zip(distinct, read, strict=True))


def by_split(leaks: dict[str, str]) -> dict[str, Any]:
    """Return leaks as the manifest lists them: `image = other`, by the split of the first."""
    listed: dict[str, list[str]] = defaultdict(list)
    for path, other in sorted(leaks.items()):
        listed[path.split("/")[0]].append(f"{path} = {other}")
    return dict(listed)
