"""Ultralytics models: decoding with a known model, rejected files, and no side effects."""

import json
import os
import sys
import threading
import types
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from fercli.errors import DataError, FerError, UsageError
from fercli.faces.detectors import check_alignable, create_detector
from fercli.faces.safe_ultralytics import environment, safe_ultralytics
from fercli.faces.ultralytics_yolo import UltralyticsYolo, face_classes
from tests.helpers.datasets import noise, python
from tests.helpers.photographs import write_network
from tests.helpers.yolo import POINTS, SIDE, need_ultralytics, write_yolo

need_ultralytics()
torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def pose(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_yolo(tmp_path_factory.mktemp("yolo") / "pose.pt")


def cells(*places: tuple[int, int, int], side: int = SIDE) -> np.ndarray:
    """Return a black image of 4 x 4 cells with a red cell at each (row, column, red)."""
    pixels = np.zeros((side, side, 3), np.uint8)
    cell = side // 4
    for row, column, red in places:
        pixels[row * cell : row * cell + cell, column * cell : column * cell + cell, 0] = red
    return pixels


def test_cell_is_detected_in_place(pose: Path) -> None:
    first, second = UltralyticsYolo(pose).detect(cells((3, 0, 140), (1, 2, 255)))
    assert np.allclose(first.box, (0, 24, 8, 8), atol=1e-4)
    assert np.allclose(second.box, (16, 8, 8, 8), atol=1e-4)
    assert first.score == pytest.approx(1 / (1 + np.exp(10 - 20 * 140 / 255)), abs=1e-4)
    assert second.score == pytest.approx(1 / (1 + np.exp(-10)), abs=1e-4)
    assert second.landmarks is not None
    assert np.allclose(second.landmarks, [(16 + x, 8 + y) for x, y in POINTS], atol=1e-4)


@pytest.mark.parametrize(("side", "scale"), [(64, 2), (16, 0.5), (320, 10)])
def test_coordinates_are_mapped_to_the_photograph(pose: Path, side: int, scale: float) -> None:
    (face,) = UltralyticsYolo(pose).detect(cells((1, 2, 255), side=side))
    assert np.allclose(face.box, np.array((16, 8, 8, 8)) * scale, atol=1e-3)
    assert face.landmarks is not None
    assert np.allclose(face.landmarks, [((16 + x) * scale, (8 + y) * scale) for x, y in POINTS], atol=1e-3)


def test_non_square_image_is_letterboxed(pose: Path) -> None:
    """32 x 8 pixels become 32 x 32, with the image centred on a grey background."""
    pixels = np.zeros((8, 32, 3), np.uint8)
    pixels[:, 24:] = 255
    found = UltralyticsYolo(pose).detect(pixels)
    assert [face.box[2] for face in found] == pytest.approx([8.0, 8.0], abs=1e-3)  # its row of cells is split in two
    assert all(face.box[0] == pytest.approx(24, abs=1e-3) for face in found)


def test_channel_order_is_rgb_and_other_classes_are_ignored(pose: Path, tmp_path: Path) -> None:
    blue = np.ascontiguousarray(cells((1, 2, 255))[..., ::-1])
    assert UltralyticsYolo(pose).detect(blue) == []
    # In this model the last class responds to brightness, and it is not a face.
    other = write_yolo(tmp_path / "two.pt", names=("face", "hand"), points=())
    assert UltralyticsYolo(other).detect(cells((1, 2, 255))) == []
    (face,) = UltralyticsYolo(write_yolo(tmp_path / "turned.pt", names=("hand", "Human-Face"), points=())).detect(
        cells((1, 2, 255))
    )
    assert np.allclose(face.box, (16, 8, 8, 8), atol=1e-4)


def test_alignment_depends_on_the_weights(pose: Path, tmp_path: Path) -> None:
    assert UltralyticsYolo(pose).landmarks
    check_alignable("yolo", UltralyticsYolo(pose))
    for points in ((), ((1, 1), (2, 2))):
        detector = UltralyticsYolo(write_yolo(tmp_path / "fewer.pt", points=points))
        assert not detector.landmarks
        assert detector.detect(cells((1, 2, 255)))[0].landmarks is None
        with pytest.raises(
            UsageError, match=r"faces by with these weights; use a pose model with five keypoints, or use"
        ):
            check_alignable("yolo", detector)


@pytest.mark.slow
def test_onnx_export_gives_the_same_faces(pose: Path, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(_exported(pose, tmp_path))
    path = tmp_path / "pose.onnx"
    onnx.save(model, path)
    found = UltralyticsYolo(path)
    picture = cells((3, 0, 140), (1, 2, 255), side=64)
    assert found.landmarks
    for ours, theirs in zip(UltralyticsYolo(pose).detect(picture), found.detect(picture), strict=True):
        assert np.allclose(ours.box, theirs.box, atol=1e-3)
        assert ours.landmarks is not None
        assert theirs.landmarks is not None
        assert np.allclose(ours.landmarks, theirs.landmarks, atol=1e-3)


def _exported(pose: Path, folder: Path) -> Path:
    """Export with PyTorch, adding the metadata that ultralytics writes: its own exporter takes many seconds."""
    import onnx

    with safe_ultralytics() as ultralytics:
        model = ultralytics.YOLO(str(pose)).model
    model.eval()
    model.model[-1].export = True
    model.model[-1].format = "onnx"
    path = folder / "raw.onnx"
    torch.onnx.export(
        model, (torch.zeros(1, 3, SIDE, SIDE),), str(path), dynamo=False, input_names=["images"],
        output_names=["output0"], opset_version=17,
    )  # fmt: skip
    exported = onnx.load(path)
    data = {"names": {0: "face"}, "task": "pose", "imgsz": [SIDE, SIDE], "kpt_shape": [5, 3], "stride": 8, "batch": 1}
    for key, value in data.items():
        entry = exported.metadata_props.add()
        entry.key, entry.value = key, str(value)
    onnx.save(exported, path)
    return path


@pytest.mark.slow
def test_threads_give_the_same_results(pose: Path) -> None:
    own = threading.local()
    pictures = [cells((k % 4, k // 4 % 4, 255), side=48) for k in range(16)]
    threads = torch.get_num_threads()

    def detect(picture: np.ndarray) -> object:
        if not hasattr(own, "detector"):
            own.detector = UltralyticsYolo(pose)
        return own.detector.detect(picture)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(detect, pictures))
    assert found == [detect(picture) for picture in pictures]
    assert torch.get_num_threads() == threads


# --- rejected files ---


class _Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.path),)


def test_code_in_weights_is_not_run(pose: Path, tmp_path: Path) -> None:
    mark = tmp_path / "it ran"
    torch.save({"model": _Evil(mark)}, tmp_path / "evil.pt")
    write_yolo(tmp_path / "hidden.pt", optimizer=_Evil(mark))
    for name in ("evil", "hidden"):
        with pytest.raises(DataError, match=rf"{name}.pt: not loaded, .* not ultralytics' own \(\w+.mkdir\)"):
            create_detector("yolo", tmp_path / f"{name}.pt")
    assert not mark.exists()
    torch.load(tmp_path / "evil.pt", weights_only=False)  # unsafe loading does run it
    assert mark.exists()


def test_code_is_not_run_if_ultralytics_was_imported_before(tmp_path: Path) -> None:
    mark = tmp_path / "it ran"
    torch.save({"model": _Evil(mark)}, tmp_path / "evil.pt")
    with safe_ultralytics():
        from ultralytics.nn import tasks
    before = tasks.SAFE_LOAD
    tasks.SAFE_LOAD = False
    try:
        with pytest.raises(DataError, match="not ultralytics' own"):
            create_detector("yolo", tmp_path / "evil.pt")
        assert tasks.SAFE_LOAD is False
    finally:
        tasks.SAFE_LOAD = before
    assert not mark.exists()


def test_yolov5_weights_error_says_what_to_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("models.yolo")
    module.Model = type("Model", (torch.nn.Module,), {"__module__": "models.yolo"})  # type: ignore[attr-defined]
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "models", types.ModuleType("models"))
        patch.setitem(sys.modules, "models.yolo", module)
        torch.save({"model": module.Model()}, tmp_path / "v5.pt")
    with pytest.raises(DataError, match=r"saved by YOLOv5 .* export YOLOv5-face to ONNX .* --detector yolov5-face"):
        create_detector("yolo", tmp_path / "v5.pt")
    with pytest.raises(DataError, match=r"no class names.*--detector yolov5-face"):
        create_detector("yolo", write_network(tmp_path / "v5.onnx"))


def test_invalid_files_are_rejected_in_one_line(
    pose: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    data = pose.read_bytes()
    files = {
        "text.pt": b"hello",
        "empty.pt": b"",
        "cut.pt": data[: len(data) // 2],
        "text.onnx": b"hello",
        "a.txt": b"",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    torch.save({"model": {"a": torch.zeros(2)}}, tmp_path / "state.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    write_yolo(tmp_path / "dog.pt", names=("person", "dog"))
    write_yolo(tmp_path / "many.pt", names=tuple(f"class{k}" for k in range(80)), points=())
    messages = {
        "text.pt": "not a complete PyTorch file",
        "empty.pt": "not a complete PyTorch file",
        "cut.pt": "not a complete PyTorch file",
        "text.onnx": "not an ONNX file",
        "a.txt": "reads .pt files and ONNX exports",
        "state.pt": "not weights that ultralytics can load",
        "list.pt": "not weights that ultralytics can load",
        "dog.pt": "its classes are person, dog; use weights whose class is face",
        "many.pt": "its classes are class0, class1, class2, class3 and 76 more",
        "none.pt": "no such weights file",
    }
    for name, text in messages.items():
        with pytest.raises(DataError, match=f"{name}: .*{text}"):
            create_detector("yolo", tmp_path / name)
    assert capfd.readouterr() == ("", "")


def test_face_classes() -> None:
    names = ["face", "FACE", "Human-Face", "faces", "face_mask", "surface", "head", "no face", "frontal face", ""]
    assert face_classes(dict(enumerate(names))) == [0, 1, 2, 3, 8]


def test_missing_ultralytics_error_names_the_package(pose: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ultralytics", None)
    with pytest.raises(FerError, match=r"needs ultralytics; install it with: pip install 'fercli\[yolo\]'"):
        create_detector("yolo", pose)


def test_version_without_safe_loading_is_rejected(pose: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with safe_ultralytics():
        from ultralytics.nn import tasks
    monkeypatch.delattr(tasks, "SAFE_LOAD")
    with pytest.raises(FerError, match=r"would run code in the weights file; update it"):
        create_detector("yolo", pose)


# --- side effects ---


def test_environment_is_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FERCLI_ONE", "1")
    monkeypatch.delenv("FERCLI_TWO", raising=False)
    with environment(FERCLI_ONE="2", FERCLI_TWO="3"):
        assert (os.environ["FERCLI_ONE"], os.environ["FERCLI_TWO"]) == ("2", "3")
        os.environ["FERCLI_THREE"] = "4"
        del os.environ["FERCLI_ONE"]
    assert os.environ["FERCLI_ONE"] == "1"
    assert not {"FERCLI_TWO", "FERCLI_THREE"} & set(os.environ)


@pytest.mark.slow
def test_no_side_effects_and_no_network_access(pose: Path, tmp_path: Path) -> None:
    """Run in a separate process with an empty home and a monitored network."""
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    code = """
import json, os, socket, sys
from pathlib import Path
asked = []
def refuse(*a, **k):
    asked.append(repr(a)); raise OSError("no network")
socket.getaddrinfo = refuse; socket.socket.connect = refuse
import cv2, numpy as np, torch  # cv2 changes the environment too
lines = cv2.getNumThreads()
threads, before = torch.get_num_threads(), dict(os.environ)
from fercli.faces.detectors import create_detector
faces = create_detector("yolo", Path(sys.argv[1])).detect(np.full((32, 32, 3), 255, np.uint8))
import logging, warnings
from PIL import Image
logger = logging.getLogger("ultralytics")
others = [Image.open.__module__, torch.save.__module__, cv2.getNumThreads() == lines, logger.disabled]
changed = {k for k in {*before, *os.environ} if before.get(k) != os.environ.get(k)}
from ultralytics.nn import tasks
same = torch.get_num_threads() == threads
sys.stderr.write(json.dumps([len(faces), asked, sorted(changed), same, tasks.SAFE_LOAD, others]))
"""
    home = {"HOME": str(tmp_path / "home"), "FERCLI_CACHE": str(tmp_path / "cache")}
    with environment(**home):
        for name in ("XDG_CONFIG_HOME", "PYTEST_CURRENT_TEST", "YOLO_CONFIG_DIR"):
            os.environ.pop(name, None)
        started = python(code, pose, cwd=tmp_path / "work")
        out, err = started.communicate(timeout=120)
    assert json.loads(err) == [16, [], [], True, True, ["PIL.Image", "torch.serialization", True, False]]
    assert out == ""
    left = {path.relative_to(tmp_path / "home").as_posix() for path in (tmp_path / "home").rglob("*")}
    assert not [name for name in left if "ltralytics" in name]
    assert list((tmp_path / "work").iterdir()) == []
    assert (tmp_path / "cache" / "ultralytics" / "Ultralytics" / "settings.json").is_file()


def test_noise_of_any_shape_raises_no_warning(pose: Path, recwarn: pytest.WarningsRecorder) -> None:
    detector = UltralyticsYolo(pose)
    for shape in ((1, 1), (1, 500), (500, 1), (SIDE, SIDE, 3)):
        detector.detect(noise(0, *shape))
    assert not recwarn.list
