"""`fer explain`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import fercli
from fercli.artifacts import Artifact
from fercli.cli.options import stage_command
from fercli.cli.output import name, table
from fercli.stages.explain.config import ExplainConfig


def show(artifact: Artifact) -> Iterator[Any]:
    """Yield the metrics of the heat maps, or the strongest features."""
    yield from (_weights if artifact.summary["method"] == "weights" else _heat)(artifact.summary)


def _heat(s: Mapping[str, Any]) -> Iterator[Any]:
    rows = table("evidence for", "faces", "no heat", "heat in regions", "their area", "ratio")
    for emotion, metrics in s["emotions"].items():
        rows.add_row(name(emotion), *_cells(metrics))
    if len(s["emotions"]) > 1:
        rows.add_row("all", *_cells(s), style="bold")
    yield rows
    yield f"Grad-CAM of {s['model']} at {name(s['layer'])}; regions: the emotion's facial action units"
    for reason, count in s["skipped"].items():
        yield f"skipped {count:,}: {name(reason)}"
    yield "see report.html, contact-sheet.png and overlays/"


def _cells(metrics: Mapping[str, Any]) -> list[str]:
    numbers = [f"{metrics['faces']:,}", f"{metrics['without_heat']:,}"]
    if metrics["heat_in_regions"] is None:
        return [*numbers, "–", "–", "–"]
    ratio = "–" if metrics["ratio"] is None else f"{metrics['ratio']:.2f}"
    return [*numbers, f"{metrics['heat_in_regions']:.1%}", f"{metrics['area_of_regions']:.1%}", ratio]


def _weights(s: Mapping[str, Any]) -> Iterator[Any]:
    rows = table("emotion", "strongest features", "share of the first", "half in")
    rows.columns[1].justify = "left"
    for emotion, top in [*s["emotions"].items(), ("all", s["all"])]:
        first = top["strongest"]
        features = " ".join(str(item["feature"]) for item in first[:6])
        rows.add_row(name(emotion), features, f"{first[0]['share']:.2%}", f"{top['half_in']:,}")
    yield rows
    layers = ", ".join(s["layers"])
    yield f"{s['model']}: {s['features']:,} features into {name(layers)}; an even share is {s['even_share']:.2%}"
    yield "see report.html, weights.csv and weights.png"


command = stage_command(
    ExplainConfig,
    fercli.explain,
    show,
    """Explain a model by Grad-CAM heat maps of faces, detected in photographs or already cropped.

    With --method weights: the share of each feature in the last fully connected layers; no images are needed.

    Example: [bold]fer explain run photographs --out explanation[/bold]
    """,
)
