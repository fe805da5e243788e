"""Summary of an export. Imported without torch."""

from __future__ import annotations

from typing import Literal

from fercli.artifacts.summary import Summary
from fercli.exported import Precision


class ParityRow(Summary):
    """The exported model against the checkpoint on `n` faces: differences of probabilities, and of answers.

    `agreement` is the share of faces with the same most probable emotion.
    """

    faces: str
    n: int
    largest: float
    mean: float
    agreement: float


class SpeedRow(Summary):
    """Milliseconds for a batch of faces, from pixels to probabilities: the median of alternating calls.

    `ratio` is how many times as fast the exported model is.
    """

    batch: int
    checkpoint_ms: float
    exported_ms: float
    ratio: float


class AccuracySummary(Summary):
    """Accuracy of the checkpoint and of the exported model on the same `n` validation faces, and McNemar's test.

    For int8 these are faces that it was not calibrated on, if there are more than those.
    """

    n: int
    checkpoint: float
    exported: float
    p_value: float


class PhotographsSummary(Summary):
    """The file that takes photographs against detection, cropping and the exported model, on `n` drawn photographs.

    `faces` is the number of faces in them, `largest_box` the largest difference of a box in pixels,
    `largest_probability` that of a probability.
    """

    n: int
    faces: int
    largest_box: float
    largest_probability: float


class ExportSummary(Summary):
    """The output of `fer export --json`.

    `file` is the exported file's name, `bytes` its size, `threads` the number of CPU threads that `speed` was measured
    with. `accuracy` is None without a pack, `photographs` without a detector.
    """

    file: str
    format: Literal["onnx", "torch"]
    precision: Precision
    bytes: int
    architecture: str
    emotions: list[str]
    face_size: int
    face_color: Literal["gray", "rgb"]
    parity: list[ParityRow]
    speed: list[SpeedRow]
    threads: int
    accuracy: AccuracySummary | None
    photographs: PhotographsSummary | None = None
