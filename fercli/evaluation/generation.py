"""How well generated images show their labelled emotion, judged by a trained checkpoint."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fercli.artifacts import Input
from fercli.artifacts.digests import digest_file, digest_json
from fercli.datasets.index import Row
from fercli.datasets.reading import read_checked
from fercli.errors import DataError
from fercli.evaluation.summary import Agreement, FrechetSummary, JudgedClass, JudgementSummary
from fercli.images import as_color, fit_square
from fercli.metrics.frechet import frechet_distance
from fercli.metrics.intervals import wilson_interval
from fercli.parallel import in_threads
from fercli.progress import Progress

if TYPE_CHECKING:
    import torch

    from fercli.models.checkpoints import Checkpoint

_MAX_REAL = 20_000
"""Maximum number of real images of a class that are compared, which bounds the time."""
_MIN_REAL = 4


def judge_input(path: Path) -> Input:
    """Describe the judging checkpoint as an input of an artifact.

    Raises:
        DataError: `path` is not a checkpoint.
    """
    from fercli.models.checkpoints import METADATA, WEIGHTS, checkpoint_folder, checkpoint_input

    folder = checkpoint_folder(path)
    try:
        digest = digest_json([digest_file(folder / WEIGHTS), digest_file(folder / METADATA)])
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read as a checkpoint ({error.strerror})") from error
    return checkpoint_input("judge", folder, digest)


def check_judge(path: Path, emotions: Sequence[str]) -> None:
    """Check that a checkpoint can judge these emotions, before hours are spent generating images.

    Raises:
        DataError: the checkpoint cannot be loaded, or does not know one of the emotions.
    """
    from fercli.models.checkpoints import load_checkpoint

    checkpoint = load_checkpoint(path)
    if unknown := [emotion for emotion in emotions if emotion not in checkpoint.metadata.emotions]:
        raise DataError(
            f"{path}: does not know {', '.join(unknown)}, which is generated; it knows "
            f"{', '.join(checkpoint.metadata.emotions)}"
        )


@dataclass(frozen=True)
class GenerationJudge:
    """A checkpoint that judges the generated train images of a dataset.

    Attributes:
        path: The run or checkpoint.
        folder: Folder of the dataset.
        device: Device to compute on.
        workers: Threads that read images; None for one per core.
        seed: Seed of the random split of real images for the reference distance.
        progress: Progress callback.
    """

    path: Path
    folder: Path
    device: torch.device
    workers: int | None
    seed: int
    progress: Progress

    def judge(self, rows: Sequence[Row]) -> JudgementSummary | None:
        """Judge all generated images of train; return the results by emotion, or None if there are no such images.

        Agreement is the share of images for which the checkpoint predicts the intended emotion, reported next to its
        recall on the real images of validation, which it was not trained on. The distance is the Fréchet distance
        between the generated and the real train images of a class, reported next to the distance between equally many
        randomly chosen real images and the remaining ones: about what a perfect generator would reach.
        """
        from fercli.models.checkpoints import load_checkpoint

        checkpoint = load_checkpoint(self.path)
        generated = _by_emotion(row for row in rows if row.origin == "generated" and row.split == "train")
        real = _by_emotion(row for row in rows if row.origin == "real" and row.split == "train")
        validation = _by_emotion(row for row in rows if row.origin == "real" and row.split == "validation")
        if not generated:
            return None
        classes: dict[str, JudgedClass] = {}
        for emotion, members in generated.items():
            label = checkpoint.metadata.emotions.index(emotion)
            predicted, features = self._predict(checkpoint, members)
            on_real = {}  # the key is omitted without validation images
            if emotion in validation:
                on_validation, _ = self._predict(checkpoint, validation[emotion])
                on_real["validation"] = _agreement(int((on_validation == label).sum()), len(on_validation))
            classes[emotion] = JudgedClass(
                generated=_agreement(int((predicted == label).sum()), len(members)),
                frechet=self._distance(checkpoint, features, real.get(emotion, [])),
                **on_real,
            )
        agreed = sum(one.generated.agreed for one in classes.values())
        total = sum(one.generated.n for one in classes.values())
        return JudgementSummary(
            checkpoint=str(self.path),
            architecture=checkpoint.metadata.architecture,
            agreement=_agreement(agreed, total),
            classes=classes,
        )

    def _predict(
        self, checkpoint: Checkpoint, rows: Sequence[Row]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """Return the predicted class of each image, (N,), and its penultimate features, (N, D)."""
        from fercli.models.features import predict_with_features

        size, color = checkpoint.metadata.face_format
        pixels = in_threads(
            lambda row: fit_square(as_color(read_checked(self.folder, row), color), size), rows, self.workers
        )
        images = np.stack(list(pixels))
        with self.progress.task("judging", len(rows)):
            probabilities, features = predict_with_features(
                checkpoint, images, device=self.device, advance=self.progress.advance
            )
        return probabilities.argmax(1), features

    def _distance(
        self, checkpoint: Checkpoint, features: npt.NDArray[np.float32], real: Sequence[Row]
    ) -> FrechetSummary | None:
        """Return the distance from generated to real features, and that between two sets of real features.

        The distance is larger for fewer images, so the reference uses as many real images as were generated, but at
        most half of them, so that enough remain to compare with.
        """
        if len(features) < 2 or len(real) < _MIN_REAL:
            return None
        _, real_features = self._predict(checkpoint, real)
        order = np.random.default_rng([self.seed, len(real)]).permutation(len(real_features))
        count = min(len(features), len(real_features) // 2)
        return FrechetSummary(
            distance=frechet_distance(features, real_features),
            of_real=frechet_distance(real_features[order[:count]], real_features[order[count:]]),
            generated=len(features),
            real=len(real_features),
            features=features.shape[1],
            few=bool(count <= features.shape[1]),
        )


def _by_emotion(rows: Iterable[Row]) -> dict[str, list[Row]]:
    classes: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        classes[row.emotion].append(row)
    return {emotion: members[:_MAX_REAL] for emotion, members in sorted(classes.items())}


def _agreement(agreed: int, n: int) -> Agreement:
    share = agreed / n if n else 0.0
    return Agreement(agreed=agreed, n=n, share=share, interval=list(wilson_interval(agreed, n)))
