"""The members of an ensemble: their names, their own metrics, and which is the best."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from fercli.artifacts.lineage import distinct_names
from fercli.errors import DataError, UsageError
from fercli.evaluation.summary import MemberSummary, interval_of
from fercli.hub.address import cached_address
from fercli.models.checkpoints import Checkpoint
from fercli.models.registry import find_model
from fercli.runs import display_path, is_run_checkpoint

Checkpoints = tuple[Checkpoint, ...]


def check_members(checkpoints: Checkpoints) -> None:
    """Check that no model is given twice, and that all members have the same emotions.

    Raises:
        UsageError: two are the same.
        DataError: their emotions differ in more than their order.
    """
    for a, b in combinations(checkpoints, 2):
        if a.digest == b.digest or _equal(a, b):
            raise UsageError(f"{a.name} and {b.name} are the same model; name each once")
    first, *others = checkpoints
    for other in others:
        ours, theirs = set(first.metadata.emotions), set(other.metadata.emotions)
        if ours != theirs:
            unshared = ((first, ours - theirs), (other, theirs - ours))
            differ = "; ".join(f"only {one.name} has {', '.join(sorted(names))}" for one, names in unshared if names)
            raise DataError(f"the members of an ensemble must have the same emotions, but {differ}")


def _equal(a: Checkpoint, b: Checkpoint) -> bool:
    """Return whether two checkpoints are the same model, e.g. best and last of a run whose last epoch is the best."""
    fields = ("architecture", "options", "emotions", "preprocessing")
    if any(getattr(a.metadata, name) != getattr(b.metadata, name) for name in fields):
        return False
    ours, theirs = a.model.state_dict(), b.model.state_dict()
    return all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


def member_names(paths: list[Path]) -> list[str]:
    """Return short, distinct names of checkpoints: that of the run for its best one, with parent folders as needed."""
    shown = [display_path(path) if cached_address(path) else path for path in paths]
    named = [(path.parent if path.name == "best" else path).resolve() for path in shown]
    return distinct_names(named, [2 if path.name != "best" and is_run_checkpoint(path) else 1 for path in paths])


def best_member(accuracies: list[float | None], losses: list[float] | None) -> int | None:
    """Return the member with the highest validation accuracy; ties are broken by the lowest loss, then by order.

    None if a member's accuracy is unknown.
    """
    known = [value for value in accuracies if value is not None]
    if len(known) < len(accuracies):
        return None
    return max(range(len(known)), key=lambda k: (known[k], -losses[k] if losses else 0.0))


def summarise_members(
    checkpoints: Checkpoints,
    correct: npt.NDArray[np.bool_],
    weights: npt.NDArray[np.float64],
    chosen: list[int],
    accuracies: list[float | None],
) -> list[MemberSummary]:
    """Return each member's entry in the summary; `correct` (K, N) is which faces each classified correctly."""
    names = member_names([one.path for one in checkpoints])
    return [
        MemberSummary(
            checkpoint=names[k],
            architecture=one.metadata.architecture,
            options=_changed_options(one),
            weight=float(weights[k]),
            accuracy=float(correct[k].mean()),
            accuracy_interval=interval_of(correct[k]),
            validation_accuracy=accuracies[k],
            selected=k in chosen,
        )
        for k, one in enumerate(checkpoints)
    ]


def _changed_options(checkpoint: Checkpoint) -> dict[str, str]:
    """Return the architecture's options that differ from the default; a boolean option by its name only."""
    defaults = find_model(checkpoint.metadata.architecture).check_options({})
    chosen = {name: value for name, value in checkpoint.metadata.options.items() if value != defaults[name]}
    return {name: value if isinstance(value, str) else name for name, value in chosen.items()}


def describe_selection(checkpoints: Checkpoints) -> str:
    """Return how each member's epoch was selected, stated once if the same for all."""
    criteria = {one.metadata.selection for one in checkpoints}
    if len(criteria) == 1:
        return f"each {criteria.pop()} (epochs {', '.join(str(one.metadata.epoch) for one in checkpoints)})"
    names = member_names([one.path for one in checkpoints])
    pairs = zip(names, (one.metadata for one in checkpoints), strict=True)
    return ", ".join(f"{name} {metadata.selection} (epoch {metadata.epoch})" for name, metadata in pairs)
