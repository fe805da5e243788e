"""Valence and arousal of a pack's images.

/<split>/affect  float32 (N, 2), valence and arousal in -1..1, NaN for an image without; only if any image of the
                 split has them
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from fercli.datasets.affect import AFFECT, parse_affect
from fercli.datasets.index import Row
from fercli.errors import DataError
from fercli.packs.file import PackInfo, check_has_split, open_hdf5
from fercli.packs.layout import checked_member

Affect = npt.NDArray[np.float32]

NAME = "affect"


def affect_of(path: Path, rows: Sequence[Row]) -> Affect | None:
    """Return the valence and arousal of rows, float32 (N, 2), NaN where there are none; None if no row has them.

    Args:
        path: Path of the dataset, for messages.
        rows: Its rows.

    Raises:
        DataError: they are invalid.
    """
    if not any(row.valence or row.arousal for row in rows):
        return None
    found = np.full((len(rows), len(AFFECT)), np.nan, np.float32)
    for number, row in enumerate(rows):
        try:
            found[number] = parse_affect(row.valence, row.arousal) or np.nan
        except ValueError as error:
            raise DataError(f"{path}: {row.path}: {error}; re-create the dataset") from error
    return found


def write_affect(group: h5py.Group, values: Affect | None) -> None:
    """Write a split's valence and arousal, if it has them."""
    if values is not None:
        group.create_dataset(NAME, data=values)


def read_affect(info: PackInfo, split: str) -> Affect | None:
    """Read a split's valence and arousal, float32 (N, 2), NaN where there are none; None if no image has them.

    Raises:
        DataError: the pack has no such split, or they are not stored as they should be.
    """
    check_has_split(info, split)
    with open_hdf5(info.file) as file:
        group = checked_member(info.file, file, split)
        if NAME not in group:
            return None
        member, shape = checked_member(info.file, group, NAME), (info.counts[split], len(AFFECT))
        if getattr(member, "dtype", None) != np.float32 or member.shape != shape:
            raise DataError(f"{info.file}: {split}/{NAME} is not float32 {shape}; re-pack the dataset")
        values: Affect = member[()]
    missing = np.isnan(values)
    if not ((abs(values) <= 1) | missing).all() or (missing[:, 0] != missing[:, 1]).any():
        raise DataError(f"{info.file}: {split}/{NAME} is not valence and arousal in -1..1; re-pack the dataset")
    return values
