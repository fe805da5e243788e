"""Face detection models of YOLOv8, YOLO11 and later, run by ultralytics."""

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
from fercli.faces.base import Face, clip_to_image, to_points, xyxy_to_xywh
from fercli.faces.safe_ultralytics import safe_ultralytics
from fercli.faces.scaling import letterbox
from fercli.files import missing_message
from fercli.images import Color, Pixels, as_color

MIN_SCORE = 0.5
MAX_IOU = 0.5
LANDMARKS = 5
MIN_FACE = 20
"""Side in input pixels of the smallest face that it is assumed to find reliably."""
DEFAULT_SIDE = 640
"""Input size if the weights do not specify one."""
NO_WEIGHTS = (
    "yolo: pass face weights of YOLOv8, YOLO11 or later with --weights FILE (.pt or .onnx); fercli publishes none: "
    "train them with ultralytics on a face dataset (WIDER FACE), or use others' whose class is named face"
)
_SAFE_MODULES = ("ultralytics.", "torch.", "numpy.", "pathlib.", "builtins.getattr")
_IGNORED_WORDS = {"human", "person", "people", "frontal"}


class UltralyticsYolo:
    """An ultralytics detection or pose model with a face class. Runs on the CPU, where images are processed in threads.

    Args:
        weights: A `.pt`, loaded without running any code in it, or an ONNX export of ultralytics.

    Raises:
        FerError: ultralytics is not installed.
        UsageError: no weights are given.
        DataError: the file is not such a model.

    Attributes:
        landmarks: Whether it is a pose model with five keypoints: both eyes, the nose, the mouth corners.
    """

    name = "yolo"
    color: Color = "rgb"

    def __init__(self, weights: Path | None) -> None:
        if weights is None:
            raise UsageError(NO_WEIGHTS)
        if not weights.is_file():
            raise DataError(missing_message(weights, "weights file"))
        # Absolute, since ultralytics takes some names for URLs, or for weights to download.
        path = weights.resolve()
        with safe_ultralytics() as ultralytics:
            _check_file(weights)
            try:
                self._model = ultralytics.YOLO(str(path), task=_read_task(path))
                self._side, self._fixed = _read_input_size(self._model, path)
                names, shape = self._warm_up()
            except DataError:
                raise
            except Exception as error:  # ultralytics may raise anything
                raise DataError(f"{weights}: {_load_error(weights)}") from error
        self.tile = self._side
        self.min_face = max(1, min(MIN_FACE, self.tile // 16))
        self._classes = face_classes(names)
        if self._model.task not in ("detect", "pose"):
            raise DataError(f"{weights}: a model for the task {self._model.task}; use a detection or pose model")
        if not self._classes:
            raise DataError(f"{weights}: its classes are {_format_names(names)}; use weights whose class is face")
        self.landmarks = self._model.task == "pose" and shape is not None and shape[0] == LANDMARKS

    def detect(self, pixels: Pixels) -> list[Face]:
        """Return the faces, largest first. Scores are in 0..1."""
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
                own = to_points(scaling.invert(marks)) if self.landmarks else None
                found.append(Face(xyxy_to_xywh(scaling.invert(box)), float(score), own))
        return clip_to_image(found, height, width)

    def default_side(self, height: int, width: int) -> int:
        """Return the longest side to which `detect` resizes an image of this size."""
        return min(self._side, max(height, width))

    def detect_unscaled(self, pixels: Pixels) -> list[Face]:
        """Return the faces in an image no larger than the model's input."""
        return self.detect(pixels)

    def _size(self, height: int, width: int) -> tuple[int, int]:
        """Return the input's height and width: the model's side, and the shorter side rounded up to the stride."""
        if self._fixed is not None:
            return self._fixed
        factor = self._side / max(height, width)
        stride = max(32, int(max(self._model.model.stride)))
        return stride * math.ceil(height * factor / stride), stride * math.ceil(width * factor / stride)

    def _predict(self, pixels: Pixels, **options: Any) -> Any:
        """Return ultralytics' result for an RGB image of the input's size."""
        picture = np.ascontiguousarray(pixels[..., ::-1])
        size = [picture.shape[0], picture.shape[1]]
        with _limit_torch_threads():
            return self._model.predict(
                picture, imgsz=size, conf=MIN_SCORE, iou=MAX_IOU, device="cpu", verbose=False, save=False, **options
            )[0].cpu()

    def _warm_up(self) -> tuple[dict[int, str], tuple[int, ...] | None]:
        """Run on a blank image, so that a broken model fails now.

        Returns:
            The class names, and the shape of the keypoints: their number and values per point.
        """
        height, width = self._fixed or (self._side, self._side)
        result = self._predict(np.full((height, width, 3), 114, np.uint8))
        backend = self._model.predictor.model
        _limit_onnx_threads(backend)
        shape = getattr(backend, "kpt_shape", None)
        return dict(result.names), None if shape is None else tuple(shape)


def face_classes(names: dict[int, str]) -> list[int]:
    """Return the indices of the classes named as faces, such as `face` or `Human-Face`, but not `face mask`."""
    found = []
    for number, name in names.items():
        words = set(re.split(r"[^a-z]+", str(name).lower())) - {""} - _IGNORED_WORDS
        if words in ({"face"}, {"faces"}):
            found.append(int(number))
    return found


def _check_file(weights: Path) -> None:
    if weights.suffix.lower() not in (".pt", ".onnx"):
        raise DataError(f"{weights}: yolo reads .pt files and ONNX exports")
    if weights.suffix.lower() != ".pt":
        return
    try:
        with zipfile.ZipFile(weights) as file:
            parts = {name.rpartition("/")[2] for name in file.namelist()}
    except (OSError, zipfile.BadZipFile) as error:  # bare pickles from before PyTorch 1.6 are not read either
        raise DataError(f"{weights}: not a complete PyTorch file; use a .pt saved by ultralytics") from error
    if "constants.pkl" in parts:
        raise DataError(f"{weights}: a TorchScript file; use the .pt it was exported from, or an ONNX export")


def _read_task(path: Path) -> str | None:
    """Return an export's task; ultralytics would assume detection for any export without one."""
    if path.suffix.lower() != ".onnx":
        return None
    metadata = _onnx_metadata(path)
    if "names" not in metadata:
        raise DataError(
            f"{path}: not an ONNX export of ultralytics (no class names); for YOLOv5-face use --detector yolov5-face"
        )
    return str(metadata.get("task", "detect"))


def _onnx_metadata(path: Path) -> dict[str, str]:
    try:
        import onnxruntime
    except ImportError as error:
        raise DataError(f"{path}: needs onnxruntime; install it with: pip install 'fercli[onnx]'") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has its own exception classes
        raise DataError(f"{path}: not an ONNX file that onnxruntime can run") from error
    return dict(session.get_modelmeta().custom_metadata_map)


def _read_input_size(model: Any, path: Path) -> tuple[int, tuple[int, int] | None]:
    """Return the longest side of the input, and its height and width if an export fixes them."""
    if path.suffix.lower() == ".onnx":
        size = ast.literal_eval(_onnx_metadata(path).get("imgsz", f"[{DEFAULT_SIDE}, {DEFAULT_SIDE}]"))
        return int(max(size)), (int(size[0]), int(size[1]))
    size = model.overrides.get("imgsz", DEFAULT_SIDE)
    return int(max(size) if isinstance(size, list | tuple) else size), None


def _load_error(weights: Path) -> str:
    """Return why ultralytics could not load or run a file, in one line unlike its own message."""
    if weights.suffix.lower() == ".onnx":
        return "not an ONNX export that ultralytics can run"
    if any(name.startswith("models.") for name in _unsafe_globals(weights)):
        return (
            "saved by YOLOv5 or YOLOv5-face, whose classes only that code can load; "
            "export YOLOv5-face to ONNX with it and use --detector yolov5-face"
        )
    if named := ", ".join(_unsafe_globals(weights)[:3]):
        return f"not loaded, since it contains code or classes that are not ultralytics' own ({named})"
    return "not weights that ultralytics can load; use a .pt saved by YOLOv8 or later, or its ONNX export"


def _unsafe_globals(weights: Path) -> list[str]:
    """Return the names that a file would import and that are not known to be safe, without importing any."""
    import torch

    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(str(weights))
    except Exception:  # damaged files raise anything, and then there is nothing to name
        return []
    return sorted(name for name in names if not name.startswith(_SAFE_MODULES))


def _format_names(names: dict[int, str]) -> str:
    shown = ", ".join(str(name) for name in list(names.values())[:4])
    return shown if len(names) <= 4 else f"{shown} and {len(names) - 4} more"


def _limit_onnx_threads(backend: Any) -> None:
    """Restrict an ONNX session to one thread, since images are processed in parallel."""
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
def _limit_torch_threads() -> Iterator[None]:
    """Restrict PyTorch to one thread, unless this is the main thread, which then has no others beside it."""
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
