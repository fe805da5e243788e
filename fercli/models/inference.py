"""Prediction: uint8 faces in, probabilities out. Deterministic, and one face's prediction depends on no other's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import torch
from torch import Tensor, nn

from fercli.models.preprocessing import Preprocessing

Tta = Literal["none", "flip", "ten-crop"]

TEN_CROP_RATIO = 8 / 7
"""Ten-crop enlarges a face by this before it cuts crops of the input size (256 to 224, as is usual)."""


def views(x: Tensor, preprocessing: Preprocessing, tta: Tta) -> Iterator[Tensor]:
    """Yield the views of faces (B, C, H, W) in 0..1 whose predictions are averaged, each of the model's input size.

    none: the face. flip: and its mirror image. ten-crop: four corners and the centre of the face enlarged by 8/7, each
    and its mirror image.
    """
    if tta != "ten-crop":
        face = preprocessing.resize(x)
        yield face
        if tta == "flip":
            yield face.flip(3)
        return
    side = preprocessing.input_size
    large = round(side * TEN_CROP_RATIO)
    face = preprocessing.resize(x, large)
    end, middle = large - side, (large - side) // 2
    for top, left in ((0, 0), (0, end), (end, 0), (end, end), (middle, middle)):
        crop = face[:, :, top : top + side, left : left + side]
        yield crop
        yield crop.flip(3)


@torch.inference_mode()
def predict(
    model: nn.Module,
    images: Tensor,
    preprocessing: Preprocessing,
    *,
    device: torch.device,
    tta: Tta = "none",
    batch_size: int = 256,
    advance: Callable[[int], None] | None = None,
) -> Tensor:
    """Return the probability of each emotion for each face.

    Computed in float32 whatever the training's precision, in evaluation mode.

    Args:
        model: From normalised floats to logits; is moved to `device` and left in the mode it was in.
        images: uint8 (N, 1 or 3, H, W), on any device.
        preprocessing: The model's.
        device: Where to compute.
        tta: Views to average: none, flip or ten-crop.
        batch_size: Faces at a time. It changes speed and memory, not results.
        advance: Called with the number of faces done.

    Returns:
        float32 (N, classes) on the CPU, rows adding up to 1.
    """
    training = model.training
    model = model.to(device).to(memory_format=torch.channels_last).eval()
    found = []
    for start in range(0, len(images), batch_size):
        batch = preprocessing.to_float(images[start : start + batch_size].to(device))
        probabilities = [model(preprocessing.normalise(v)).float().softmax(1) for v in views(batch, preprocessing, tta)]
        found.append(torch.stack(probabilities).mean(0).cpu())
        if advance is not None:
            advance(len(batch))
    model.train(training)
    return torch.cat(found)
