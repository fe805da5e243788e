"""The metrics of a model on the validation split, computed once per epoch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from fercli.distributed.group import ALONE, Group
from fercli.metrics.calibration import fit_temperature
from fercli.metrics.confusion import macro_f1
from fercli.models.inference import predict
from fercli.models.preprocessing import Preprocessing
from fercli.packs.loading import PackDataset


def validate(
    model: nn.Module, faces: PackDataset, preprocessing: Preprocessing, emotions: int, group: Group = ALONE
) -> dict[str, float]:
    """Return the metrics of a model on a split: validation_loss (plain cross entropy), _accuracy and _macro_f1.

    All use labels, whatever the training targets, so that runs on votes and on labels are comparable. `temperature`
    calibrates the model's probabilities (`fercli.metrics.calibration`); the loss is without it. Each device of the
    group predicts its share of the faces, and each face counts once.
    """
    own = torch.arange(len(faces))[group.slice(len(faces))]
    given = faces.batches(own, 1024) if len(own) else ()
    batches = [predict(model, images, preprocessing, device=faces.device) for images, _ in given]
    probabilities = torch.cat([torch.zeros(0, emotions), *batches])
    probabilities = group.gather_rows(probabilities, len(faces))
    loss = F.nll_loss(probabilities.clamp(min=1e-12).log(), faces.labels)
    pairs = faces.labels * emotions + probabilities.argmax(1)
    matrix = torch.bincount(pairs, minlength=emotions**2).view(emotions, emotions).numpy()
    metrics = {
        "validation_loss": float(loss),
        "validation_accuracy": float(matrix.trace() / matrix.sum()),
        "validation_macro_f1": macro_f1(matrix),
        "temperature": fit_temperature(probabilities.numpy(), faces.labels.numpy()),
    }
    return group.broadcast(metrics)  # the same to the last digit, since they decide when to stop
