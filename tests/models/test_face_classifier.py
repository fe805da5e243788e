"""The exported module: its preprocessing is fercli's, and its probabilities are those of predict_images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fercli.emotions import EMOTIONS
from fercli.evaluation.predicting import predict_images
from fercli.images import Color, Pixels, as_color, fit_square
from fercli.models.checkpoints import Checkpoint, CheckpointMetadata
from fercli.models.face_classifier import FaceClassifier, FitSquare
from fercli.models.preprocessing import Preprocessing
from fercli.models.registry import create_model
from fercli.models.spec import GRAY_MEAN, GRAY_STD, IMAGENET_MEAN, IMAGENET_STD


def picture(height: int, width: int, seed: int = 0) -> Pixels:
    """Return a picture whose neighbouring pixels are alike, and whose colours differ."""
    steps = np.random.default_rng(seed).normal(0, 20, (height, width, 3))
    return np.clip(steps.cumsum(1) + 128, 0, 255).astype(np.uint8)


def fitted(pixels: Pixels, size: int, color: Color) -> np.ndarray:
    found = FitSquare(size, color)(torch.from_numpy(pixels)[None])[0]
    assert found.dtype == torch.float32
    return (found[0] if color == "gray" else found.permute(1, 2, 0)).numpy()


@pytest.mark.parametrize("color", ["gray", "rgb"])
@given(
    st.integers(1, 130),
    st.integers(1, 130),
    st.sampled_from([16, 44, 48, 64]),
    st.integers(0, 10**6),
)
@settings(max_examples=60, deadline=None)
def test_faces_of_any_size_are_fitted_as_pack_does(color: Color, height: int, width: int, size: int, seed: int) -> None:
    pixels = picture(height, width, seed)
    expected = fit_square(as_color(pixels, color), size)
    found = fitted(pixels, size, color)
    if height < 1.9 * width:
        assert (found == expected).all()
    else:  # Pillow 13 resizes high pictures down first, then across
        assert np.abs(found - expected.astype(np.float64)).max() <= 2


@pytest.mark.parametrize("color", ["gray", "rgb"])
@pytest.mark.parametrize("shape", [(48, 48), (96, 96), (144, 144), (48, 24), (30, 48), (1200, 1601), (2, 500)])
def test_large_pictures_whole_factors_and_bars_are_exact(color: Color, shape: tuple[int, int]) -> None:
    pixels = picture(*shape)
    assert (fitted(pixels, 48, color) == fit_square(as_color(pixels, color), 48)).all()


GRAY = Preprocessing(input_size=48, mean=GRAY_MEAN, std=GRAY_STD)
RGB = Preprocessing(input_size=64, mean=IMAGENET_MEAN, std=IMAGENET_STD)


@pytest.mark.parametrize(
    ("model", "preprocessing", "face_format"),
    [
        ("quick", GRAY, (48, "gray")),
        ("quick", GRAY.model_copy(update={"input_size": 40}), (48, "gray")),
        ("quick", GRAY.model_copy(update={"input_size": 56}), (48, "rgb")),
        ("timm/test_resnet", RGB, (48, "gray")),
        ("timm/test_resnet", RGB, (64, "rgb")),
    ],
)
def test_probabilities_are_those_of_the_checkpoint(
    model: str, preprocessing: Preprocessing, face_format: tuple[int, Color]
) -> None:
    torch.manual_seed(0)
    network = create_model(model, 7).eval()
    size, color = face_format
    metadata = CheckpointMetadata(
        architecture=model,
        emotions=list(EMOTIONS),
        preprocessing=preprocessing,
        face_size=size,
        face_color=color,
        temperature=0.4,
    )
    checkpoint = Checkpoint(Path("none"), metadata, network, "")
    faces = np.stack([picture(size, size, seed) for seed in range(5)])
    given_faces = np.stack([as_color(face, color) for face in faces])
    expected = predict_images(checkpoint, given_faces, device=torch.device("cpu"))
    with torch.inference_mode():
        found, logits = FaceClassifier(network, preprocessing, face_format, 0.4)(torch.from_numpy(faces))
    np.testing.assert_allclose(found.numpy(), expected, atol=2e-6)
    np.testing.assert_allclose((logits / 0.4).softmax(1).numpy(), found.numpy(), atol=1e-6)
