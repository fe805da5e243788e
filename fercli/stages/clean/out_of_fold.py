"""Out-of-fold predictions: each run predicts the images that it was not trained on. Imports torch when called."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fercli.artifacts import Artifact
from fercli.datasets.duplicates import ancestors
from fercli.datasets.index import Row
from fercli.datasets.reading import read_checked
from fercli.errors import DataError
from fercli.images import Color, Pixels, as_color, fit_square
from fercli.parallel import in_threads
from fercli.progress import Progress
from fercli.runs import display_path
from fercli.stages.clean.config import CleanConfig
from fercli.stages.clean.label_issues import LabelIssues, examinable, find_label_issues

WEAK = 0.5
"""If the runs agree with a smaller share of the labels, a warning says that they are too weak."""
_CHUNK = 64


def examine_labels(dataset: Artifact, rows: Sequence[Row], config: CleanConfig, progress: Progress) -> LabelIssues:
    """Return the label issues of a dataset, found by the runs given as `labels`.

    An image's probabilities are averaged over the runs that were not trained on it, nor on an image of its family (with
    equal pixels, or derived from the same image).

    Raises:
        DataError: a run is damaged, lacks an emotion of the dataset, or all runs were trained on all images.
    """
    emotions = dataset.manifest.emotions
    numbers = examinable(rows, emotions)
    family = families(rows)
    sums: dict[int, npt.NDArray[np.float64]] = {}
    times: dict[int, int] = {}
    for run in config.labels:
        for i, probabilities in _predict(run, dataset, rows, numbers, family, config, progress):
            sums[i] = sums.get(i, 0.0) + probabilities
            times[i] = times.get(i, 0) + 1
    advice = "give a cross-validation of this dataset (fer crossvalidate)"
    if not sums:
        raise DataError(f"{dataset.path}: the runs of --labels were trained on every image; {advice}")
    if missing := len(numbers) - len(sums):
        progress.log(
            f"{missing:,} of {len(numbers):,} images were not examined, since every run was trained on them; {advice}"
        )
    for i, count in times.items():
        sums[i] /= count
    issues = find_label_issues(rows, emotions, len(config.labels), sums)
    if issues.agreement < WEAK:
        progress.log(
            f"the runs agree with only {issues.agreement:.0%} of the labels: such weak models report many correct "
            "labels; train them longer"
        )
    return issues


def families(rows: Sequence[Row]) -> list[str]:
    """Return each image's family: the digest of the original that it is, or is derived from."""
    lines = ancestors(rows)
    return [rows[lines[i][-1]].sha256 if i in lines else row.sha256 for i, row in enumerate(rows)]


def _predict(
    run: Path,
    dataset: Artifact,
    rows: Sequence[Row],
    numbers: Sequence[int],
    family: Sequence[str],
    config: CleanConfig,
    progress: Progress,
) -> Iterator[tuple[int, npt.NDArray[np.float64]]]:
    """Yield a run's probabilities of the dataset's emotions for each image of a family that it was not trained on."""
    from fercli.evaluation.predicting import emotion_indices, predict_images, training_digests
    from fercli.models.checkpoints import load_checkpoint
    from fercli.models.devices import find_device

    device = find_device(config.device)
    checkpoint = load_checkpoint(run)
    columns = emotion_indices(checkpoint, dataset.manifest.emotions, f"the dataset {dataset.path}")
    digests = {bytes(digest).hex() for digest in training_digests(checkpoint, "--labels")}
    seen = {family[i] for i, row in enumerate(rows) if row.sha256 in digests}
    if not seen:
        progress.log(
            f"{display_path(run)} was trained on none of these images; if it was trained on rotated or resized copies, "
            "its predictions are not out-of-fold"
        )
    unseen = [i for i in numbers if family[i] not in seen]
    size, color = checkpoint.metadata.face_format
    chunks = [unseen[low : low + _CHUNK] for low in range(0, len(unseen), _CHUNK)]
    with progress.task(f"predicting with {display_path(run).name}", len(unseen)):
        read = in_threads(
            lambda chunk: _faces(dataset.path, [rows[i] for i in chunk], size, color), chunks, config.workers
        )
        for chunk, faces in zip(chunks, read, strict=True):
            # Without calibration: the thresholds of the label issues were measured that way.
            raw = predict_images(checkpoint, faces, device=device, calibrated=False)
            shares = raw[:, columns].astype(np.float64)
            shares = shares.clip(1e-12)  # renormalised over the dataset's emotions, if the model has more
            yield from zip(chunk, shares / shares.sum(1, keepdims=True), strict=True)
            progress.advance(len(chunk))


def _faces(folder: Path, rows: Sequence[Row], size: int, color: Color) -> Pixels:
    """Read images as pack would store them, (N, size, size) or (N, size, size, 3)."""
    return np.stack([fit_square(as_color(read_checked(folder, row), color), size) for row in rows])
