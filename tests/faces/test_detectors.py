"""Behaviour common to all detectors, on photographs that come with the dependencies."""

import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from fercli.errors import DataError, FerError, UsageError
from fercli.faces.base import Detector, Face, clip_to_image
from fercli.faces.detectors import DETECTORS, create_detector, detector_weights, find_detector
from fercli.images import Pixels, read_image
from tests.helpers.datasets import noise
from tests.helpers.photographs import HOPPER, photograph, write_network
from tests.helpers.yolo import need_ultralytics, write_yolo

WEIGHTS = Path(os.environ.get("FERCLI_REAL_DATA", "")) / "weights"
FILES = {"yunet": "face_detection_yunet_2023mar.onnx", "yolov5-face": "yolov5n-0.5-face-320.onnx"}
REAL = [pytest.mark.real, pytest.mark.skipif(not WEIGHTS.is_dir(), reason="FERCLI_REAL_DATA names no folder")]
BRIGHT_YOLOV5 = "yolov5-face with synthetic weights"
BRIGHT_YOLO = "yolo with synthetic weights"
OFFLINE = "deepface:opencv"
"""The DeepFace detector that only needs OpenCV."""


def _params() -> list[object]:
    needing = [pytest.param(spec.name, marks=REAL) for spec in DETECTORS if spec.weights]
    return ["haar", OFFLINE, BRIGHT_YOLOV5, BRIGHT_YOLO, *needing]


@pytest.fixture(scope="module", params=_params())
def detector(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Detector:
    name = request.param
    if name == BRIGHT_YOLOV5:
        return create_detector("yolov5-face", write_network(tmp_path_factory.mktemp("network") / "bright.onnx"))
    if name == BRIGHT_YOLO:
        need_ultralytics()
        return create_detector("yolo", write_yolo(tmp_path_factory.mktemp("network") / "bright.pt"))
    if name == OFFLINE:
        pytest.importorskip("deepface")
    return create_detector(name, WEIGHTS / FILES[name] if name in FILES else None)


@pytest.fixture
def picture(request: pytest.FixtureRequest) -> Pixels:
    """Two faces, or bright squares for the synthetic weights; the larger one on the right."""
    if BRIGHT_YOLOV5 in request.node.name or BRIGHT_YOLO in request.node.name:
        pixels = np.full((320, 320, 3), 60, np.uint8)
        pixels[10:70, 10:70] = pixels[80:240, 160:320] = 255
        return pixels
    return photograph((10, 20, 130), (170, 10, 220), width=400, height=240)


def check(faces: list[Face], pixels: Pixels) -> None:
    """Check that boxes are finite, of positive size, within the image, and sorted, largest first."""
    height, width = pixels.shape[:2]
    for face in faces:
        left, top, wide, high = face.box
        assert np.isfinite([*face.box, face.score]).all()
        assert wide >= 1
        assert high >= 1
        assert left >= 0
        assert top >= 0
        assert left + wide <= width + 1e-6
        assert top + high <= height + 1e-6
        assert face.landmarks is None or (len(face.landmarks) in (2, 5) and np.isfinite(face.landmarks).all())
    sizes = [face.box[2] * face.box[3] for face in faces]
    assert sizes == sorted(sizes, reverse=True)


def test_faces_are_sorted_by_size(detector: Detector, picture: Pixels) -> None:
    faces = detector.detect(picture)
    check(faces, picture)
    assert len(faces) >= 2
    assert any(face.box[0] >= 130 for face in faces)
    spec = find_detector(detector.name)
    assert all((face.landmarks is not None) == detector.landmarks for face in faces)
    assert spec.landmarks in (None, detector.landmarks)


def test_landmarks_are_ordered(detector: Detector, picture: Pixels) -> None:
    for face in detector.detect(picture):
        if face.landmarks is not None:
            (x0, y0), (x1, y1), (xn, yn), (x2, y2), (x3, y3) = face.landmarks
            assert x0 < xn < x1
            assert x2 < x3
            assert max(y0, y1) < yn < min(y2, y3)


def test_grey_and_rgb_give_the_same_faces(detector: Detector, picture: Pixels) -> None:
    grey = np.ascontiguousarray(picture[..., 1])
    alone, threefold = detector.detect(grey), detector.detect(np.repeat(grey[..., None], 3, 2))
    assert len(alone) >= 2
    assert np.allclose([face.box for face in alone], [face.box for face in threefold])


def test_blank_image_has_no_face(detector: Detector) -> None:
    for value in (0, 80):
        assert detector.detect(np.full((200, 300, 3), value, np.uint8)) == []
        assert detector.detect(np.full((64, 64), value, np.uint8)) == []


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1, 3), (9, 9), (23, 25, 3), (2, 20_000), (40_000, 3, 3)])
def test_unusual_image_shapes(detector: Detector, shape: tuple[int, ...]) -> None:
    pixels = noise(0, *shape)
    check(detector.detect(pixels), pixels)


