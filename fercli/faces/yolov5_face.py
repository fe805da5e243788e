"""YOLOv5-face (Qi et al., ECCV Workshops 2022): its ONNX export, run by onnxruntime and decoded here."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fercli.errors import DataError, FerError
from fercli.faces.base import Face, clip_to_image, to_points, xyxy_to_xywh
from fercli.faces.nms import nms
from fercli.faces.scaling import letterbox
from fercli.files import read_bytes
from fercli.images import Color, Pixels, as_color

MIN_SCORE = 0.5
MAX_IOU = 0.5
MIN_FACE = 20
"""Side in input pixels of the smallest face that yolov5n-0.5 reliably finds at an input size of 320."""
DEFAULT_SIDE = 640
"""Input size if a model's is dynamic."""
COLUMNS = 16
"""Centre x, y, width, height, objectness, five landmarks (x, y), class score: in input pixels, scores in 0..1."""


class Yolov5Face:
    """A YOLOv5 network with five landmarks per face.

    Args:
        weights: An ONNX export with one input, 1 x 3 x H x W RGB in 0..1, and one output, 1 x N x 16.

    Raises:
        FerError: onnxruntime is not installed.
        DataError: the file is not such an export.
    """

    name = "yolov5-face"
    landmarks = True
    color: Color = "rgb"

    def __init__(self, weights: Path) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise FerError("yolov5-face: needs onnxruntime; install it with: pip install 'fercli[onnx]'") from error
        data = read_bytes(weights)
        if data[:2] in (b"PK", b"\x80\x02"):
            raise DataError(f"{weights}: a PyTorch file, which only its authors' code can load; use its ONNX export")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        # Images are processed in parallel instead.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        try:
            self._session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
            self._size = input_size(self._session.get_inputs(), self._session.get_outputs())
            self.tile = max(self._size)
            self.min_face = max(1, min(MIN_FACE, self.tile // 16))
            self._input = self._session.get_inputs()[0].name
            self._run(np.zeros((*self._size, 3), np.uint8))
        except _ShapeError as error:
            raise DataError(f"{weights}: not an export of YOLOv5-face: {error}") from error
        except Exception as error:  # onnxruntime has its own exception classes
            raise DataError(f"{weights}: not an ONNX file that onnxruntime can run") from error

    def detect(self, pixels: Pixels) -> list[Face]:
        """Return the faces, largest first. The score is objectness times class score."""
        height, width = pixels.shape[:2]
        boxed, scaling = letterbox(as_color(pixels, "rgb"), *self._size)
        rows = decode(self._run(boxed))
        rows[:, :14] = scaling.invert(rows[:, :14])
        found = [Face(xyxy_to_xywh(row[:4]), float(row[14]), to_points(row[4:14])) for row in rows]
        return clip_to_image(found, height, width)

    def default_side(self, height: int, width: int) -> int:
        """Return the longest side to which `detect` resizes an image of this size, to fit it into the input."""
        return min(max(height, width), round(max(height, width) * min(self._size[0] / height, self._size[1] / width)))

    def detect_unscaled(self, pixels: Pixels) -> list[Face]:
        """Return the faces in an image of the input's size, or fitted into it."""
        return self.detect(pixels)

    def _run(self, pixels: Pixels) -> npt.NDArray[np.float64]:
        """Return the output (N, 16) for an image of the input's size."""
        batch = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32) / np.float32(255)
        output = np.asarray(self._session.run(None, {self._input: batch})[0])
        if output.ndim != 3 or output.shape[0] != 1 or output.shape[2] != COLUMNS:
            raise _ShapeError(f"output shape {_format_shape(output.shape)}, expected 1 x N x {COLUMNS}")
        return np.asarray(output[0], np.float64)


class _ShapeError(Exception):
    """A model's input or output does not have YOLOv5-face's shape."""


def decode(output: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Decode a model's output.

    Args:
        output: (N, 16), see `COLUMNS`.

    Returns:
        (faces, 15): left, top, right, bottom, five landmarks, score; thresholded, after NMS, highest score first.
    """
    scores = output[:, 4] * output[:, 15]
    rows = output[(scores >= MIN_SCORE) & np.isfinite(output).all(axis=1)]
    scores = rows[:, 4] * rows[:, 15]
    boxes = np.concatenate([rows[:, :2] - rows[:, 2:4] / 2, rows[:, 2:4]], axis=1)
    kept = nms(boxes, scores, MAX_IOU)
    corners = boxes[kept, :2] + boxes[kept, 2:]
    return np.concatenate([boxes[kept, :2], corners, rows[kept, 5:15], scores[kept, None]], axis=1)


def input_size(inputs: list[Any], outputs: list[Any]) -> tuple[int, int]:
    """Return a model's input height and width: fixed, derived from its number of output rows, or `DEFAULT_SIDE`.

    A side of s has 3 anchors in each cell of grids of s/8, s/16 and s/32.
    """
    if len(inputs) != 1 or len(outputs) != 1:
        raise _ShapeError(f"{len(inputs)} inputs and {len(outputs)} outputs, expected one of each")
    shape, result = inputs[0].shape, outputs[0].shape
    if (
        len(shape) != 4
        or shape[1] != 3
        or inputs[0].type != "tensor(float)"
        or shape[0] not in (1, *_dynamic(shape[0]))
    ):
        raise _ShapeError(f"input {_format_shape(shape)} of {inputs[0].type}, expected 1 x 3 x H x W of tensor(float)")
    if len(result) != 3 or result[2] not in (COLUMNS, *_dynamic(result[2])):
        raise _ShapeError(f"output shape {_format_shape(result)}, expected 1 x N x {COLUMNS}")
    if isinstance(shape[2], int) and isinstance(shape[3], int):
        return shape[2], shape[3]
    side = math.isqrt(result[1] * 1024 // 63) if isinstance(result[1], int) else DEFAULT_SIDE
    if side % 32 or (isinstance(result[1], int) and side * side * 63 != result[1] * 1024):
        raise _ShapeError(f"dynamic input size that cannot be derived from the {result[1]} output rows")
    return side, side


def _dynamic(length: Any) -> tuple[Any, ...]:
    """Return a tensor's length, if dynamic (a name or None), as a tuple."""
    return () if isinstance(length, int) else (length,)


def _format_shape(shape: Any) -> str:
    return " x ".join(str(length) for length in shape)
