"""One cell of a matrix: a checkpoint on a split of a pack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from fercli.evaluation.predicting import digests_file, training_digests, unseen_mask
from fercli.evaluation.summary import interval_of
from fercli.images import Pixels
from fercli.metrics.confusion import confusion_matrix, macro_f1
from fercli.metrics.intervals import macro_f1_interval
from fercli.models.checkpoints import Checkpoint
from fercli.packs.file import PackInfo, PackSplit, read_digests
from fercli.stages.matrix.summary import MatrixCell

Predict = Callable[[Pixels], npt.NDArray[np.floating[Any]]]


def measure_cell(
    checkpoint: Checkpoint, info: PackInfo, faces: PackSplit, names: tuple[str, str], predict: Predict
) -> MatrixCell:
    """Measure a checkpoint on the images of a split whose emotion it knows.

    Predictions are the most probable of the emotions that both the checkpoint and the pack know, in the pack's order.

    Args:
        checkpoint: The checkpoint.
        info: The pack.
        faces: The pack's split.
        names: Those of the checkpoint and the pack, for the summary.
        predict: Returns the checkpoint's probabilities of faces, (N, C).
    """
    known = checkpoint.metadata.emotions
    shared = [emotion for emotion in info.emotions if emotion in known]
    number = np.array([shared.index(e) if e in shared else -1 for e in info.emotions], np.int64)
    labels = number[faces.labels]
    kept = np.flatnonzero(labels >= 0)
    labels = labels[kept]
    right, matrix = np.zeros(0, bool), np.zeros((len(shared), len(shared)), np.int64)
    if len(kept):
        probabilities = predict(faces.images[kept])[:, [known.index(emotion) for emotion in shared]]
        predicted = probabilities.argmax(1)
        right, matrix = predicted == labels, confusion_matrix(labels, predicted, len(shared))
    trained_on, unseen = _training(checkpoint, info, faces, kept)
    return MatrixCell(
        checkpoint=names[0],
        pack=names[1],
        n=len(kept),
        left_out=len(faces.labels) - len(kept),
        emotions=shared,
        accuracy=float(right.mean()) if len(kept) else None,
        accuracy_interval=interval_of(right),
        macro_f1=macro_f1(matrix) if len(kept) else None,
        macro_f1_interval=list(macro_f1_interval(matrix)),
        trained_on=trained_on,
        seen=None if unseen is None else int((~unseen).sum()),
        unseen_accuracy=float(right[unseen].mean()) if unseen is not None and 0 < unseen.sum() < len(kept) else None,
    )


def _training(
    checkpoint: Checkpoint, info: PackInfo, faces: PackSplit, kept: npt.NDArray[np.int64]
) -> tuple[int | None, npt.NDArray[np.bool_] | None]:
    """Return how many of the pack's training images the checkpoint was trained on, and which kept faces it was not."""
    if not digests_file(checkpoint).is_file():
        return None, None
    digests = training_digests(checkpoint)
    seen = {row.tobytes() for row in digests}
    trained = 0
    if info.counts.get("train"):
        trained = sum(row.tobytes() in seen for row in read_digests(info, "train"))
    return trained, unseen_mask(faces, [digests])[kept]
