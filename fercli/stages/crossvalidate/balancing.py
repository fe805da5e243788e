"""Balancing inside a fold: the small classes of its train images are filled up, those of the other splits are not."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fercli.artifacts import Artifact
from fercli.datasets.balancing.augmenter import Augmenter, Missing
from fercli.datasets.balancing.policies import targets
from fercli.datasets.duplicates import is_constant
from fercli.datasets.index import SPLITS, Row
from fercli.datasets.reading import read_checked
from fercli.parallel import in_threads
from fercli.progress import Progress
from fercli.stages.crossvalidate.config import CrossvalidateConfig

_TRAIN = "train"


def constant_images(folder: Path, rows: Sequence[Row], workers: int | None, progress: Progress) -> frozenset[str]:
    """Return the paths of the images of constant colour, copies of which would all be equal."""
    read = in_threads(lambda row: is_constant(read_checked(folder, row)), rows, workers)
    found = progress.track(zip(rows, read, strict=True), "inspecting", len(rows))
    return frozenset(row.path for row, constant in found if constant)


@contextmanager
def balanced_rows(
    dataset: Artifact,
    rows: list[Row],
    config: CrossvalidateConfig,
    constant: frozenset[str],
    folder: Path,
    progress: Progress,
) -> Iterator[tuple[list[Row], dict[str, Path]]]:
    """Yield the rows of a fold with the images that balancing adds to train, ordered by split.

    The images depend on the fold seed, not on the training. Classes that do not occur in train stay empty.

    Args:
        dataset: The dataset.
        rows: Its rows with the fold held out.
        config: The options.
        constant: Paths of constant images.
        folder: Folder on whose disk the images are stored while the block runs.
        progress: Progress callback.

    Yields:
        The rows, and the folder of the images that were added, by path.

    Raises:
        DataError: all images of a class to fill up are constant, or too alike.
    """
    if config.balance is None:
        yield rows, {}
        return
    have = Counter(row.emotion for row in rows if row.split == _TRAIN)
    goals = targets(have, config.balance)
    missing = [
        Missing(_TRAIN, emotion, goals[emotion] - have[emotion], goals[emotion])
        for emotion in dataset.manifest.emotions
        if emotion in have
    ]
    with tempfile.TemporaryDirectory(prefix="augmented-", dir=folder) as name:
        target = Path(name)
        for parent in {(target / row.path).parent for row in rows if row.split == _TRAIN}:
            parent.mkdir(parents=True, exist_ok=True)
        augmenter = Augmenter(
            dataset.path, dataset.path, target, config.fold_seed, config.workers, progress, set(constant)
        )
        created = augmenter.augment(rows, missing)
        both = sorted([*rows, *created], key=lambda row: SPLITS.index(row.split))
        yield both, {row.path: target for row in created}
