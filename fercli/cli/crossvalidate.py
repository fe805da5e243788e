"""`fer crossvalidate`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import fercli
from fercli.artifacts import Artifact
from fercli.cli.metrics_table import format_accuracy, format_averaged_over
from fercli.cli.options import SETTINGS_PANEL, stage_command
from fercli.cli.output import table
from fercli.recipes import Settings
from fercli.stages.crossvalidate.config import CrossvalidateConfig

_NAMES = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "macro_f1": "macro F1"}


def show(artifact: Artifact) -> Iterator[Any]:
    """Yield the metrics of each fold, over the folds, and of all out-of-fold predictions."""
    s = artifact.summary
    repeated = s["repeats"] > 1
    rows = table(*(["repeat"] if repeated else []), "fold", "train", "n", "accuracy", "balanced", "macro F1", "run")
    for one in s["per_fold"]:
        rows.add_row(
            *([str(one["repeat"])] if repeated else []),
            str(one["fold"]),
            f"{one['train']:,}",
            f"{one['n']:,}",
            f"{one['accuracy']:.2%}",
            f"{one['balanced_accuracy']:.2%}",
            f"{one['macro_f1']:.3f}",
            one["run"],
        )
    yield rows
    spread = table("over the folds", "mean", "deviation", "95 % interval")
    for key, name in _NAMES.items():
        one = s["metrics"][key]
        low, high = one["interval"]
        spread.add_row(name, f"{one['mean']:.2%}", f"{one['std']:.2%}", f"{low:.2%}, {high:.2%}")
    yield spread
    if len(by_rate := (s.get("noise") or {}).get("rates", [])) > 1:
        yield _by_rate(by_rate)
    pooled = s["pooled"]
    averaged = format_averaged_over(pooled["averaged_over"], len(s["emotions"]))
    yield (
        f"out of fold: accuracy [bold]{format_accuracy(pooled)}[/bold], macro F1 {pooled['macro_f1']:.3f}{averaged}, "
        f"n = {pooled['n']:,}"
    )


def _by_rate(rates: Sequence[Mapping[str, Any]]) -> Any:
    """Return the table of the metrics by rate of label noise, with their intervals."""
    rows = table("swapped labels", *_NAMES.values())
    for one in rates:
        spreads = (one["metrics"][key] for key in _NAMES)
        cells = (f"{m['mean']:.2%} \\[{m['interval'][0]:.2%}, {m['interval'][1]:.2%}]" for m in spreads)
        rows.add_row(f"{one['rate']:.4g}", *cells)
    return rows


command = stage_command(
    CrossvalidateConfig,
    fercli.crossvalidate,
    show,
    """Cross-validate a model: each fold of a dataset is the test set of a run trained on the other folds.

    Images of one person or photograph, copies and derived images stay together. The folds depend on the images and
    --fold-seed only, so that models can be compared fold by fold. All options of fer train apply. Repeating an
    interrupted call resumes it.

    Example: [bold]fer crossvalidate faces cross --model quick --folds 5 --jobs 2[/bold]
    """,
    panels=dict.fromkeys(Settings.model_fields, SETTINGS_PANEL),
)
