"""Detecting leaks between splits: equal pixels, or a parent and its child, in different splits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from fercli.datasets.index import Row


def find_leaks(rows: list[Row], packed: Iterable[str]) -> list[tuple[str, str]]:
    """Return pairs of paths in different splits with equal pixels, or of which one was derived from the other.

    Images are compared both as they are in the dataset and as packed: images that differ only in what packing discards
    (size, colour, file format) are identical to a model.

    Args:
        rows: The dataset's rows, (N,).
        packed: Digests of the packed images, (N,).
    """
    leaks: dict[tuple[str, str], None] = {}
    for digests in ([row.sha256 for row in rows], list(packed)):
        by_digest: dict[str, list[Row]] = defaultdict(list)
        for row, digest in zip(rows, digests, strict=True):
            by_digest[digest].append(row)
        for group in by_digest.values():
            for row in group[1:]:
                if row.split != group[0].split:
                    leaks[group[0].path, row.path] = None
    by_path = {row.path: row for row in rows}
    for row in rows:
        parent = by_path.get(row.parent) if row.parent else None
        if parent is not None and parent.split != row.split:
            leaks[parent.path, row.path] = None
    return list(leaks)
