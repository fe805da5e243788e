"""The comparison of the whole graph with `fer predict` on drawn photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fercli.errors import FerError
from fercli.faces.cropping import crop_face
from fercli.faces.yunet import YuNet
from fercli.images import Pixels
from fercli.stages.export.photograph import parity
from fercli.stages.export.photograph.parity import compare_photographs
from fercli.stages.export.photograph.whole import Faces
from tests.helpers.yunet import bright_photograph, write_yunet

pytest.importorskip("onnx")
pytestmark = pytest.mark.slow


def classify(faces: Pixels) -> np.ndarray:
    """Return made-up probabilities (N, 2)."""
    mean = faces.mean((1, 2, 3), dtype=np.float64)[:, None] / 255
    return np.hstack([mean, 1 - mean]).astype(np.float32)


class Session:
    """What the whole graph should compute, with an error."""

    def __init__(self, weights: Path, box: float = 0.0, probability: float = 0.0, keep: int | None = None) -> None:
        self.detector = YuNet(weights)
        self.box, self.probability, self.keep = box, probability, keep

    def __call__(self, pixels: Pixels) -> Faces:
        faces = self.detector.detect(pixels)[: self.keep]
        if not faces:
            return Faces(np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty((0, 2), np.float32))
        crops = np.stack([crop_face(pixels, face, 16, "rgb") for face in faces])
        boxes = np.array([face.box for face in faces], np.float32) + np.float32(self.box)
        return Faces(boxes, np.array([face.score for face in faces]), classify(crops) + np.float32(self.probability))


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for YuNet, and photographs on which it finds something."""
    monkeypatch.setattr(parity, "photographs", lambda: [bright_photograph(480, 640), np.zeros((90, 120, 3), np.uint8)])
    return write_yunet(tmp_path / "yunet.onnx")


def test_equal_faces_pass(weights: Path) -> None:
    found = compare_photographs(Session(weights, 0.5, 5e-4), classify, weights, 16, "rgb")
    assert found.n == 2
    assert found.faces > 0
    assert found.largest_box == pytest.approx(0.5, abs=1e-3)
    assert found.largest_probability == pytest.approx(5e-4, rel=0.01)


@pytest.mark.parametrize(
    ("session", "message"),
    [
        ({"box": 1.5}, "in drawn photograph 1, a box lies 1.50 pixels apart"),
        ({"probability": 0.01}, "in drawn photograph 1, a probability differs by 0.0100"),
        ({"probability": float("nan")}, "a probability differs by nan"),
        ({"keep": 0}, "in drawn photograph 1, 0 faces instead of"),
    ],
)
def test_different_faces_do_not(session: dict[str, float], message: str, weights: Path) -> None:
    with pytest.raises(FerError, match=message):
        compare_photographs(Session(weights, **session), classify, weights, 16, "rgb")  # type: ignore[arg-type]


def test_nothing_to_compare(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parity, "photographs", lambda: [np.zeros((90, 120, 3), np.uint8)])
    with pytest.raises(FerError, match="found no face in the drawn photographs"):
        compare_photographs(Session(weights), classify, weights, 16, "rgb")


def test_photographs_are_of_many_kinds() -> None:
    shapes = {pixels.shape for pixels in parity.photographs()}
    longest = [max(shape) for shape in shapes]
    assert min(longest) < 320 < 1280 < max(longest)
    assert all(shape[2] == 3 for shape in shapes)
