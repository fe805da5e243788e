"""DeepFace's detectors: conversion of their output, and errors for missing packages and weights."""

import json
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fercli.errors import FerError
from fercli.faces import deepface_backends
from fercli.faces.deepface_backends import BACKENDS, DeepFaceBackend, weights_folder
from fercli.faces.detectors import DEEPFACE, DETECTORS, create_detector
from fercli.images import Pixels, read_image
from tests.helpers.datasets import python
from tests.helpers.photographs import HOPPER, photograph
from tests.helpers.yolo import need_ultralytics

pytest.importorskip("deepface")


def area(x: int, y: int, w: int, h: int, **marks: Any) -> dict[str, Any]:
    return {"x": x, "y": y, "w": w, "h": h, "left_eye": None, "right_eye": None, **marks}


@pytest.fixture
def faked(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Create a detector whose DeepFace returns the given detections."""

    def make(backend: str, *answer: tuple[dict[str, Any], float], seen: list[Any] | None = None) -> DeepFaceBackend:
        def extract(bgr: Pixels, **options: Any) -> list[dict[str, Any]]:
            if seen is not None:
                seen.append((bgr, options))
            return [{"face": bgr, "facial_area": where, "confidence": score} for where, score in answer]

        monkeypatch.setattr(deepface_backends, "import_extract_faces", lambda name: extract)
        return DeepFaceBackend(backend)

    return make


def test_table_matches_deepface() -> None:
    from deepface.modules.modeling import AVAILABLE_MODELS

    table = {spec.name.removeprefix(DEEPFACE): spec for spec in DETECTORS if spec.name.startswith(DEEPFACE)}
    assert set(table) == set(BACKENDS)
    # The package mtcnn runs on Keras, which brings TensorFlow.
    assert set(AVAILABLE_MODELS["face_detector"]) - {"mtcnn"} <= set(BACKENDS)
    assert {name for name, spec in table.items() if spec.landmarks} == {n for n, b in BACKENDS.items() if b.eyes}


def test_whole_image_with_zero_confidence_is_no_face(faked: Any) -> None:
    pixels = np.zeros((40, 60, 3), np.uint8)
    # As DeepFace returns it: the whole image less one pixel.
    assert faked("ssd", (area(0, 0, 59, 39), 0.0)).detect(pixels) == []
    (face,) = faked("ssd", (area(0, 0, 59, 39), 0.8)).detect(pixels)
    assert face.box == (0, 0, 59, 39)
    (face,) = faked("dlib", (area(5, 4, 30, 30), 0.0)).detect(pixels)  # dlib's scores can be near 0
    assert face.box == (5, 4, 30, 30)


def test_landmarks_are_converted_to_image_sides(faked: Any) -> None:
    eyes = {"left_eye": (30, 12), "right_eye": (14, 10)}
    (face,) = faked("fastmtcnn", (area(5, 4, 30, 30, **eyes), 0.9)).detect(np.zeros((40, 60, 3), np.uint8))
    assert face.landmarks == ((14, 10), (30, 12))
    rest = {"nose": (22, 20), "mouth_left": (28, 28), "mouth_right": (16, 27)}
    (face,) = faked("retinaface", (area(5, 4, 30, 30, **eyes, **rest), 0.9)).detect(np.zeros((40, 60, 3), np.uint8))
    assert face.landmarks == ((14, 10), (30, 12), (22, 20), (16, 27), (28, 28))
    rest["nose"] = None
    (face,) = faked("retinaface", (area(5, 4, 30, 30, **eyes, **rest), 0.9)).detect(np.zeros((40, 60, 3), np.uint8))
    assert face.landmarks == ((14, 10), (30, 12))
    (face,) = faked("fastmtcnn", (area(5, 4, 30, 30), 0.9)).detect(np.zeros((40, 60, 3), np.uint8))
    assert face.landmarks is None
    # Eyes found by the cascade do not count.
    (face,) = faked("ssd", (area(5, 4, 30, 30, **eyes), 0.9)).detect(np.zeros((40, 60, 3), np.uint8))
    assert face.landmarks is None


def test_deepface_gets_bgr_and_neither_aligns_nor_expands(faked: Any) -> None:
    seen: list[Any] = []
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[..., 0] = 200
    faked("fastmtcnn", seen=seen).detect(pixels)
    bgr, options = seen[-1]
    assert np.array_equal(bgr, pixels[..., ::-1])
    assert bgr.flags["C_CONTIGUOUS"]
    assert options == {
        "detector_backend": "fastmtcnn",
        "enforce_detection": False,
        "align": False,
        "expand_percentage": 0,
        "normalize_face": False,
    }


def test_large_images_are_downscaled_and_mapped_back(faked: Any) -> None:
    seen: list[Any] = []
    eyes = {"left_eye": (200, 120), "right_eye": (140, 118)}
    detector = faked("fastmtcnn", (area(100, 80, 120, 160, **eyes), 0.9), seen=seen)
    (face,) = detector.detect(np.zeros((1024, 4096), np.uint8))
    assert seen[-1][0].shape == (256, 1024, 3)
    assert face.box == (400, 320, 480, 640)
    assert face.landmarks == ((560, 472), (800, 480))


def test_cascade_score_increases_with_confidence(faked: Any) -> None:
    sure, unsure = (100 - 7.0) / 100, (100 - 2.0) / 100  # DeepFace inverts the cascade's sum
    found = faked("opencv", (area(0, 0, 20, 20), unsure), (area(20, 0, 20, 20), sure)).detect(
        np.zeros((40, 60, 3), np.uint8)
    )
    assert [round(face.score, 6) for face in found] == [2, 7]


@pytest.mark.slow
def test_cascade_detects_the_portrait() -> None:
    (face,) = create_detector("deepface:opencv").detect(read_image(HOPPER))
    left, top, width, height = face.box
    assert abs(left + width / 2 - 266) < 15
    assert abs(top + height / 2 - 220) < 30
    assert 170 < width < 260


@pytest.mark.slow
def test_threads_give_the_same_results() -> None:
    pictures = [photograph((10 + 3 * k, 20, 90), width=200) for k in range(6)]
    alone = [create_detector("deepface:opencv").detect(picture) for picture in pictures]
    own = threading.local()

    def detect(picture: Pixels) -> Any:
        if not hasattr(own, "detector"):
            own.detector = create_detector("deepface:opencv")
        return own.detector.detect(picture)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(detect, pictures * 3)) == alone * 3
    assert all(alone)


# --- missing packages and weights ---


@pytest.mark.parametrize("backend", ["fastmtcnn", "dlib", "mediapipe"])
def test_missing_backend_error_names_the_package(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, package = BACKENDS[backend].package
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        FerError, match=rf"deepface:{backend}: needs {module}; install it with: pip install '{package}'"
    ):
        create_detector(f"deepface:{backend}")


def test_missing_deepface_error_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "deepface", None)
    with pytest.raises(FerError, match=r"needs deepface; install it with: pip install 'fercli\[deepface\]'"):
        create_detector("deepface:opencv")


def test_missing_weights_error_names_files_and_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from deepface.commons import weight_utils

    def unreachable(url: str) -> None:
        print("trying", url)
        raise OSError("no network")

    monkeypatch.setenv("DEEPFACE_HOME", str(tmp_path))
    monkeypatch.setattr(weight_utils, "ensure_source_is_reachable", unreachable, raising=False)
    weights_folder().mkdir(parents=True)
    with pytest.raises(FerError, match=r"put deploy.prototxt and res10_\S+ into \S+weights, or set \$DEEPFACE_HOME$"):
        create_detector("deepface:ssd")
    assert capfd.readouterr() == ("", "")


def test_damaged_weights_error_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPFACE_HOME", str(tmp_path))
    weights_folder().mkdir(parents=True)
    (weights_folder() / "centerface.onnx").write_bytes(b"no network")
    with pytest.raises(FerError, match=r"centerface.onnx in \S+ cannot be used .*; remove damaged files to"):
        create_detector("deepface:centerface")


def test_yolo_backend_runs_no_code_in_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    need_ultralytics()
    mark = tmp_path / "it ran"

    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(mark),)

    monkeypatch.setenv("DEEPFACE_HOME", str(tmp_path))
    weights_folder().mkdir(parents=True)
    torch.save({"model": Evil()}, weights_folder() / "yolov8n-face.pt")
    with pytest.raises(FerError, match=r"yolov8n-face.pt in \S+ cannot be used"):
        create_detector("deepface:yolov8n")
    assert not mark.exists()


@pytest.mark.slow
def test_no_output_and_no_tensorflow_import(tmp_path: Path) -> None:
    code = """
import json, os, sys
import cv2
before = dict(os.environ)
from fercli.faces.detectors import create_detector
import numpy as np
found = create_detector("deepface:opencv").detect(np.zeros((64, 64), np.uint8))
changed = {k for k in {*before, *os.environ} if before.get(k) != os.environ.get(k)}
sys.stderr.write(json.dumps([found, sorted(changed), "tensorflow" in sys.modules]))
"""
    with deepface_backends.environment(DEEPFACE_HOME=str(tmp_path), HOME=str(tmp_path / "home")):
        os.environ.pop("DEEPFACE_BACKEND_ENGINE", None)
        out, err = python(code).communicate(timeout=120)
    assert json.loads(err) == [[], [], False]
    assert out == ""
