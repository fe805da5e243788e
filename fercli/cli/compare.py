"""`fer compare`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import fercli
from fercli.artifacts import Artifact
from fercli.cli.options import stage_command
from fercli.cli.output import name, table
from fercli.stages.compare.config import CompareConfig
from fercli.stages.compare.wording import interval_text, p_text, points

_OVERALL = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "macro_f1": "macro F1 x 100"}


def show(artifact: Artifact) -> Iterator[Any]:
    """Yield the metrics of the sides, and of each pair its differences and what they mean."""
    s = artifact.summary
    repeats = f" in {s['repeats']} repeats" if s["repeats"] > 1 else ""
    yield ", ".join(filter(None, (name(s["split"]), f"n = {s['n']:,}{repeats}")))
    yield _sides(s)
    for pair in s["pairs"]:
        yield ""
        yield f"[bold]{name(pair['first'])} - {name(pair['second'])}[/bold]: {name(pair['why'])}"
        yield _differences(pair)
        if pair["corrected_p"] is not None:
            yield f"accuracy, p after {s['correction']}'s correction: {p_text(pair['corrected_p'])}"
        yield f"[bold]{name(pair['verdict'])}[/bold]"
        for note in pair["notes"]:
            yield f"[dim]{name(note)}[/dim]"
    if s.get("groups"):
        yield ""
        yield _groups(s)
    what = f"{s['disagreements']:,} of {s['n'] * s['repeats']:,}"
    yield f"{what} predictions are not alike on all sides; see report.html and disagreements.csv"


def _sides(s: Mapping[str, Any]) -> Any:
    rows = table("side", "folds" if s["compared"] == "crossvalidation" else "runs", "accuracy", "balanced", "macro F1")
    for side in s["sides"]:
        cells = [_metric(side["metrics"][metric]) for metric in _OVERALL]
        rows.add_row(name(side["name"]), str(side["runs"]), *cells)
    return rows


def _metric(metric: Mapping[str, Any]) -> str:
    if metric["mean"] is None:
        return "–"
    spread = "" if metric["deviation"] is None else f" ± {100 * metric['deviation']:.2f}"
    return f"{100 * metric['mean']:.2f}{spread}"


def _differences(pair: Mapping[str, Any]) -> Any:
    rows = table("difference, points", "first", "second", "diff.", "95 % interval", "p")
    for metric, one in pair["differences"].items():
        values = [points(one[side], sign=False) for side in ("first", "second")]
        cells = [*values, points(one["difference"]), interval_text(one["interval"]), p_text(one["p_value"])]
        rows.add_row(name(_OVERALL.get(metric, metric)), *cells)
    return rows


def _groups(s: Mapping[str, Any]) -> Any:
    several = len(s["pairs"]) > 1
    rows = table(f"accuracy by {s['by']}", *(["pair"] if several else []), "n", "diff.", "95 % interval", "p")
    for one in s["groups"]:
        pair = [name(f"{one['first']} - {one['second']}")] if several else []
        found = one["difference"]
        cells = [points(found["difference"]), interval_text(found["interval"]), p_text(found["p_value"])]
        rows.add_row(name(one["group"]), *pair, f"{one['n']:,}", *cells)
    return rows


command = stage_command(
    CompareConfig,
    fercli.compare,
    show,
    """Compare evaluations, runs, cross-validations, or groups of them (quoted patterns), by the test that fits them.

    Two evaluations: McNemar's test and a paired bootstrap. Groups of seeds: Welch's test over seeds, intervals over
    seeds and images. Cross-validations: tests that allow for overlapping training sets. Several pairs: Holm's
    correction.

    Example: [bold]fer compare 'evaluation-a-*' 'evaluation-b-*' --out comparison[/bold]
    """,
)
