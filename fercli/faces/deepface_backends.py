"""DeepFace's detectors, through its extract_faces. This is the only module that imports DeepFace."""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import Any

import numpy as np

from fercli.errors import FerError
from fercli.faces.base import Face, Point, clip_to_image
from fercli.faces.deepface_table import BACKENDS, MAX_SIDE, weights_folder
from fercli.faces.safe_ultralytics import environment, safe_ultralytics
from fercli.faces.scaling import Scaling, reduce_to
from fercli.images import Color, Pixels, as_color

_LOCK = threading.RLock()
_SILENT = "100"
"""A logging level above all of DeepFace's, which logs to stdout, where results go."""


class DeepFaceBackend:
    """One of DeepFace's detectors. DeepFace keeps one instance per process, so threads take turns.

    Args:
        backend: A key of `BACKENDS`.

    Raises:
        FerError: a required package is not installed, or its weights are missing and cannot be downloaded.

    Attributes:
        landmarks: Whether its network finds the eyes; it may also find nose and mouth.
    """

    color: Color = "rgb"

    def __init__(self, backend: str) -> None:
        self.name = f"deepface:{backend}"
        self.landmarks = BACKENDS[backend].eyes
        self.tile, self.min_face = BACKENDS[backend].side, BACKENDS[backend].min_face
        self._backend = backend
        with _LOCK, ExitStack() as stack:
            if BACKENDS[backend].package[0] == "ultralytics":  # its weights are downloaded pickles
                stack.enter_context(safe_ultralytics())
            stack.enter_context(_silent())
            self._extract = import_extract_faces(self.name)
            try:
                # Builds the model, and downloads its weights if they are missing.
                self._areas(np.full((64, 64, 3), 114, np.uint8))
            except Exception as error:  # each package raises its own errors
                raise FerError(f"{self.name}: {_load_error(backend, error)}") from error

    def detect(self, pixels: Pixels) -> list[Face]:
        """Return the faces, largest first. Scores are in 0..1; for opencv, the sum of the cascade's last stage."""
        height, width = pixels.shape[:2]
        small, scaling = reduce_to(as_color(pixels, "rgb"), MAX_SIDE)
        with _LOCK:
            areas = self._areas(np.ascontiguousarray(small[..., ::-1]))
        return clip_to_image([self._face(area, score, scaling) for area, score in areas], height, width)

    def default_side(self, height: int, width: int) -> int:
        """Return the longest side to which `detect` resizes an image of this size."""
        return min(self.tile, max(height, width))

    def detect_unscaled(self, pixels: Pixels) -> list[Face]:
        """Return the faces in an image no larger than the detector's input."""
        return self.detect(pixels)

    def _areas(self, bgr: Pixels) -> list[tuple[dict[str, Any], float]]:
        """Return DeepFace's detections without its placeholder for none: the whole image with confidence 0."""
        found = self._extract(
            bgr, detector_backend=self._backend, enforce_detection=False, align=False, expand_percentage=0,
            normalize_face=False,
        )  # fmt: skip
        height, width = bgr.shape[:2]
        areas = [(one["facial_area"], float(one["confidence"])) for one in found]
        return [
            (area, score)
            for area, score in areas
            if score != 0 or area["x"] > 0 or area["y"] > 0 or area["w"] < width - 1 or area["h"] < height - 1
        ]

    def _face(self, area: dict[str, Any], score: float, scaling: Scaling) -> Face:
        left, top, wide, high = (float(area[key]) for key in "xywh")
        corners = scaling.invert(np.array([left, top, left + wide, top + high])).tolist()
        box = corners[0], corners[1], corners[2] - corners[0], corners[3] - corners[1]
        # DeepFace reports the cascade's sum, where higher is more confident, as (100 - sum) / 100.
        score = 100 - 100 * score if self._backend == "opencv" else score
        return Face(box, score, self._landmarks(area, scaling))

    def _landmarks(self, area: dict[str, Any], scaling: Scaling) -> tuple[Point, ...] | None:
        """Return the eyes, with nose and mouth if complete. DeepFace's left is the person's, the image's right."""
        marks = [area.get(name) for name in ("right_eye", "left_eye", "nose", "mouth_right", "mouth_left")]
        if not self.landmarks or marks[0] is None or marks[1] is None:
            return None
        marks = marks[:2] if None in marks else marks
        return tuple((float(x), float(y)) for x, y in scaling.invert(np.array(marks, np.float64)))


def import_extract_faces(name: str) -> Any:
    """Import DeepFace and return its extract_faces.

    Its default engine (only retinaface uses one) is TensorFlow if installed, which takes seconds and half a gigabyte to
    load; PyTorch is selected instead.
    """
    engine = {} if "DEEPFACE_BACKEND_ENGINE" in os.environ else {"DEEPFACE_BACKEND_ENGINE": "pytorch"}
    try:
        # DeepFace also turns off all warnings of the process.
        with environment(DEEPFACE_LOG_LEVEL=_SILENT, **engine), warnings.catch_warnings():
            from deepface import DeepFace
            from deepface.commons.logger import Logger
    except ImportError as error:
        if error.name not in ("deepface", "DeepFace"):
            raise FerError(f"{name}: DeepFace cannot be imported ({error})") from error
        raise FerError(f"{name}: needs deepface; install it with: pip install 'fercli[deepface]'") from error
    except (OSError, ValueError) as error:
        raise FerError(f"{name}: DeepFace cannot be imported ({error}); set $DEEPFACE_HOME to a folder") from error
    Logger().log_level = int(_SILENT)  # it may have been imported before, with another level
    return DeepFace.extract_faces


def _load_error(backend: str, error: Exception) -> str:
    """Return why a detector cannot be loaded, and what to do."""
    needs = BACKENDS[backend]
    module, package = needs.package
    if module and (isinstance(error, ImportError) or isinstance(error.__cause__, ImportError)):
        with suppress(ImportError, ValueError):
            __import__(module)
            return f"{module} cannot be used ({error})"
        return f"needs {module}; install it with: pip install '{package}'"
    if "Invalid model_name" in str(error):
        return "the installed DeepFace has no such detector; update it with: pip install -U 'fercli[deepface]'"
    folder = weights_folder()
    missing = [name for name in needs.files if not (folder / name).is_file()]
    if missing:
        names = " and ".join(missing)
        return f"weights not found and cannot be downloaded; put {names} into {folder}, or set $DEEPFACE_HOME"
    if needs.files:
        names = " and ".join(needs.files)
        return f"{names} in {folder} cannot be used ({error}); remove damaged files to download them again"
    return f"DeepFace cannot use it ({error})"


@contextmanager
def _silent() -> Iterator[None]:
    """Silence stdout and stderr, including writes from C code, while a model is built."""
    sys.stdout.flush()
    sys.stderr.flush()
    devnull = os.open(os.devnull, os.O_WRONLY)
    saved = {number: os.dup(number) for number in (1, 2)}
    try:
        for number in saved:
            os.dup2(devnull, number)
        with (
            open(os.devnull, "w") as text,
            redirect_stdout(text),
            redirect_stderr(text),
            environment(TF_CPP_MIN_LOG_LEVEL="3", TF_ENABLE_ONEDNN_OPTS="0", TF_USE_LEGACY_KERAS="1"),
        ):
            yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, copy in saved.items():
            os.dup2(copy, number)
            os.close(copy)
        os.close(devnull)
