"""Soft targets from a cross-validation: labels mixed with the predictions of models that never saw the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from fercli.artifacts import Artifact
from fercli.artifacts.lineage import ancestors
from fercli.datasets import duplicates
from fercli.datasets.index import Row
from fercli.datasets.votes import format_votes
from fercli.errors import DataError
from fercli.evaluation.folds import read_cross_validation
from fercli.packs.summary import SoftTargetsSummary
from fercli.packs.votes import target_of


def mix_predictions(
    dataset: Artifact, rows: Sequence[Row], crossvalidation: Artifact, share: float
) -> tuple[list[Row], SoftTargetsSummary]:
    """Return a dataset's rows with soft targets as the votes of its train images.

    A target is `share` of the image's label, or of its votes, and for the rest the out-of-fold probabilities, averaged
    over the repeats. A derived image has the predictions of its original. An image without predictions, such as a
    generated one, keeps its label or votes.

    Args:
        dataset: The dataset.
        rows: Its labelled rows, in the splits of the pack.
        crossvalidation: A cross-validation of the dataset, or of one that it was made from, on train images alone.
        share: The label's share, 0 to 1.

    Raises:
        DataError: the cross-validation is damaged, is of another dataset, was trained on validation or test images, or
            its labels differ from the dataset's.
    """
    _check_dataset(dataset, crossvalidation)
    emotions = dataset.manifest.emotions
    labels, predictions = _average(crossvalidation, emotions)
    if seen := [row for row in rows if row.split != "train" and row.path in predictions]:
        raise DataError(
            f"{crossvalidation.path}: its models were trained on {len(seen):,} images that are in "
            f"{' and '.join(dict.fromkeys(row.split for row in seen))} here, such as {seen[0].path}; "
            "run fer crossvalidate with --splits train"
        )
    lines = duplicates.ancestors(rows)
    mixed, agreeing, known = list(rows), 0, 0
    for i, row in enumerate(rows):
        original = rows[lines[i][-1]] if i in lines else row
        if row.split != "train" or original.path not in predictions:
            continue
        if labels[original.path] != original.emotion:
            raise DataError(
                f"{crossvalidation.path}: {original.path} is labelled {labels[original.path]} there and "
                f"{original.emotion} in {dataset.path}; cross-validate this dataset"
            )
        predicted = predictions[original.path]
        target = share * np.array(target_of(dataset.path, row, emotions)) + (1 - share) * predicted
        mixed[i] = replace(row, votes=format_votes(dict(zip(emotions, target.tolist(), strict=True))))
        agreeing += emotions[int(predicted.argmax())] == row.emotion
        known += 1
    if not known:
        raise DataError(f"{crossvalidation.path}: predicts no train image of {dataset.path}; cross-validate train")
    return mixed, SoftTargetsSummary(images=known, share=share, agreement=agreeing / known)


def _check_dataset(dataset: Artifact, crossvalidation: Artifact) -> None:
    """Raise DataError unless the cross-validation is of this dataset, or of one that it was made from."""
    digest = next((item.digest for item in crossvalidation.manifest.inputs if item.name == "dataset"), None)
    known = {dataset.manifest.digest, *(one.input.digest for one in ancestors(dataset))}
    if digest is None or digest not in known:
        raise DataError(
            f"{crossvalidation.path}: is not a cross-validation of {dataset.path} or of a dataset it was made from; "
            f"run fer crossvalidate {dataset.path} --splits train"
        )


def _average(
    crossvalidation: Artifact, emotions: Sequence[str]
) -> tuple[dict[str, str], dict[str, npt.NDArray[np.float64]]]:
    """Return each image's label and its out-of-fold probabilities, averaged over the repeats, by path."""
    found = read_cross_validation(crossvalidation).predictions
    if set(found.emotions) != set(emotions):
        raise DataError(
            f"{crossvalidation.path}: predicts {', '.join(found.emotions)}, but the dataset has {', '.join(emotions)}; "
            "cross-validate this dataset"
        )
    found = found.reordered(range(len(found.paths)), emotions)
    probabilities = found.probabilities / found.probabilities.sum(1, keepdims=True)  # rounded in the file
    rows_of: dict[str, list[int]] = {}
    for number, path in enumerate(found.paths):
        rows_of.setdefault(path, []).append(number)
    labels = {path: emotions[int(found.labels[numbers[0]])] for path, numbers in rows_of.items()}
    return labels, {path: probabilities[numbers].mean(0) for path, numbers in rows_of.items()}
