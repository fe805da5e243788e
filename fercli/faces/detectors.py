"""The table of detectors. To add one: a file here, and a line in `DETECTORS`.

Installed packages add detectors by entry points of the group `fercli.detectors`, and a call can name one as
`module:attribute`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fercli.errors import DataError, FerError, UsageError, did_you_mean
from fercli.faces.base import Detector
from fercli.faces.deepface_table import BACKENDS, weights_files, weights_folder
from fercli.files import missing_message
from fercli.progress import SILENT, Progress
from fercli.registry import Registry, is_reference, resolve
from fercli.weights import find_published, find_weights

DEEPFACE = "deepface:"
"""What the names of DeepFace's detectors begin with."""


@dataclass(frozen=True, kw_only=True)
class DetectorSpec:
    """One detector.

    Attributes:
        name: What `--detector` calls it.
        build: `module:attribute`, or the function or class itself; it takes the file of the weights where
            `takes_weights` says so, then `arguments`, and returns a `Detector`.
        arguments: What the name settles of its arguments.
        landmarks: Whether it finds eyes, which alignment needs; None where that is for its weights to say.
        weights: Name of its weights in `fercli.weights`, or None where it needs none, or others.
        takes_weights: Whether a file of weights can be given.
        why_none: Returns why none is taken, as the message's end.
        files: Returns the files its weights are read from where none is given, once it has been made.
        note: What help says of it, in brackets.
    """

    name: str = ""
    build: str | Callable[..., Any]
    arguments: tuple[Any, ...] = ()
    landmarks: bool | None = None
    weights: str | None = None
    takes_weights: bool = True
    why_none: Callable[[], str] = str
    files: Callable[[], list[Path]] = list
    note: str = ""


def _of_deepface(backend: str) -> DetectorSpec:
    return DetectorSpec(
        name=DEEPFACE + backend,
        build="fercli.faces.deepface_backends:DeepFaceBackend",
        arguments=(backend,),
        landmarks=BACKENDS[backend].eyes,
        takes_weights=False,
        why_none=lambda: f"; DeepFace's own lie in {weights_folder()}",
        files=lambda: weights_files(backend),
    )


DETECTORS: tuple[DetectorSpec, ...] = (
    DetectorSpec(
        name="haar",
        build="fercli.faces.haar:Haar",
        landmarks=False,
        takes_weights=False,
        why_none=lambda: ", its cascade comes with OpenCV",
    ),
    DetectorSpec(name="yunet", build="fercli.faces.yunet:YuNet", landmarks=True, weights="yunet"),
    DetectorSpec(
        name="yolov5-face", build="fercli.faces.yolov5_face:Yolov5Face", landmarks=True, weights="yolov5-face"
    ),
    DetectorSpec(
        name="yolo",
        build="fercli.faces.ultralytics_yolo:UltralyticsYolo",
        note="your own face weights of YOLOv8, YOLO11 or later",
    ),
    *map(_of_deepface, BACKENDS),
)
"""fercli's own detectors."""


def _adapt(name: str, given: Any) -> DetectorSpec:
    """Make a plugin's entry: of a `DetectorSpec`, or of a function or class that makes a detector."""
    if isinstance(given, DetectorSpec):
        return replace(given, name=name)
    if not callable(given):
        raise TypeError(f"wanted a DetectorSpec, or a function that makes a detector, not {type(given).__name__}")
    return DetectorSpec(name=name, build=given, takes_weights=bool(inspect.signature(given).parameters))


REGISTRY = Registry("detector", "fercli.detectors", {spec.name: spec for spec in DETECTORS}, _adapt)


def _names_help() -> str:
    own = [f"{spec.name} ({spec.note})" if spec.note else spec.name for spec in DETECTORS if not _is_deepface(spec)]
    return f"{', '.join(own)}, or one of DeepFace's: {DEEPFACE}{', '.join(BACKENDS)}"


def _is_deepface(spec: DetectorSpec) -> bool:
    return spec.name.startswith(DEEPFACE)


NAMES_HELP = _names_help()
"""The detectors' names, as help lists them."""
DEFAULT_HELP = "(default: yunet where its weights are in the cache, else haar)"


def find_detector(name: str) -> DetectorSpec:
    """Return the detector called `name`: fercli's own, an installed package's, or one named as `module:attribute`.

    Detectors are named by calls alone, never by a file that is read, so that any module may be named.

    Raises:
        UsageError: there is none.
        FerError: the package that has it is broken.
    """
    if name in REGISTRY.own:
        return REGISTRY.own[name]
    if name.startswith(DEEPFACE):
        backends = list(BACKENDS)
        told = did_you_mean("detector", name.removeprefix(DEEPFACE), backends, f"DeepFace has {', '.join(backends)}")
        raise UsageError(told.replace("no detector '", f"no detector '{DEEPFACE}", 1))
    if is_reference(name) or name in REGISTRY.names():
        return REGISTRY.find(name, from_call=True)
    if name in BACKENDS:
        raise UsageError(f"no detector '{name}'; did you mean {DEEPFACE}{name}?")
    own = [known for known in REGISTRY.names() if not known.startswith(DEEPFACE)]
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
        able = [spec.name for spec in DETECTORS if spec.takes_weights]
        raise UsageError(f"weights: say which detector they are for: --detector {', '.join(able[:-1])} or {able[-1]}")
    if find_published("yunet").path.is_file():
        return "yunet"
    progress.log("looking for faces with haar, frontal ones alone; for better ones: fer weights get yunet")
    return "haar"


def usual(landmarks: bool = False) -> list[str]:
    """Return the detectors to advise: the project's own, on request only those that find landmarks."""
    own = [spec for spec in DETECTORS if not _is_deepface(spec) and not spec.note]  # yolo wants weights of one's own
    return [spec.name for spec in own if spec.landmarks or not landmarks]


def create_detector(name: str, weights: Path | None = None) -> Detector:
    """Make a detector; each thread or process needs its own.

    Args:
        name: Its name in the table.
        weights: The file of its weights; None: the published ones, from the cache.

    Raises:
        UsageError: there is no such detector, or it takes no weights, or needs some.
        FerError: its weights, or a package it needs, are not there; or a plugin's own code fails.
        DataError: the weights are something else.
    """
    spec = find_detector(name)
    if weights is not None and not spec.takes_weights:
        raise UsageError(f"--weights: {name} takes none{spec.why_none()}")
    if spec.weights is not None:
        weights = find_weights(spec.weights, weights)
    given = (weights,) if spec.takes_weights else ()
    if name in REGISTRY.own:
        detector: Detector = resolve(spec.build)(*given, *spec.arguments)
        return detector
    return _build_plugin(spec, given)


def _build_plugin(spec: DetectorSpec, given: tuple[Path | None, ...]) -> Detector:
    try:
        detector: Detector = resolve(spec.build)(*given, *spec.arguments)
    except FerError:
        raise
    except Exception as error:  # whatever the code of others raises
        raise FerError(f"detector {spec.name}: making it failed ({type(error).__name__}: {error})") from error
    missing = [part for part in ("name", "landmarks", "detect") if not hasattr(detector, part)]
    if missing:
        raise FerError(f"detector {spec.name}: what was made has no {' and no '.join(missing)}")
    return detector


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
        raise DataError(missing_message(weights, "weights file"))
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
