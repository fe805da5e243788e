"""The plan for a dataset: the images that each class needs by the policy."""

from __future__ import annotations

from collections.abc import Sequence

from fercli.artifacts import Artifact
from fercli.datasets.index import SPLITS, Counts, Row, count
from fercli.errors import DataError
from fercli.progress import Progress
from fercli.stages.balance.config import BalanceConfig
from fercli.stages.balance.methods.registry import Method
from fercli.stages.balance.plan import Plan, make_plan
from fercli.stages.balance.targets import TARGETS


def plan_dataset(
    dataset: Artifact,
    rows: Sequence[Row],
    emotions: Sequence[str],
    method: Method,
    config: BalanceConfig,
    progress: Progress,
) -> Plan:
    """Return the plan of a dataset by the policy.

    Raises:
        DataError: there are no labelled images, a split to fill is missing, or a class has no image to augment.
    """
    splits = config.splits.split(",")
    have = _count_labelled(dataset, rows, emotions, splits)
    plan = make_plan(have, config.policy, splits, method.strategy, config.augment_share)
    for split, emotion, need in plan.classes():
        if need.augment and not need.have:
            raise DataError(
                f"{dataset.path}: {split} has no image to augment for {emotion} ({need.target:,} are needed); add "
                f"some, remove {emotion} from the dataset, or use --policy ratio, which only enlarges existing classes"
            )
    if config.target is not None:
        _log_missing_emotions(config.target, emotions, progress)
    return plan


def _count_labelled(dataset: Artifact, rows: Sequence[Row], emotions: Sequence[str], splits: Sequence[str]) -> Counts:
    """Return the number of labelled images by split and emotion, for all three splits."""
    if not emotions or not any(row.emotion and row.split in SPLITS for row in rows):
        raise DataError(f"{dataset.path}: contains no labelled images, so there are no classes to balance")
    counts = count([row for row in rows if row.emotion], list(emotions))
    for split in splits:
        if split not in counts:
            raise DataError(
                f"{dataset.path}: has no {split} split to fill; it has {', '.join(s for s in SPLITS if s in counts)}"
            )
    return {split: counts.get(split, dict.fromkeys(emotions, 0)) for split in SPLITS}


def _log_missing_emotions(name: str, emotions: Sequence[str], progress: Progress) -> None:
    """Log the emotions of the target that the dataset lacks, for which no images are created."""
    target = TARGETS[name]
    if missing := [e for counts in target.counts.values() for e in counts if e not in emotions]:
        missing = list(dict.fromkeys(missing))
        progress.log(f"the dataset has no {', '.join(missing)}, which {target.title} has: no images are created")
