"""Valence and arousal in an evaluation: the annotations of the faces, the metrics, and the columns of the table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fercli.datasets.affect import AFFECT
from fercli.evaluation.part_summaries import AffectSummary, DimensionSummary
from fercli.metrics.affect import Estimate, agreement
from fercli.packs.affect import read_affect
from fercli.packs.file import PackInfo, PackSplit, read_paths


@dataclass(frozen=True)
class AffectPredictions:
    """Predicted and annotated valence and arousal.

    Attributes:
        predicted: (N, 2), in -1..1.
        annotated: (N, 2), NaN where there are none.
    """

    predicted: npt.NDArray[np.float32]
    annotated: npt.NDArray[np.float32]

    @property
    def known(self) -> npt.NDArray[np.bool_]:
        """Which faces are annotated, (N,)."""
        return np.asarray(~np.isnan(self.annotated).any(1), bool)

    def cells(self, number: int) -> list[str]:
        """Return a face's cells for `AFFECT_COLUMNS`."""
        predicted, annotated = self.predicted[number], self.annotated[number]
        given = ("" if math.isnan(value) else f"{value:.6f}" for value in annotated)
        return [*(f"{value:.6f}" for value in predicted), *given]

    def summary(self) -> AffectSummary | None:
        """Return the metrics over the annotated faces, with bootstrap intervals; None if there are none."""
        known = self.known
        if not known.any():
            return None
        found = {}
        for k, name in enumerate(AFFECT):
            one = agreement(self.predicted[known, k], self.annotated[known, k])
            estimates = {"ccc": one.ccc, "rmse": one.rmse, "pearson": one.pearson, "sign_agreement": one.sign_agreement}
            values = {metric: _finite(estimate.value) for metric, estimate in estimates.items()}
            intervals = {f"{metric}_interval": _interval(estimate) for metric, estimate in estimates.items()}
            found[name] = DimensionSummary.model_validate({**values, **intervals})
        both = [one.ccc for one in found.values() if one.ccc is not None]
        mean = sum(both) / len(both) if len(both) == len(AFFECT) else None
        return AffectSummary(n=int(known.sum()), mean_ccc=mean, **found)


def annotated_affect(info: PackInfo, faces: PackSplit, splits: Sequence[str]) -> npt.NDArray[np.float32]:
    """Return the annotated valence and arousal of faces of a pack, (N, 2), NaN where there are none.

    Args:
        info: The pack.
        faces: Some of its faces, in any order.
        splits: The splits that they are from; just one, unless `faces` has that of each.

    Raises:
        DataError: the pack's values are invalid.
    """
    found = np.full((len(faces.paths), len(AFFECT)), np.nan, np.float32)
    names = faces.splits or [splits[0]] * len(found)
    place = {key: number for number, key in enumerate(zip(names, faces.paths, strict=True))}
    for split in splits:
        if (values := read_affect(info, split)) is not None:
            for path, value in zip(read_paths(info, split), values, strict=True):
                if (number := place.get((split, path))) is not None:
                    found[number] = value
    return found


def _finite(value: float) -> float | None:
    return None if math.isnan(value) else value


def _interval(estimate: Estimate) -> list[float] | None:
    return None if math.isnan(estimate.low) else [estimate.low, estimate.high]
