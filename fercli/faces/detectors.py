"""The table of detectors. To add one: a file here, and a line in `DETECTORS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fercli.errors import UsageError, did_you_mean
from fercli.faces.base import Detector


@dataclass(frozen=True)
class DetectorSpec:
    """One detector.

    Attributes:
        name: What `--detector` calls it.
        title: What it is, in a few words.
        weights: Name of its weights in `fercli.weights`, or None where it needs none.
        landmarks: Whether it finds eyes, nose and mouth, which alignment needs.
        build: Makes it, from the file of its weights.
    """

    name: str
    title: str
    weights: str | None
    landmarks: bool
    build: Callable[[Path | None], Detector]


def _haar(weights: Path | None) -> Detector:
    from fercli.faces.haar import Haar

    if weights is not None:
        raise UsageError("--weights: haar takes none, its cascade comes with OpenCV")
    return Haar()


DETECTORS: tuple[DetectorSpec, ...] = (
    DetectorSpec("haar", "OpenCV's Haar cascade, frontal faces", None, False, _haar),
)


def find_detector(name: str) -> DetectorSpec:
    """Return the detector called `name`.

    Raises:
        UsageError: there is none.
    """
    for spec in DETECTORS:
        if spec.name == name:
            return spec
    raise UsageError(did_you_mean("detector", name, [spec.name for spec in DETECTORS]))


def create_detector(name: str, weights: Path | None = None) -> Detector:
    """Make a detector; each thread or process needs its own.

    Args:
        name: Its name in the table.
        weights: The file of its weights; None: the published ones, from the cache.

    Raises:
        UsageError: there is no such detector, or it takes no weights.
        FerError: its weights, or a package it needs, are not there.
        DataError: the weights are something else.
    """
    return find_detector(name).build(weights)
