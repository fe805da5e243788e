"""The summary of a matrix. Imported without torch."""

from __future__ import annotations

from fercli.artifacts.summary import Summary


class MatrixCell(Summary):
    """A checkpoint on a pack's split: ratios in 0..1, intervals [low, high] at 95 %.

    `emotions` are those that both know; a prediction is the most probable of them. `left_out` images have another
    emotion, and `n` remain. The metrics are None if none do. `trained_on` is the number of the pack's training images
    that the checkpoint was trained on, and `seen` that of the n images; both are None if its training images are
    unknown. `unseen_accuracy` is the accuracy without the seen images, if there are any and others remain.
    """

    checkpoint: str
    pack: str
    n: int
    left_out: int
    emotions: list[str]
    accuracy: float | None
    accuracy_interval: list[float]
    macro_f1: float | None
    macro_f1_interval: list[float]
    trained_on: int | None
    seen: int | None
    unseen_accuracy: float | None


class MatrixSummary(Summary):
    """The output of `fer matrix --json`: the cells, row by row (checkpoints), in the order of the packs."""

    split: str
    tta: str
    checkpoints: list[str]
    packs: list[str]
    cells: list[MatrixCell]
