"""Crops in the graph have the pixels of `crop_face`."""

from __future__ import annotations

import numpy as np
import pytest

from fercli.faces.base import Face
from fercli.faces.cropping import crop_face
from fercli.stages.export.photograph.cropping import crops
from tests.helpers.onnx_graphs import run

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

PHOTO = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
"""Noise: every pixel counts."""


def boxes(scale: float, number: int = 12) -> np.ndarray:
    """Return random boxes whose longer side is about `scale` times 48 pixels; some touch an edge."""
    generator = np.random.default_rng(round(10 * scale))
    sides = 48 * scale * generator.uniform(0.6, 1, (number, 2))
    starts = generator.uniform(0, 1, (number, 2)) * (np.array([400, 300]) - sides)
    starts[0], starts[1] = 0, np.array([400, 300]) - sides[1]
    sides[2, 0] = sides[2, 1] / 5  # narrow and at the edge, as a face that is cut off
    starts[2, 0] = 0
    return np.hstack([starts, sides])


@pytest.mark.parametrize("size", [16, 48])
@pytest.mark.parametrize("scale", [0.2, 0.9, 1.0, 1.6, 2.7, 5.5])
def test_crops_are_those_of_crop_face(scale: float, size: int) -> None:
    given = boxes(scale)
    found = run(lambda g: crops(g, "photo", "boxes", "number", size), photo=PHOTO, boxes=given, number=np.array(12))
    expected = np.stack([crop_face(PHOTO, Face(tuple(box), 1.0), size, "rgb") for box in given.tolist()])
    assert found.dtype == np.uint8
    assert np.array_equal(found, expected)


def test_whole_pixels() -> None:
    given = np.array([[10.0, 20.0, 48.0, 48.0], [10.0, 20.0, 96.0, 96.0], [0.0, 0.0, 400.0, 300.0]])
    found = run(lambda g: crops(g, "photo", "boxes", "number", 48), photo=PHOTO, boxes=given, number=np.array(3))
    assert np.array_equal(found[0], PHOTO[20:68, 10:58])
    for one, box in zip(found, given.tolist(), strict=True):
        assert np.array_equal(one, crop_face(PHOTO, Face(tuple(box), 1.0), 48, "rgb"))