@pytest.mark.slow
def test_boxes_in_a_huge_image_are_mapped_back(detector: Detector, picture: Pixels) -> None:
    huge = np.ascontiguousarray(picture.repeat(12, 0).repeat(12, 1))
    faces = detector.detect(huge)
    check(faces, huge)
    small = detector.detect(picture)[0]
    assert np.allclose(np.array(faces[0].box) / 12, small.box, atol=0.15 * small.box[2])


def test_detection_is_deterministic(detector: Detector, picture: Pixels) -> None:
    first = detector.detect(picture)
    detector.detect(noise(1, 70, 110, 3))  # earlier images have no effect
    assert detector.detect(picture) == first


def test_input_is_not_modified(detector: Detector, picture: Pixels) -> None:
    picture = picture.copy()
    before = picture.copy()
    picture.flags.writeable = False
    detector.detect(picture)
    assert np.array_equal(picture, before)


def test_haar_detects_the_portrait_in_place() -> None:
    (face,) = create_detector("haar").detect(read_image(HOPPER))
    left, top, width, height = face.box
    assert abs(left + width / 2 - 266) < 15  # the tip of the nose
    assert abs(top + height / 2 - 220) < 30
    assert 170 < width < 260


@pytest.mark.real
@pytest.mark.skipif(not WEIGHTS.is_dir(), reason="FERCLI_REAL_DATA names no folder")
@pytest.mark.parametrize("name", list(FILES))
def test_faces_in_photographs_of_dependencies(name: str) -> None:
    found = find_spec("ultralytics")  # without importing it
    assert found is not None
    assert found.origin is not None
    assets = Path(found.origin).parent / "assets"
    detector = create_detector(name, WEIGHTS / FILES[name])
    assert len(detector.detect(read_image(assets / "zidane.jpg"))) == 2
    assert len(detector.detect(read_image(assets / "bus.jpg"))) >= 2
    (face,) = detector.detect(read_image(HOPPER))
    assert face.landmarks is not None
    assert np.allclose(face.landmarks, [(225, 194), (307, 191), (265, 240), (230, 273), (301, 270)], atol=9)


# --- the table ---


def test_names_are_unique_and_typos_get_suggestions() -> None:
    assert len({spec.name for spec in DETECTORS}) == len(DETECTORS)
    with pytest.raises(UsageError, match="no detector 'yunt'; did you mean yunet"):
        create_detector("yunt")


def test_deepface_typos_get_deepface_suggestions() -> None:
    with pytest.raises(UsageError, match=r"no detector 'deepface:retinafce'; did you mean retinaface\?"):
        find_detector("deepface:retinafce")
    with pytest.raises(UsageError, match=r"no detector 'deepface:'; DeepFace has opencv, ssd, .*, yolov12l"):
        find_detector("deepface:")
    with pytest.raises(UsageError, match="no detector 'fastmtcnn'; did you mean deepface:fastmtcnn"):
        find_detector("fastmtcnn")


def test_unexpected_and_missing_weights_are_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FERCLI_CACHE", str(tmp_path))
    with pytest.raises(UsageError, match="haar accepts no weights"):
        create_detector("haar", HOPPER)
    with pytest.raises(UsageError, match=r"deepface:opencv accepts no weights; DeepFace's own are in .*\.deepface"):
        create_detector("deepface:opencv", HOPPER)
    with pytest.raises(UsageError, match=r"yolo: pass face weights .* with --weights FILE"):
        create_detector("yolo")
    with pytest.raises(FerError, match="weights not found; run fer weights get yunet, or pass --weights FILE"):
        create_detector("yunet")
    with pytest.raises(FerError, match=r"export them from .*yolov5-face and pass --weights FILE"):
        create_detector("yolov5-face")


def test_detector_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPFACE_HOME", str(tmp_path))
    assert detector_weights("haar") == []
    assert detector_weights("yolo", HOPPER) == [HOPPER]
    assert detector_weights("yunet", HOPPER) == [HOPPER]
    assert detector_weights("deepface:yunet") == []
    kept = tmp_path / ".deepface" / "weights" / "face_detection_yunet_2023mar.onnx"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"weights")
    assert detector_weights("deepface:yunet") == [kept]
    with pytest.raises(DataError, match="no such weights file"):
        detector_weights("yolo", tmp_path / "none.pt")


def test_yunet_rejects_other_files_in_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty.onnx").write_bytes(b"")
    (tmp_path / "text.onnx").write_bytes(b"no network")
    write_network(tmp_path / "other.onnx")
    for name in ("empty", "text", "other"):
        with pytest.raises(DataError, match=f"{name}.onnx: not YuNet's ONNX file"):
            create_detector("yunet", tmp_path / f"{name}.onnx")
    assert capfd.readouterr().err == ""


def test_boxes_are_clipped_and_sorted() -> None:
    faces = [
        Face((-5, -5, 10, 10), 0.5),
        Face((50, 50, 60, 20), 0.9),
        Face((200, 0, 9, 9), 1.0),
        Face((-9, 0, 9, 9), 1),
    ]
    found = clip_to_image(faces, 60, 100)
    assert [face.box for face in found] == [(50, 50, 50, 10), (0, 0, 5, 5)]
    assert clip_to_image(list(reversed(faces)), 60, 100) == found
