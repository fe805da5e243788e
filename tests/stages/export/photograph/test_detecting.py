"""Detection in the graph: OpenCV's resizing pixel by pixel, and the faces of its detector."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fercli.faces.scaling import reduce_to
from fercli.faces.yunet import YuNet
from fercli.stages.export.photograph.detecting import decode, network, reduce_photograph
from fercli.stages.export.photograph.nodes import Nodes
from tests.helpers.onnx_graphs import run, run_all
from tests.helpers.yunet import bright_photograph, write_yunet

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

SIZES = [
    (330, 250),
    (384, 512),
    (600, 512),
    (640, 480),
    (700, 933),
    (1080, 405),
    (1280, 1920),
    (1500, 2560),
    (50, 70),
    (1, 1),
]


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[1]}x{size[0]}")
def test_photographs_are_reduced_as_by_opencv(size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    longest = max(size)
    small, _ = reduce_to(pixels, min(longest, 640, max(320, longest // 2)))
    found = run(lambda g: reduce_photograph(g, "photo").image, photo=pixels)
    height, width = small.shape[:2]
    assert found.shape == (1, 3, -(-height // 32) * 32, -(-width // 32) * 32)
    assert np.array_equal(found[0, :, :height, :width], small[..., ::-1].transpose(2, 0, 1))
    assert not found[0, :, height:].any()
    assert not found[0, :, :, width:].any()


@pytest.mark.slow
@pytest.mark.parametrize("size", [(480, 640), (600, 512), (1000, 700), (90, 130), (1300, 2000)])
def test_faces_are_those_of_opencvs_detector(size: tuple[int, int], tmp_path: Path) -> None:
    file = write_yunet(tmp_path / "yunet.onnx")
    pixels = bright_photograph(*size)
    proto = onnx.load(file)

    def build(g: Nodes) -> dict[str, str]:
        reduced = reduce_photograph(g, "photo")
        nodes, weights, outputs = network(proto, "yunet/", reduced.image, 20)
        g.nodes += [onnx.helper.make_node("Constant", [], [one.name], value=one) for one in weights] + nodes
        found = decode(g, reduced, outputs)
        return {name: getattr(found, name) for name in ("boxes", "landmarks", "scores")}

    found, expected = run_all(build, photo=pixels), YuNet(file).detect(pixels)
    assert len(expected) > (0 if size[0] > 90 else -1)
    assert np.allclose(found["boxes"], np.array([face.box for face in expected]).reshape(-1, 4), atol=0.01)
    assert np.allclose(found["scores"], [face.score for face in expected], atol=1e-4)
    points = np.array([face.landmarks for face in expected]).reshape(-1, 10)
    assert np.allclose(found["landmarks"], points, atol=0.01)
