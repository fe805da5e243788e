"""The table of detectors. To add one: a file here, and a line in `DETECTORS`.

Installed packages add detectors through entry points in the group `fercli.detectors`, and a call can name one as
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
"""Prefix of the names of DeepFace's detectors."""


@dataclass(frozen=True, kw_only=True)
class DetectorSpec:
    """The specification of a detector.

    Attributes:
        name: Its name for `--detector`.
        build: A function or class, or its `module:attribute`, that returns a `Detector`; called with the weights file
            if `takes_weights`, then `arguments`.
        arguments: Arguments implied by the name.
        landmarks: Whether it finds eyes, which alignment needs; None if it depends on the weights.
        weights: Name of its weights in `fercli.weights`; None if it has no published weights.
        takes_weights: Whether it accepts a weights file.
        no_weights_reason: Returns the end of the error message for weights it does not accept.
        files: Returns its default weights files, once it has been created.
        note: Remark for the help, in parentheses.
    """

    name: str = ""
    build: str | Callable[..., Any]
    arguments: tuple[Any, ...] = ()
    landmarks: bool | None = None
    weights: str | None = None
    takes_weights: bool = True
    no_weights_reason: Callable[[], str] = str
    files: Callable[[], list[Path]] = list
    note: str = ""


def _deepface_spec(backend: str) -> DetectorSpec:
    return DetectorSpec(
        name=DEEPFACE + backend,
        build="fercli.faces.deepface_backends:DeepFaceBackend",
        arguments=(backend,),
        landmarks=BACKENDS[backend].eyes,
        takes_weights=False,
        no_weights_reason=lambda: f"; DeepFace's own are in {weights_folder()}",
        files=lambda: weights_files(backend),
    )


DETECTORS: tuple[DetectorSpec, ...] = (
    DetectorSpec(
        name="haar",
        build="fercli.faces.haar:Haar",
        landmarks=False,
        takes_weights=False,
        no_weights_reason=lambda: ": its cascade comes with OpenCV",
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
    *map(_deepface_spec, BACKENDS),
)
"""fercli's own detectors."""


def _plugin_spec(name: str, given: Any) -> DetectorSpec:
    """Return the spec of a plugin: a `DetectorSpec`, or a function or class that returns a detector."""
    if isinstance(given, DetectorSpec):
        return replace(given, name=name)
    if not callable(given):
        raise TypeError(f"expected a DetectorSpec or a function that returns a detector, not {type(given).__name__}")
    return DetectorSpec(name=name, build=given, takes_weights=bool(inspect.signature(given).parameters))


REGISTRY = Registry("detector", "fercli.detectors", {spec.name: spec for spec in DETECTORS}, _plugin_spec)


def _names_help() -> str:
    own = [f"{spec.name} ({spec.note})" if spec.note else spec.name for spec in DETECTORS if not _is_deepface(spec)]
    return f"{', '.join(own)}, or one of DeepFace's: {DEEPFACE}{', '.join(BACKENDS)}"


def _is_deepface(spec: DetectorSpec) -> bool:
    return spec.name.startswith(DEEPFACE)


NAMES_HELP = _names_help()
"""The detectors' names, as listed by the help."""
DEFAULT_HELP = "(default: yunet if its weights are in the cache, else haar)"


def find_detector(name: str) -> DetectorSpec:
    """Return the detector called `name`: fercli's own, an installed package's, or `module:attribute`.

    Only calls name detectors, never files read from disk, so any module is allowed.

    Raises:
        UsageError: there is no such detector.
        FerError: the package that provides it is broken.
    """
    if name in REGISTRY.own:
        return REGISTRY.own[name]
    if name.startswith(DEEPFACE):
        backends = list(BACKENDS)
        message = did_you_mean("detector", name.removeprefix(DEEPFACE), backends, f"DeepFace has {', '.join(backends)}")
        raise UsageError(message.replace("no detector '", f"no detector '{DEEPFACE}", 1))
    if is_reference(name) or name in REGISTRY.names():
        return REGISTRY.find(name, from_call=True)
    if name in BACKENDS:
        raise UsageError(f"no detector '{name}'; did you mean {DEEPFACE}{name}?")
    own = [known for known in REGISTRY.names() if not known.startswith(DEEPFACE)]
    raise UsageError(did_you_mean("detector", name, own, f"(and DeepFace's, as {DEEPFACE}opencv)"))


def choose_detector(name: str | None, weights: Path | None = None, progress: Progress = SILENT) -> str:
    """Return the name of the detector to use: the given one, else yunet if its weights are in the cache, else haar.

    Args:
        name: The detector's name, or None.
        weights: Its weights file, if given.
        progress: Receives a hint on how to get the better detector.

    Raises:
        UsageError: there is no such detector, or weights are given without a detector.
    """
    if name is not None:
        return find_detector(name).name
    if weights is not None:
        able = [spec.name for spec in DETECTORS if spec.takes_weights]
        raise UsageError(f"weights: also name their detector: --detector {', '.join(able[:-1])} or {able[-1]}")
    if find_published("yunet").path.is_file():
        return "yunet"
    progress.log("using detector haar (frontal faces only); for a better one: fer weights get yunet")
    return "haar"


def recommended_detectors(landmarks: bool = False) -> list[str]:
    """Return the detectors to recommend: fercli's own, optionally only those with landmarks."""
    own = [spec for spec in DETECTORS if not _is_deepface(spec) and not spec.note]  # yolo has no published weights
    return [spec.name for spec in own if spec.landmarks or not landmarks]


def create_detector(name: str, weights: Path | None = None) -> Detector:
    """Create a detector; each thread or process needs its own.

    Args:
        name: The detector's name.
        weights: Its weights file; None: the published weights, from the cache.

    Raises:
        UsageError: there is no such detector, it accepts no weights, or it requires some.
        FerError: its weights or a required package are missing, or a plugin's code fails.
        DataError: the file does not contain its weights.
    """
    spec = find_detector(name)
    if weights is not None and not spec.takes_weights:
        raise UsageError(f"--weights: {name} accepts no weights{spec.no_weights_reason()}")
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
    except Exception as error:  # a plugin may raise anything
        raise FerError(f"detector {spec.name}: creating it failed ({type(error).__name__}: {error})") from error
    missing = [part for part in ("name", "landmarks", "detect") if not hasattr(detector, part)]
    if missing:
        raise FerError(f"detector {spec.name}: the created object has no {' and no '.join(missing)}")
    return detector


def detector_weights(name: str, weights: Path | None = None) -> list[Path]:
    """Return the weights files of a detector, once it has been created.

    Args:
        name: The detector's name.
        weights: The given weights file, if any.

    Raises:
        DataError: the given file does not exist.
    """
    spec = find_detector(name)
    if spec.weights is not None:
        return [find_weights(spec.weights, weights)]
    if weights is not None and not weights.is_file():
        raise DataError(missing_message(weights, "weights file"))
    return spec.files() if weights is None else [weights]


def check_alignable(name: str, detector: Detector) -> None:
    """Check that a detector finds eyes, as alignment needs.

    Raises:
        UsageError: it does not.
    """
    if detector.landmarks:
        return
    own = " with these weights; use a pose model with five keypoints, or" if name == "yolo" else ";"
    able = " or ".join(recommended_detectors(landmarks=True))
    raise UsageError(f"--align: {name} finds no eyes to align faces by{own} use --detector {able}")
