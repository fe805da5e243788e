"""The report of a cross-validation as one self-contained page, and its confusion matrix."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fercli._version import __version__
from fercli.artifacts import write_text
from fercli.artifacts.building import ArtifactBuilder, now
from fercli.hub.address import is_address
from fercli.report.origins import lineage_items
from fercli.report.pages import LineageItem, render
from fercli.report.plots import confusion_plot
from fercli.report.style import line_styles
from fercli.stages.crossvalidate.config import CrossvalidateConfig
from fercli.stages.crossvalidate.fold import Plan
from fercli.stages.crossvalidate.plot import NAMES, folds_plot, noise_plot
from fercli.stages.crossvalidate.summary import CrossValidationSummary

PAGE, CONFUSION = "report.html", "confusion.png"


@dataclass(frozen=True)
class _Page:
    """Title and provenance of the page."""

    title: str
    lineage: tuple[LineageItem, ...]
    command: str
    device: str
    version: str
    ended: str


def write_page(builder: ArtifactBuilder, plan: Plan, summary: CrossValidationSummary, device: str) -> None:
    """Write report.html and confusion.png."""
    name = plan.dataset.path.resolve().name
    title = f"{summary.model} on {name}, {describe(summary)}"
    pooled = summary.pooled
    low, high = pooled.accuracy_interval
    confusion = confusion_plot(
        np.array(pooled.confusion, np.int64),
        summary.emotions,
        f"{title}\nall out-of-fold predictions, n = {pooled.n:,}: accuracy {pooled.accuracy:.2%} "
        f"(95 % interval {low:.2%} to {high:.2%})",
    )
    (builder.folder / CONFUSION).write_bytes(confusion)
    weights = (
        LineageItem("weights", one.path if is_address(one.path) else Path(one.path).name, one.digest)
        for one in builder.manifest.inputs
        if one.name == "weights"
    )
    page = _Page(
        title=title,
        lineage=(*lineage_items([plan.dataset]), *weights),
        command=builder.manifest.command,
        device=device,
        version=__version__,
        ended=now(),
    )
    context = {
        "page": page,
        "summary": summary,
        "names": NAMES,
        "colors": {emotion: style.color for emotion, style in line_styles(summary.emotions).items()},
        "folds_picture": folds_plot(summary),
        "noise_picture": noise_plot(summary.noise) if summary.noise and len(summary.noise.rates) > 1 else None,
        "confusion_picture": confusion,
        "settings": dict(_settings(plan.config)),
    }
    write_text(builder.folder / PAGE, render("crossvalidation.html.j2", context))


def describe(summary: CrossValidationSummary) -> str:
    """Return the scheme in a few words."""
    if summary.scheme == "5x2":
        return "5 x 2 cross-validation"
    repeated = f"{summary.repeats} times " if summary.repeats > 1 else ""
    return f"{repeated}{summary.folds}-fold cross-validation"


def _settings(config: CrossvalidateConfig) -> Iterator[tuple[str, str]]:
    """Yield the settings of the balancing and the training that are set, as text."""
    if config.balance is not None:
        yield "balance, train images of each fold", config.balance
    if config.noise:
        yield "label noise", ", ".join(f"{rate:g}" for rate in config.rates)
    values = config.train_options().options()
    for name, value in sorted(values.items()):
        if value not in (None, False, "", [], {}):
            yield name.replace("_", "-"), value if isinstance(value, str) else json.dumps(value)
