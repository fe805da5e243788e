"""The members of an ensemble: their names, what each is alone, and which is the best."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from fercli.errors import DataError, UsageError
from fercli.evaluation.summary import MemberSummary, interval_of
from fercli.models.checkpoints import Checkpoint
from fercli.models.registry import find_model
from fercli.runs import is_run_checkpoint

Checkpoints = tuple[Checkpoint, ...]


def check_members(checkpoints: Checkpoints) -> None:
    """Refuse the same model twice, and members that know different emotions.

    Raises:
        UsageError: two are the same.
        DataError: their emotions differ in more than their order.
    """
    for a, b in combinations(checkpoints, 2):
        if a.digest == b.digest or _equal(a, b):
            raise UsageError(f"{a.path} and {b.path} are the same model; name each once")
    first, *others = checkpoints
    for other in others:
        ours, theirs = set(first.metadata.emotions), set(other.metadata.emotions)
        if ours != theirs:
            known = ((first, ours - theirs), (other, theirs - ours))
            differ = "; ".join(f"only {one.path} knows {', '.join(sorted(names))}" for one, names in known if names)
            raise DataError(f"an ensemble's members know the same emotions, but {differ}")


def _equal(a: Checkpoint, b: Checkpoint) -> bool:
    """Tell whether two checkpoints hold one model, as the best and the last of a run whose last epoch is its best."""
    told = ("architecture", "options", "emotions", "preprocessing")
    if any(getattr(a.metadata, name) != getattr(b.metadata, name) for name in told):
        return False
    ours, theirs = a.model.state_dict(), b.model.state_dict()
    return all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


def member_names(paths: list[Path]) -> list[str]:
    """Return short names that tell checkpoints apart: a run's for its best one, with folders above as far as needed."""
    parts = [(path.parent if path.name == "best" else path).resolve().parts for path in paths]
    depths = [2 if path.name != "best" and is_run_checkpoint(path) else 1 for path in paths]
    for more in range(max(map(len, parts))):
        names = ["/".join(part[-depth - more :]) for part, depth in zip(parts, depths, strict=True)]
        if len(set(names)) == len(names):
            break
    return names


def best_member(accuracies: list[float | None], losses: list[float] | None) -> int | None:
    """Return the member of the highest validation accuracy: of equal ones that of the lowest loss, then the first.

    None where not every member's accuracy is known.
    """
    known = [value for value in accuracies if value is not None]
    if len(known) < len(accuracies):
        return None
    return max(range(len(known)), key=lambda k: (known[k], -losses[k] if losses else 0.0))


def describe(
    checkpoints: Checkpoints,
    rights: npt.NDArray[np.bool_],
    weights: npt.NDArray[np.float64],
    chosen: list[int],
    accuracies: list[float | None],
) -> list[MemberSummary]:
    """Return each member's entry in the figures; `rights` (K, N) tells which faces each got right."""
    names = member_names([one.path for one in checkpoints])
    return [
        MemberSummary(
            checkpoint=names[k],
            architecture=one.metadata.architecture,
            options=_made_with(one),
            weight=float(weights[k]),
            accuracy=float(rights[k].mean()),
            accuracy_interval=interval_of(rights[k]),
            validation_accuracy=accuracies[k],
            selected=k in chosen,
        )
        for k, one in enumerate(checkpoints)
    ]


def _made_with(checkpoint: Checkpoint) -> dict[str, str]:
    """Return the architecture's options that are not the default; one that is only yes or no by its name."""
    defaults = find_model(checkpoint.metadata.architecture).check_options({})
    chosen = {name: value for name, value in checkpoint.metadata.options.items() if value != defaults[name]}
    return {name: name if value == "yes" else value for name, value in chosen.items()}


def selections(checkpoints: Checkpoints) -> str:
    """Return how each member's epoch was chosen, told once where it was the same way."""
    ways = {one.metadata.selection for one in checkpoints}
    if len(ways) == 1:
        return f"each {ways.pop()} (epochs {', '.join(str(one.metadata.epoch) for one in checkpoints)})"
    names = member_names([one.path for one in checkpoints])
    pairs = zip(names, (one.metadata for one in checkpoints), strict=True)
    return ", ".join(f"{name} {metadata.selection} (epoch {metadata.epoch})" for name, metadata in pairs)
