"""The detectors of DeepFace, and what each needs. Read without DeepFace, by help and by the table of detectors."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

LONGEST = 1024
"""A larger picture is searched at this size, if nothing else is asked for: DeepFace itself searches what it gets."""


@dataclass(frozen=True)
class Backend:
    """What one of DeepFace's detectors needs.

    Attributes:
        eyes: Whether the network itself finds the eyes. Where it does not, DeepFace looks for them with a cascade that
            often finds none, or other things.
        package: What it imports besides DeepFace, and the name it is installed by.
        files: Its weights, in DeepFace's folder; without any they come with a package.
        side: The longest side it searches at: DeepFace, or the network, reduces what is larger to it.
        reach: Side of the smallest face it finds well at that size, pixels; where the network has a least size, that.
    """

    eyes: bool
    package: tuple[str, str] = ("", "")
    files: tuple[str, ...] = ()
    side: int = LONGEST
    reach: int = 24


def _yolo(name: str, eyes: bool = False) -> Backend:
    return Backend(eyes, ("ultralytics", "fercli[yolo]"), (f"{name}-face.pt",), side=640)


BACKENDS: dict[str, Backend] = {
    "opencv": Backend(False, reach=32),
    "ssd": Backend(False, files=("deploy.prototxt", "res10_300x300_ssd_iter_140000.caffemodel"), side=300, reach=32),
    "dlib": Backend(True, ("dlib", "dlib"), ("shape_predictor_5_face_landmarks.dat",), reach=48),
    "fastmtcnn": Backend(True, ("facenet_pytorch", "facenet-pytorch")),
    "retinaface": Backend(True, ("retinaface", "retina-face"), ("retinaface.pth",)),
    "mediapipe": Backend(True, ("mediapipe", "mediapipe"), side=256, reach=48),
    "yunet": Backend(True, files=("face_detection_yunet_2023mar.onnx",), side=640, reach=16),
    "centerface": Backend(True, files=("centerface.onnx",)),
    "yolov8n": _yolo("yolov8n", eyes=True),
    **{name: _yolo(name) for name in ("yolov8m", "yolov8l")},
    **{f"yolov{version}{size}": _yolo(f"yolov{version}{size}") for version in (11, 12) for size in "nsml"},
}
"""DeepFace's detectors by its names for them, but for mtcnn, whose package needs TensorFlow."""


def weights_folder() -> Path:
    """Return where DeepFace keeps weights: `$DEEPFACE_HOME/.deepface/weights`, the home folder by default."""
    return Path(os.environ.get("DEEPFACE_HOME") or Path.home(), ".deepface", "weights")


def weights_files(backend: str) -> list[Path]:
    """Return the weights of a detector that are on disk."""
    return [path for name in BACKENDS[backend].files if (path := weights_folder() / name).is_file()]
