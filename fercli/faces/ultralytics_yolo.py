"""Face weights of YOLOv8, YOLO11 and their like, run by ultralytics."""

from __future__ import annotations

import ast
import math
import re
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from fercli.errors import DataError, UsageError
from fercli.faces.base import Face, in_picture, pairs, xyxy_to_xywh
from fercli.faces.safe_ultralytics import safe_ultralytics
from fercli.faces.scaling import letterbox
from fercli.files import missing_message
from fercli.images import Color, Pixels, as_color

SCORE = 0.5
OVERLAP = 0.5
LANDMARKS = 5
REACH = 20
"""Side of the smallest face that it is taken to find well, pixels of its input."""
USUAL = 640
"""The side that a picture is searched at where the weights do not say."""
WANTED = (
    "yolo: give face weights of YOLOv8, YOLO11 or later by --weights FILE (.pt or .onnx); none are published with "
    "fercli: train some with ultralytics on a set of faces (WIDER FACE), or take others' that name their class face"
)
_OWN = ("ultralytics.", "torch.", "numpy.", "pathlib.", "builtins.getattr")
_PLAIN = {"human", "person", "people", "frontal"}


class UltralyticsYolo:
    """A detection or pose model of ultralytics whose class is face. It runs on the CPU, where pictures run in threads.

    Args:
        weights: A `.pt`, loaded without running any code in it, or an ONNX export by ultralytics.

    Raises:
        FerError: ultralytics is not installed.
        UsageError: no weights are given.
        DataError: the file holds something else.

    Attributes:
        landmarks: Whether it is a pose model of five points: both eyes, the nose, the mouth's corners.
    """

    name = "yolo"
    color: Color = "rgb"

    def __init__(self, weights: Path | None) -> None:
        if weights is None:
            raise UsageError(WANTED)
        if not weights.is_file():
            raise DataError(missing_message(weights, "weights file"))
        # Whole, for ultralytics takes some names for addresses, or for weights to be fetched.
        path = weights.resolve()
        with safe_ultralytics() as ultralytics:
            _check_file(weights)
            try:
                self._model = ultralytics.YOLO(str(path), task=_task_of(path))
                self._side, self._fixed = _input_of(self._model, path)
                names, shape = self._warm_up()
            except DataError:
                raise
            except Exception as error:  # it raises anything
                raise DataError(f"{weights}: {_reason(weights)}") from error
        self.tile = self._side
        self.reach = max(1, min(REACH, self.tile // 16))
        self._classes = face_classes(names)
        if self._model.task not in ("detect", "pose"):
            raise DataError(f"{weights}: a model for {self._model.task}; give one for detection or pose")
        if not self._classes:
            raise DataError(f"{weights}: its classes are {_told(names)}; give weights whose class is face")
        self.landmarks = self._model.task == "pose" and shape is not None and shape[0] == LANDMARKS

    def detect(self, pixels: Pixels) -> list[Face]:
        """Return the faces, the largest first. The score is in 0..1."""
        height, width = pixels.shape[:2]
        boxed, scaling = letterbox(as_color(pixels, "rgb"), *self._size(height, width))
        result = self._predict(boxed, classes=self._classes)
        boxes = np.asarray(result.boxes.xyxy, np.float64).reshape(-1, 4)
        scores = np.asarray(result.boxes.conf, np.float64)
        points = np.empty((len(boxes), 0))
        if self.landmarks:
            points = np.asarray(result.keypoints.data, np.float64)[..., :2].reshape(len(boxes), 2 * LANDMARKS)
        found = []
        for box, score, marks in zip(boxes, scores, points, strict=True):
            if np.isfinite([*box, score, *marks]).all():
                own = pairs(scaling.back(marks)) if self.landmarks else None
                found.append(Face(xyxy_to_xywh(scaling.back(box)), float(score), own))
        return in_picture(found, height, width)

    def usual(self, height: int, width: int) -> int:
        """Return the longest side at which `detect` searches."""
        return min(self._side, max(height, width))

    def find(self, pixels: Pixels) -> list[Face]:
        """Return the faces of a picture no larger than the model's side."""
        return self.detect(pixels)

    def _size(self, height: int, width: int) -> tuple[int, int]:
        """Return height and width of the input: the model's side, the shorter one only as long as it has to be."""
        if self._fixed is not None:
            return self._fixed
        factor = self._side / max(height, width)
        stride = max(32, int(max(self._model.model.stride)))
        return stride * math.ceil(height * factor / stride), stride * math.ceil(width * factor / stride)

    def _predict(self, pixels: Pixels, **options: Any) -> Any:
        """Return ultralytics' result for a picture of the input's size, RGB."""
        picture = np.ascontiguousarray(pixels[..., ::-1])
        size = [picture.shape[0], picture.shape[1]]
        with _one_thread():
            return self._model.predict(
                picture, imgsz=size, conf=SCORE, iou=OVERLAP, device="cpu", verbose=False, save=False, **options
            )[0].cpu()

    def _warm_up(self) -> tuple[dict[int, str], tuple[int, ...] | None]:
        """Look at a blank picture, so that a model that does not run is told of now.

        Returns:
            The names of the classes, and the number of key points and values a point.
        """
        height, width = self._fixed or (self._side, self._side)
        result = self._predict(np.full((height, width, 3), 114, np.uint8))
        backend = self._model.predictor.model
        _few_threads(backend)
        shape = getattr(backend, "kpt_shape", None)
        return dict(result.names), None if shape is None else tuple(shape)


def face_classes(names: dict[int, str]) -> list[int]:
    """Return the numbers of the classes that are faces by name, such as `face`, `Human-Face`; not `face mask`."""
    found = []
    for number, name in names.items():
        words = set(re.split(r"[^a-z]+", str(name).lower())) - {""} - _PLAIN
        if words in ({"face"}, {"faces"}):
            found.append(int(number))
    return found


def _check_file(weights: Path) -> None:
    if weights.suffix.lower() not in (".pt", ".onnx"):
        raise DataError(f"{weights}: yolo takes a .pt or an ONNX export; give one of these")
    if weights.suffix.lower() != ".pt":
        return
    try:
        with zipfile.ZipFile(weights) as file:
            parts = {name.rpartition("/")[2] for name in file.namelist()}
    except (OSError, zipfile.BadZipFile) as error:  # the bare pickles of before PyTorch 1.6 are not read either
        raise DataError(f"{weights}: not a whole file saved by PyTorch; give a .pt of ultralytics") from error
    if "constants.pkl" in parts:
        raise DataError(
            f"{weights}: a TorchScript file; give the .pt of ultralytics it was made from, or an ONNX export"
        )


def _task_of(path: Path) -> str | None:
    """Return what an export is for; ultralytics would take any that does not say for a detector."""
    if path.suffix.lower() != ".onnx":
        return None
    told = _metadata(path)
    if "names" not in told:
        raise DataError(
            f"{path}: not an ONNX export by ultralytics (it names no classes); "
            "one of YOLOv5-face goes with --detector yolov5-face"
        )
    return str(told.get("task", "detect"))


def _metadata(path: Path) -> dict[str, str]:
    try:
        import onnxruntime
    except ImportError as error:
        raise DataError(f"{path}: needs onnxruntime; install it with: pip install 'fercli[onnx]'") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises classes of its own, one for each way to fail
        raise DataError(f"{path}: not an ONNX file that onnxruntime can run") from error
    return dict(session.get_modelmeta().custom_metadata_map)


def _input_of(model: Any, path: Path) -> tuple[int, tuple[int, int] | None]:
    """Return the side pictures are searched at, and the input's height and width where an export fixes them."""
    if path.suffix.lower() == ".onnx":
        size = ast.literal_eval(_metadata(path).get("imgsz", f"[{USUAL}, {USUAL}]"))
        return int(max(size)), (int(size[0]), int(size[1]))
    size = model.overrides.get("imgsz", USUAL)
    return int(max(size) if isinstance(size, list | tuple) else size), None


def _reason(weights: Path) -> str:
    """Return why ultralytics could not load or run a file; its own words fill several lines."""
    if weights.suffix.lower() == ".onnx":
        return "not an ONNX export that ultralytics can run"
    if any(name.startswith("models.") for name in _unknown(weights)):
        return (
            "made by the code of YOLOv5 or YOLOv5-face, whose classes only that code can load; "
            "export YOLOv5-face to ONNX there and give it to --detector yolov5-face"
        )
    if named := ", ".join(_unknown(weights)[:3]):
        return f"holds code or classes that are not ultralytics' own ({named}); it is not loaded"
    return "not weights that ultralytics can load; give a .pt saved by YOLOv8 or later, or its ONNX export"


def _unknown(weights: Path) -> list[str]:
    """Return the names that a file wants imported and PyTorch does not know, without importing any."""
    import torch

    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(str(weights))
    except Exception:  # damaged files fail in any way; then there is nothing to name
        return []
    return sorted(name for name in names if not name.startswith(_OWN))


def _told(names: dict[int, str]) -> str:
    shown = ", ".join(str(name) for name in list(names.values())[:4])
    return shown if len(names) <= 4 else f"{shown} and {len(names) - 4} more"


def _few_threads(backend: Any) -> None:
    """Give an ONNX session one thread, since pictures are what runs side by side."""
    inner = getattr(backend, "backend", backend)
    session = getattr(inner, "session", None)
    if session is None:
        return
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    path = session._model_path
    inner.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let PyTorch compute in this thread alone, unless it is the main one, which has no others beside it."""
    import torch

    before = torch.get_num_threads()
    if before == 1 or threading.current_thread() is threading.main_thread():
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
