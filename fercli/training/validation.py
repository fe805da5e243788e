"""The metrics of a model on the validation split, computed once per epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fercli.datasets.affect import AFFECT
from fercli.distributed.group import ALONE, Group
from fercli.errors import DataError
from fercli.metrics.affect import agreement
from fercli.metrics.calibration import fit_temperature
from fercli.metrics.confusion import macro_f1
from fercli.models.inference import predict_both
from fercli.models.preprocessing import Preprocessing
from fercli.packs.loading import PackDataset

AFFECT_METRICS = tuple(f"validation_{name}_{metric}" for name in AFFECT for metric in ("ccc", "rmse"))
"""Further metrics of a training on valence and arousal."""


def validate(
    model: nn.Module, faces: PackDataset, preprocessing: Preprocessing, emotions: int, group: Group = ALONE
) -> dict[str, float]:
    """Return the metrics of a model on a split: validation_loss (plain cross entropy), _accuracy and _macro_f1.

    All use labels, whatever the training targets, so that runs on votes and on labels are comparable. `temperature`
    calibrates the model's probabilities (`fercli.metrics.calibration`); the loss is without it. Each device of the
    group predicts its share of the faces, and each face counts once. With valence and arousal also
    `AFFECT_METRICS`, over the faces that have them.

    Raises:
        DataError: with valence and arousal, none of the faces has them.
    """
    own = torch.arange(len(faces))[group.slice(len(faces))]
    given = faces.batches(own, 1024) if len(own) else ()
    outputs = emotions if faces.affect is None else emotions + len(AFFECT)
    batches = [
        torch.cat([probabilities[0], affect], 1)
        for probabilities, affect in (
            predict_both(model, images, preprocessing, (1.0,), emotions, device=faces.device) for images, _ in given
        )
    ]
    predicted = group.gather_rows(torch.cat([torch.zeros(0, outputs), *batches]), len(faces))
    probabilities = predicted[:, :emotions]
    loss = F.nll_loss(probabilities.clamp(min=1e-12).log(), faces.labels)
    pairs = faces.labels * emotions + probabilities.argmax(1)
    matrix = torch.bincount(pairs, minlength=emotions**2).view(emotions, emotions).numpy()
    metrics = {
        "validation_loss": float(loss),
        "validation_accuracy": float(matrix.trace() / matrix.sum()),
        "validation_macro_f1": macro_f1(matrix),
        "temperature": fit_temperature(probabilities.numpy(), faces.labels.numpy()),
    }
    if faces.affect is not None:
        metrics |= _affect_metrics(predicted[:, emotions:], faces.affect)
    return group.broadcast(metrics)  # the same to the last digit, since they decide when to stop


def _affect_metrics(predicted: Tensor, annotated: Tensor) -> dict[str, float]:
    """Return the metrics of valence and arousal, both (N, 2), over the faces that have them."""
    known = ~annotated.isnan().any(1)
    if not known.any():
        raise DataError("targets both: none of the faces for validation has valence and arousal")
    metrics = {}
    for k, name in enumerate(AFFECT):
        found = agreement(predicted[known, k].numpy(), annotated[known, k].numpy(), resamples=0)
        # Undefined if all annotations and all predictions are equal: nothing is explained.
        metrics[f"validation_{name}_ccc"] = 0.0 if math.isnan(found.ccc.value) else found.ccc.value
        metrics[f"validation_{name}_rmse"] = found.rmse.value
    return metrics


def affect_summary(metrics: Mapping[str, float], faces: PackDataset) -> dict[str, Any]:
    """Return what a run's summary has about valence and arousal beyond those of other runs: `affect`, if anything.

    Args:
        metrics: From `validate`.
        faces: The same faces.
    """
    if faces.affect is None:
        return {}
    own = {name.removeprefix("validation_"): metrics[name] for name in AFFECT_METRICS}
    return {"affect": {"n": int((~faces.affect.isnan()).all(1).sum()), **own}}
