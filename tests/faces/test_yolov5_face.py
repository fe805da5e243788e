"""YOLOv5-face: decoding, letterboxing and mapping back, with a network whose output is known."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fercli.errors import DataError, FerError
from fercli.faces.detectors import create_detector
from fercli.faces.yolov5_face import DEFAULT_SIDE, Yolov5Face, decode, input_size
from tests.helpers.datasets import noise
from tests.helpers.photographs import SIDE, write_network


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_network(tmp_path_factory.mktemp("network") / "bright.onnx")


def row(x: float, y: float, side: float, objectness: float, score: float) -> list[float]:
    return [x, y, side, side, objectness, *range(10), score]


def test_decode_matches_hand_computed_values() -> None:
    output = np.array(
        [
            row(50, 40, 20, 0.9, 0.7),  # 0.63
            row(52, 40, 20, 0.9, 0.9),  # 0.81: suppresses the first
            row(90, 40, 20, 1.0, 0.49),  # below the threshold
            row(10, 10, 20, 0.8, 0.8),
            row(30, 30, 20, np.nan, 0.8),
            row(np.inf, 30, 20, 0.9, 0.8),
        ]
    )
    faces = decode(output)
    assert np.allclose(faces[:, :4], [[42, 30, 62, 50], [0, 0, 20, 20]])
    assert np.allclose(faces[:, 14], [0.81, 0.64])
    assert np.array_equal(faces[0, 4:14], np.arange(10))
    assert decode(np.zeros((5, 16))).shape == (0, 15)


@pytest.mark.parametrize(
    ("shape", "scale", "left", "top"),
    [((32, 32), 1, 0, 0), ((64, 64), 0.5, 0, 0), ((32, 64), 0.5, 0, 8), ((16, 8), 2, 8, 0)],
)
def test_square_is_detected_in_place(network: Path, shape: tuple[int, int], scale: float, left: int, top: int) -> None:
    """The network's square, (8, 8) to (16, 16) of its input, is mapped back to the photograph."""
    pixels = np.zeros((*shape, 3), np.uint8)
    low, high = ((np.array([8, 8]) - (top, left)) / scale).astype(int), ((np.array([16, 16]) - (top, left)) / scale)
    pixels[low[0] : int(high[0]), low[1] : int(high[1]), 0] = 255
    (face,) = Yolov5Face(network).detect(pixels)
    side = 8 / scale
    assert face.box == (low[1], low[0], side, side)
    assert face.score > (0.999 if scale <= 1 else 0.9)  # enlarging softens the edges
    assert face.landmarks is not None
    expected = [(low[1] + x / scale, low[0] + y / scale) for x, y in ((2, 2), (6, 2), (4, 4), (2, 6), (6, 6))]
    assert np.allclose(face.landmarks, expected)


def test_channel_order_is_rgb(network: Path) -> None:
    blue = np.zeros((32, 32, 3), np.uint8)
    blue[8:16, 8:16, 2] = 255
    assert Yolov5Face(network).detect(blue) == []


def test_score_is_the_networks(network: Path) -> None:
    pixels = np.zeros((32, 32), np.uint8)
    pixels[:8, :8] = 204
    (face,) = Yolov5Face(network).detect(pixels)
    assert face.score == pytest.approx(0.8)


def tensors(shape: list[Any], result: list[Any], kind: str = "tensor(float)") -> tuple[list[Any], list[Any]]:
    return [SimpleNamespace(shape=shape, type=kind)], [SimpleNamespace(shape=result)]


@pytest.mark.parametrize(
    ("shape", "result", "size"),
    [
        ([1, 3, 320, 320], [1, 6300, 16], (320, 320)),
        ([1, 3, 384, 640], [1, "n", 16], (384, 640)),
        (["batch", 3, "height", "width"], [1, 6300, 16], (320, 320)),
        ([1, 3, None, None], [1, 25200, 16], (640, 640)),
        ([1, 3, "h", "w"], [1, "n", "m"], (DEFAULT_SIDE, DEFAULT_SIDE)),
    ],
)
def test_input_size_is_derived_from_the_model(shape: list[Any], result: list[Any], size: tuple[int, int]) -> None:
    assert input_size(*tensors(shape, result)) == size


@pytest.mark.parametrize(
    ("shape", "result", "text"),
    [
        ([1, 1, 320, 320], [1, 6300, 16], "input 1 x 1 x 320 x 320"),
        ([4, 3, 320, 320], [1, 6300, 16], "input 4 x 3"),
        ([1, 3, 320, 320], [1, 6300, 85], "output shape 1 x 6300 x 85, expected 1 x N x 16"),
        ([1, 3, 320, 320], [1, 3, 80, 80, 16], "output shape 1 x 3 x 80"),
        ([1, 3, "h", "w"], [1, 6301, 16], "cannot be derived from the 6301 output rows"),
    ],
)
def test_wrong_shapes_are_rejected(shape: list[Any], result: list[Any], text: str) -> None:
    with pytest.raises(Exception, match=text):
        input_size(*tensors(shape, result))


def test_invalid_files_are_rejected_in_one_line(tmp_path: Path) -> None:
    files = {
        "text.onnx": b"no network",
        "empty.onnx": b"",
        "weights.pt": b"PK\x03\x04" + bytes(99),
        "columns.onnx": write_network(tmp_path / "17", columns=17).read_bytes(),
        "outputs.onnx": write_network(tmp_path / "2", outputs=2).read_bytes(),
    }
    messages = {
        "text.onnx": "not an ONNX file",
        "empty.onnx": "not an ONNX file",
        "weights.pt": "a PyTorch file, .* ONNX export",
        "columns.onnx": "output shape 1 x 16 x 17, expected 1 x N x 16",
        "outputs.onnx": "1 inputs and 2 outputs",
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(DataError, match=f"{name}: .*{messages[name]}"):
            create_detector("yolov5-face", tmp_path / name)
    with pytest.raises(DataError, match="no such weights file"):
        create_detector("yolov5-face", tmp_path / "none.onnx")


def test_missing_onnxruntime_error_names_the_package(network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(FerError, match=r"needs onnxruntime; install it with: pip install 'fercli\[onnx\]'"):
        create_detector("yolov5-face", network)


def test_noise_of_any_shape_raises_no_warning(network: Path, recwarn: pytest.WarningsRecorder) -> None:
    detector = Yolov5Face(network)
    for shape in ((1, 1), (1, 500), (500, 1), (SIDE, SIDE, 3)):
        detector.detect(noise(0, *shape))
    assert not recwarn.list
