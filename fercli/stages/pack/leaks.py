"""The leaks that pack refuses: equal pixels, or a parent and its child, in two splits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from fercli.datasets.index import Row


def find_leaks(rows: list[Row], packed: Iterable[str]) -> list[tuple[str, str]]:
    """Return pairs of paths in different splits that are the same picture, or one made from the other.

    Pictures are compared as they are in the dataset and as they are packed: two that differ only in what packing
    takes away (size, colour, file format) are equal to a model.

    Args:
        rows: The dataset's rows, (N,).
        packed: Digest of each image as packed, (N,).
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
