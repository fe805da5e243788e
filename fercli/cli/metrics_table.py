"""An evaluation's figures as people see them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fercli.artifacts import Artifact
from fercli.cli.output import name, table


def show(artifact: Artifact) -> Iterator[Any]:
    """Yield the figures, class by class."""
    s = artifact.summary
    yield f"{s['split']}, n = {s['n']:,}, test-time augmentation {s['tta']}; {name(s['selection'])}"
    rows = table("emotion", "precision", "recall", "specificity", "F1", "n")
    for emotion, f in s["per_class"].items():
        ratios = (ratio(f[key]) for key in ("precision", "recall", "specificity", "f1"))
        rows.add_row(name(emotion), *ratios, f"{f['support']:,}")
    yield rows
    yield f"accuracy [bold]{share(s)}[/bold]"
    yield (
        f"balanced accuracy {s['balanced_accuracy']:.2%}, macro F1 {s['macro_f1']:.3f}, "
        f"ROC AUC {ratio(s['roc_auc']) or 'none'}{over(occurring(s), len(s['emotions']))}"
    )
    if s["without_leaks"]:
        yield f"without images trained on: {share(s['without_leaks'])}, n = {s['without_leaks']['n']:,}"


def occurring(figures: Mapping[str, Any]) -> int:
    """Return how many emotions occur in the split: those that the averages are over."""
    return sum(1 for f in figures["per_class"].values() if f["support"])


def over(some: int, emotions: int) -> str:
    """Return over how many emotions averages are, where these are not all."""
    return f" (over the {some} of {emotions} emotions that occur)" if some < emotions else ""


def ratio(value: float | None) -> str:
    """Return a ratio; nothing, where there is none."""
    return "" if value is None else f"{value:.3f}"


def share(figures: Mapping[str, Any]) -> str:
    """Return an accuracy with its interval."""
    if figures["accuracy"] is None:
        return "undefined"
    low, high = figures["accuracy_interval"]
    return f"{figures['accuracy']:.2%} \\[{low:.2%}, {high:.2%}]"
