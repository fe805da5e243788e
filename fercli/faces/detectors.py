"""The table of detectors. To add one: a file here, and a line in `DETECTORS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fercli.errors import DataError, UsageError, did_you_mean
from fercli.faces.base import Detector
from fercli.files import not_there
from fercli.progress import SILENT, Progress
from fercli.weights import find_published, find_weights

DEEPFACE = "deepface:"
"""What the names of DeepFace's detectors begin with."""
NAMES_HELP = (
    "haar, yunet, yolov5-face, yolo (your own face weights of YOLOv8, YOLO11 or later), or one of DeepFace's: "
    "deepface:opencv, retinaface, ssd, dlib, yunet, mediapipe, fastmtcnn, centerface, yolov8n to yolov12l"
)
"""The detectors' names, as help tells them."""
DEFAULT_HELP = "(default: yunet where its weights are in the cache, else haar)"


@dataclass(frozen=True)
class DetectorSpec:
    """One detector.

    Attributes:
        name: What `--detector` calls it.
        weights: Name of its weights in `fercli.weights`, or None where it needs none, or others.
        landmarks: Whether it finds eyes, which alignment needs; None where that is for its weights to say.
        build: Makes it, from the file of its weights.
        takes_weights: Whether a file of weights can be given.
        files: Returns the files its weights are read from where none is given, once it has been made.
    """

    name: str
    weights: str | None
    landmarks: bool | None
    build: Callable[[Path | None], Detector]
    takes_weights: bool = True
    files: Callable[[], list[Path]] = list


def _haar(weights: Path | None) -> Detector:
    from fercli.faces.haar import Haar

    if weights is not None:
        raise UsageError("--weights: haar takes none, its cascade comes with OpenCV")
    return Haar()


def _yunet(weights: Path | None) -> Detector:
    from fercli.faces.yunet import YuNet

    return YuNet(find_weights("yunet", weights))


def _yolov5_face(weights: Path | None) -> Detector:
    from fercli.faces.yolov5_face import Yolov5Face

    return Yolov5Face(find_weights("yolov5-face", weights))


def _yolo(weights: Path | None) -> Detector:
    from fercli.faces.ultralytics_yolo import UltralyticsYolo

    return UltralyticsYolo(weights)


def _deepface(backend: str, weights: Path | None) -> Detector:
    from fercli.faces.deepface_backends import DeepFaceBackend, weights_folder

    if weights is not None:
        raise UsageError(f"--weights: {DEEPFACE}{backend} takes none; DeepFace's own lie in {weights_folder()}")
    return DeepFaceBackend(backend)


def _deepface_files(backend: str) -> list[Path]:
    from fercli.faces.deepface_backends import weights_files

    return weights_files(backend)


def _of_deepface(backend: str, eyes: bool) -> DetectorSpec:
    build, files = partial(_deepface, backend), partial(_deepface_files, backend)
    return DetectorSpec(DEEPFACE + backend, None, eyes, build, takes_weights=False, files=files)


# Here and not from fercli.faces.deepface_backends, which help has no time to import; a test holds the two together.
_EYES = ("retinaface", "dlib", "yunet", "mediapipe", "fastmtcnn", "centerface", "yolov8n")
_NO_EYES = ("opencv", "ssd", "yolov8m", "yolov8l", *(f"yolov{v}{size}" for v in (11, 12) for size in "nsml"))

DETECTORS: tuple[DetectorSpec, ...] = (
    DetectorSpec("haar", None, False, _haar, takes_weights=False),
    DetectorSpec("yunet", "yunet", True, _yunet),
    DetectorSpec("yolov5-face", "yolov5-face", True, _yolov5_face),
    DetectorSpec("yolo", None, None, _yolo),
    *(_of_deepface(backend, True) for backend in _EYES),
    *(_of_deepface(backend, False) for backend in _NO_EYES),
)


def find_detector(name: str) -> DetectorSpec:
    """Return the detector called `name`.

    Raises:
        UsageError: there is none.
    """
    for spec in DETECTORS:
        if spec.name == name:
            return spec
    if name.startswith(DEEPFACE):
        backends = [spec.name.removeprefix(DEEPFACE) for spec in DETECTORS if spec.name.startswith(DEEPFACE)]
        told = did_you_mean("detector", name.removeprefix(DEEPFACE), backends, f"DeepFace has {', '.join(backends)}")
        raise UsageError(told.replace("no detector '", f"no detector '{DEEPFACE}", 1))
    if any(spec.name == DEEPFACE + name for spec in DETECTORS):
        raise UsageError(f"no detector '{name}'; did you mean {DEEPFACE}{name}?")
    own = [spec.name for spec in DETECTORS if not spec.name.startswith(DEEPFACE)]
    raise UsageError(did_you_mean("detector", name, own, f"(and DeepFace's, as {DEEPFACE}opencv)"))


def choose_detector(name: str | None, weights: Path | None = None, progress: Progress = SILENT) -> str:
    """Return the detector to take: the one named, else yunet where its weights are in the cache, else haar.

    Args:
        name: Its name, or None.
        weights: The file given for it, if any.
        progress: Takes the line that says how to get the better one.

    Raises:
        UsageError: there is no such detector, or weights are given for none.
    """
    if name is not None:
        return find_detector(name).name
    if weights is not None:
        raise UsageError("weights: say which detector they are for: --detector yunet, yolov5-face or yolo")
    if find_published("yunet").path.is_file():
        return "yunet"
    progress.log("looking for faces with haar, frontal ones alone; for better ones: fer weights get yunet")
    return "haar"


def usual(landmarks: bool = False) -> list[str]:
    """Return the detectors to advise: the project's own, on request only those that find landmarks."""
    own = [spec for spec in DETECTORS if not spec.name.startswith(DEEPFACE) and spec.name != "yolo"]
    return [spec.name for spec in own if spec.landmarks or not landmarks]


def create_detector(name: str, weights: Path | None = None) -> Detector:
    """Make a detector; each thread or process needs its own.

    Args:
        name: Its name in the table.
        weights: The file of its weights; None: the published ones, from the cache.

    Raises:
        UsageError: there is no such detector, or it takes no weights, or needs some.
        FerError: its weights, or a package it needs, are not there.
        DataError: the weights are something else.
    """
    return find_detector(name).build(weights)


def weights_of(name: str, weights: Path | None = None) -> list[Path]:
    """Return the files that the weights of a detector are read from, once it has been made.

    Args:
        name: Its name in the table.
        weights: The file given, if any.

    Raises:
        DataError: the file given is not there.
    """
    spec = find_detector(name)
    if spec.weights is not None:
        return [find_weights(spec.weights, weights)]
    if weights is not None and not weights.is_file():
        raise DataError(not_there(weights, "file of weights"))
    return spec.files() if weights is None else [weights]


def check_alignable(name: str, detector: Detector, option: str = "--detector") -> None:
    """Refuse alignment by a detector that finds no eyes; `option` is where it was named.

    Raises:
        UsageError: it finds none.
    """
    if detector.landmarks:
        return
    own = ", with these weights; give a pose model of five points, or" if name == "yolo" else ";"
    able = " or ".join(usual(landmarks=True))
    raise UsageError(f"--align: {name} finds no eyes to turn a face by{own} take {option} {able}")
