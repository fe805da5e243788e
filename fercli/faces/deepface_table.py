"""The table of DeepFace's detectors and their requirements, available without importing DeepFace."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

MAX_SIDE = 1024
"""Larger images are resized to this longest side by default: DeepFace itself does not resize."""


@dataclass(frozen=True)
class Backend:
    """Requirements of one of DeepFace's detectors.

    Attributes:
        eyes: Whether the network itself finds the eyes. If not, DeepFace uses a cascade that often finds none, or
            something else.
        package: The module it imports besides DeepFace, and the package to install.
        files: Its weights in DeepFace's folder; empty if they come with a package.
        side: Longest side of its input: DeepFace, or the network, downscales larger images to it.
        min_face: Side in pixels of the smallest face it reliably finds at that size, or the network's own minimum.
    """

    eyes: bool
    package: tuple[str, str] = ("", "")
    files: tuple[str, ...] = ()
    side: int = MAX_SIDE
    min_face: int = 24


def _yolo(name: str, eyes: bool = False) -> Backend:
    return Backend(eyes, ("ultralytics", "fercli[yolo]"), (f"{name}-face.pt",), side=640)


BACKENDS: dict[str, Backend] = {
    "opencv": Backend(False, min_face=32),
    "ssd": Backend(False, files=("deploy.prototxt", "res10_300x300_ssd_iter_140000.caffemodel"), side=300, min_face=32),
    "dlib": Backend(True, ("dlib", "dlib"), ("shape_predictor_5_face_landmarks.dat",), min_face=48),
    "fastmtcnn": Backend(True, ("facenet_pytorch", "facenet-pytorch")),
    "retinaface": Backend(True, ("retinaface", "retina-face"), ("retinaface.pth",)),
    "mediapipe": Backend(True, ("mediapipe", "mediapipe"), side=256, min_face=48),
    "yunet": Backend(True, files=("face_detection_yunet_2023mar.onnx",), side=640, min_face=16),
    "centerface": Backend(True, files=("centerface.onnx",)),
    "yolov8n": _yolo("yolov8n", eyes=True),
    **{name: _yolo(name) for name in ("yolov8m", "yolov8l")},
    **{f"yolov{version}{size}": _yolo(f"yolov{version}{size}") for version in (11, 12) for size in "nsml"},
}
"""DeepFace's detectors by DeepFace's names, except mtcnn, whose package needs TensorFlow."""


def weights_folder() -> Path:
    """Return DeepFace's weights folder: `$DEEPFACE_HOME/.deepface/weights`, by default in the home folder."""
    return Path(os.environ.get("DEEPFACE_HOME") or Path.home(), ".deepface", "weights")


def weights_files(backend: str) -> list[Path]:
    """Return the weights of a detector that are on disk."""
    return [path for name in BACKENDS[backend].files if (path := weights_folder() / name).is_file()]
