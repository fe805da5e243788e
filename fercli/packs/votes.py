"""Converting votes to soft targets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fercli.datasets.index import Row
from fercli.datasets.votes import parse_votes
from fercli.errors import DataError
from fercli.packs.file import Votes


def soft_targets(path: Path, rows: Sequence[Row], emotions: Sequence[str]) -> dict[str, Votes]:
    """Return the soft targets of each split with votes, float32 (N, emotions), in row order.

    In such a split, images without votes get a one-hot target.

    Args:
        path: Path of the dataset, for messages.
        rows: All its labelled rows.
        emotions: Emotions in label order.

    Raises:
        DataError: an image's votes are invalid.
    """
    found: dict[str, Votes] = {}
    for split in {row.split for row in rows if row.votes}:
        shares = [target_of(path, row, emotions) for row in rows if row.split == split]
        found[split] = np.array(shares, np.float32)
    return found


def target_of(path: Path, row: Row, emotions: Sequence[str]) -> list[float]:
    """Return the distribution of an image's votes, or without votes its label, one-hot.

    Raises:
        DataError: the votes are invalid.
    """
    if not row.votes:
        return [float(emotion == row.emotion) for emotion in emotions]
    try:
        return parse_votes(row.votes, emotions)
    except ValueError as error:
        raise DataError(f"{path}: the votes of {row.path}: {error}; re-create the dataset") from error
