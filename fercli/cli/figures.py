"""An evaluation's figures as people see them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fercli.artifacts import Artifact
from fercli.cli.output import name, table


def show(artifact: Artifact) -> Iterator[Any]:
    """Yield the figures, class by class."""
    s = artifact.summary
    yield f"{s['split']}, n = {s['n']:,}, test-time augmentation {s['tta']}; {name(s['selection'])}"
    rows = table("emotion", "precision", "recall", "specificity", "F1", "n")
    for emotion, f in s["per_class"].items():
        ratios = (f"{f[key]:.3f}" for key in ("precision", "recall", "specificity", "f1"))
        rows.add_row(name(emotion), *ratios, f"{f['support']:,}")
    yield rows
    area = "none" if s["roc_auc"] is None else f"{s['roc_auc']:.3f}"
    yield f"accuracy [bold]{share(s)}[/bold]"
    yield f"balanced accuracy {s['balanced_accuracy']:.2%}, macro F1 {s['macro_f1']:.3f}, ROC AUC {area}"
    if s["without_leaks"]:
        yield f"without images trained on: {share(s['without_leaks'])}, n = {s['without_leaks']['n']:,}"


def share(figures: dict[str, Any]) -> str:
    """Return an accuracy with its interval."""
    low, high = figures["accuracy_interval"]
    return f"{figures['accuracy']:.2%} \\[{low:.2%}, {high:.2%}]"
