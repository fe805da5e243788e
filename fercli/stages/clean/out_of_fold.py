"""Asking runs for the emotions of a data set's images that they were not trained on. Imports torch when called."""

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
from fercli.stages.clean.config import CleanConfig
from fercli.stages.clean.label_issues import LabelIssues, judge, unseen_rows

WEAK = 0.5
"""Where the runs agree with fewer of the labels than this, a line says that they are no judges."""
_CHUNK = 64


def find_suspects(dataset: Artifact, rows: Sequence[Row], config: CleanConfig, progress: Progress) -> LabelIssues:
    """Return the suspected labels of a data set, by the runs that `labels` names.

    An image's probabilities are the average of those runs that were not trained on it, nor on an image of its family
    (one with its pixels, or made of the same one).

    Raises:
        DataError: a run is broken, does not know an emotion of the data set, or all were trained on all images.
    """
    emotions = dataset.manifest.emotions
    numbers = unseen_rows(rows, emotions)
    family = _families(rows)
    sums: dict[int, npt.NDArray[np.float64]] = {}
    times: dict[int, int] = {}
    for run in config.labels:
        for i, probabilities in _predict(run, dataset, rows, numbers, family, config, progress):
            sums[i] = sums.get(i, 0.0) + probabilities
            times[i] = times.get(i, 0) + 1
    way = "import with --folds K, pack every --fold k, and train a run on each"
    if not sums:
        raise DataError(f"{dataset.path}: no image that the runs of --labels were not trained on; {way}")
    if missing := len(numbers) - len(sums):
        progress.log(f"{missing:,} of {len(numbers):,} images were in the training of every run: not examined; {way}")
    for i, count in times.items():
        sums[i] /= count
    suspects = judge(rows, emotions, len(config.labels), sums)
    if suspects.agreement < WEAK:
        progress.log(
            f"the runs agree with {suspects.agreement:.0%} of the labels: so weak models suspect much that is right; "
            "train them longer"
        )
    return suspects


def _families(rows: Sequence[Row]) -> list[str]:
    """Return what tells each image's family: the digest of the image that it, or it and others, were made of."""
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
    """Yield a run's probabilities of the data set's emotions for each image of a family that it has not seen."""
    from fercli.evaluation.predicting import places_of, predict_images, training_digests
    from fercli.models.checkpoints import load_checkpoint
    from fercli.models.devices import find_device

    device = find_device(config.device)
    checkpoint = load_checkpoint(run)
    columns = places_of(checkpoint, dataset.manifest.emotions, f"the data set {dataset.path}")
    digests = {bytes(digest).hex() for digest in training_digests(checkpoint, "--labels")}
    seen = {family[i] for i, row in enumerate(rows) if row.sha256 in digests}
    if not seen:
        progress.log(
            f"{run} was trained on no image of this data set as it is here; if on the same ones turned or resized, "
            "it has seen the labels that it judges"
        )
    unseen = [i for i in numbers if family[i] not in seen]
    size, color = checkpoint.card.face_format
    chunks = [unseen[low : low + _CHUNK] for low in range(0, len(unseen), _CHUNK)]
    with progress.task(f"asking {run.name}", len(unseen)):
        read = in_threads(
            lambda chunk: _faces(dataset.path, [rows[i] for i in chunk], size, color), chunks, config.workers
        )
        for chunk, faces in zip(chunks, read, strict=True):
            shares = predict_images(checkpoint, faces, device=device)[:, columns].astype(np.float64)
            shares = shares.clip(1e-12)  # what a model of more emotions gives to others is left out
            yield from zip(chunk, shares / shares.sum(1, keepdims=True), strict=True)
            progress.advance(len(chunk))


def _faces(folder: Path, rows: Sequence[Row], size: int, color: Color) -> Pixels:
    """Read images as pack would have them, (N, size, size) or (N, size, size, 3)."""
    return np.stack([fit_square(as_color(read_checked(folder, row), color), size) for row in rows])
