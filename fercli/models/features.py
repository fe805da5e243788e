"""Penultimate features of a checkpoint: the input of its last fully connected layer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from fercli.errors import DataError
from fercli.models.checkpoints import Checkpoint
from fercli.models.inference import predict
from fercli.models.preprocessing import channels_first

Floats = npt.NDArray[np.float32]


def predict_with_features(
    checkpoint: Checkpoint,
    images: npt.NDArray[np.uint8],
    *,
    device: torch.device,
    batch_size: int = 256,
    advance: Callable[[int], None] | None = None,
) -> tuple[Floats, Floats]:
    """Return the probabilities of the emotions and the penultimate features of each face.

    The last layer is the last fully connected layer to run that has one output per emotion. If it runs on several
    parts of a face (patches), their features are averaged.

    Args:
        checkpoint: Its model is moved to `device`.
        images: (N, H, W) or (N, H, W, 3) uint8.
        device: Device to compute on.
        batch_size: Faces per batch.
        advance: Progress callback, called with the number of faces of each batch.

    Returns:
        (N, classes) and (N, D).

    Raises:
        DataError: the model does not end in a fully connected layer.
    """
    faces = channels_first(torch.from_numpy(images))
    classes = len(checkpoint.metadata.emotions)
    calls: list[tuple[nn.Module, Tensor]] = []

    def record(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        calls.append((layer, inputs[0].detach()))

    candidates = [m for m in checkpoint.model.modules() if isinstance(m, nn.Linear) and m.out_features == classes]
    handles = [layer.register_forward_pre_hook(record) for layer in candidates]
    probabilities, features = [], []
    try:
        for low in range(0, len(faces), batch_size):
            part = faces[low : low + batch_size]
            calls.clear()
            probabilities.append(predict(checkpoint.model, part, checkpoint.metadata.preprocessing, device=device))
            if not calls:
                raise DataError(f"{checkpoint.path}: its model does not end in a fully connected layer")
            inputs = [values for layer, values in calls if layer is calls[-1][0]]
            patches = torch.cat([values.reshape(len(part), -1, values.shape[-1]) for values in inputs], 1)
            features.append(patches.float().mean(1).cpu())
            if advance is not None:
                advance(len(part))
    finally:
        for handle in handles:
            handle.remove()
    return torch.cat(probabilities).numpy(), torch.cat(features).numpy()
