"""Prediction from uint8 faces: deterministic, and independent of the other faces of a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from fercli.models.affect import split_outputs
from fercli.models.preprocessing import Preprocessing

Tta = Literal["none", "flip", "ten-crop"]

TEN_CROP_RATIO = 8 / 7
"""Factor by which ten-crop enlarges a face before cropping to the input size (256 to 224, as usual)."""


def views(x: Tensor, preprocessing: Preprocessing, tta: Tta) -> Iterator[Tensor]:
    """Yield the views of faces (B, C, H, W) in 0..1 whose predictions are averaged, at the model's input size.

    none: the face. flip: the face and its mirror image. ten-crop: the four corners and the centre of the face enlarged
    by 8/7, and their mirror images.
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


def predict(
    model: nn.Module,
    images: Tensor,
    preprocessing: Preprocessing,
    *,
    device: torch.device,
    tta: Tta = "none",
    temperature: float = 1.0,
    batch_size: int = 256,
    advance: Callable[[int], None] | None = None,
) -> Tensor:
    """Return the probabilities of the emotions for each face, float32 (N, classes) on the CPU; rows add up to 1.

    The arguments are those of `predict_at`; `temperature` divides the logits.
    """
    return predict_at(
        model,
        images,
        preprocessing,
        (temperature,),
        device=device,
        tta=tta,
        batch_size=batch_size,
        advance=advance,
    )[0]


def predict_at(
    model: nn.Module,
    images: Tensor,
    preprocessing: Preprocessing,
    temperatures: Sequence[float],
    *,
    device: torch.device,
    tta: Tta = "none",
    batch_size: int = 256,
    advance: Callable[[int], None] | None = None,
) -> Tensor:
    """Return the probabilities of the emotions for each face, at several temperatures.

    Runs in evaluation mode and float32, whatever the training precision.

    Args:
        model: Maps normalised floats to logits; it is moved to `device`, and its mode is restored.
        images: uint8 (N, 1 or 3, H, W), on any device.
        preprocessing: The model's preprocessing.
        temperatures: The logits of each view are divided by each of them, before the softmax and the mean over views.
        device: Device to compute on.
        tta: Views to average: none, flip or ten-crop.
        batch_size: Faces per batch; affects speed and memory, not results.
        advance: Progress callback, called with the number of faces of each batch.

    Returns:
        float32 (temperatures, N, classes) on the CPU; rows add up to 1.
    """
    probabilities, _ = predict_both(
        model, images, preprocessing, temperatures, None,
        device=device, tta=tta, batch_size=batch_size, advance=advance,
    )  # fmt: skip
    return probabilities


def predict_both(
    model: nn.Module,
    images: Tensor,
    preprocessing: Preprocessing,
    temperatures: Sequence[float],
    emotions: int | None,
    *,
    device: torch.device,
    tta: Tta = "none",
    batch_size: int = 256,
    advance: Callable[[int], None] | None = None,
) -> tuple[Tensor, Tensor]:
    """Return the probabilities of the emotions for each face, and its valence and arousal: the mean over the views.

    Args:
        model: As in `predict_at`, but with two more outputs than emotions (`fercli.models.affect`).
        images: As in `predict_at`.
        preprocessing: As in `predict_at`.
        temperatures: As in `predict_at`.
        emotions: Number of emotions; None: all outputs are logits of emotions.
        device: As in `predict_at`.
        tta: As in `predict_at`.
        batch_size: As in `predict_at`.
        advance: As in `predict_at`.

    Returns:
        float32 (temperatures, N, emotions) and (N, 2), or (N, 0) if all outputs are emotions, on the CPU.
    """
    training = model.training
    # Outside of inference mode, or the weights themselves would become inference tensors, of no use to other code.
    model = model.to(device).to(memory_format=torch.channels_last).eval()
    probabilities, affects = [], []
    with torch.inference_mode():
        for start in range(0, len(images), batch_size):
            batch = preprocessing.to_float(images[start : start + batch_size].to(device))
            outputs = torch.stack([model(preprocessing.normalise(v)).float() for v in views(batch, preprocessing, tta)])
            logits, affect = split_outputs(outputs, outputs.shape[2] if emotions is None else emotions)
            probabilities.append(torch.stack([(logits / t).softmax(2).mean(0) for t in temperatures]).cpu())
            affects.append(affect.mean(0).cpu())
            if advance is not None:
                advance(len(batch))
        found = torch.cat(probabilities, 1), torch.cat(affects)
    model.train(training)
    return found
