"""The metrics of an evaluation as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fercli.artifacts import Artifact
from fercli.cli.output import name, table

_MAX_GROUPS = 12
"""Maximum number of groups that are shown."""


def show(artifact: Artifact) -> Iterator[Any]:
    """Yield the metrics, by class and overall."""
    s = artifact.summary
    yield f"{s['split']}, n = {s['n']:,}, test-time augmentation {s['tta']}; {name(s['selection'])}"
    rows = table("emotion", "precision", "recall", "specificity", "F1", "n")
    for emotion, f in s["per_class"].items():
        ratios = (format_ratio(f[key]) for key in ("precision", "recall", "specificity", "f1"))
        rows.add_row(name(emotion), *ratios, f"{f['support']:,}")
    yield rows
    yield f"accuracy [bold]{format_accuracy(s)}[/bold]"
    yield (
        f"balanced accuracy {s['balanced_accuracy']:.2%}, macro F1 {s['macro_f1']:.3f}, "
        f"ROC AUC {format_ratio(s['roc_auc']) or 'none'}{format_averaged_over(count_occurring(s), len(s['emotions']))}"
    )
    if calibration := s.get("calibration"):
        yield f"expected calibration error {calibration['error']:.3f}{format_raw_error(calibration)}"
    if selective := s.get("selective"):
        reached = (
            f"{accuracy} % accuracy on the most confident {covered:.1%}"
            for accuracy in (90, 95)
            if (covered := selective[f"coverage_at_{accuracy}"])
        )
        yield "; ".join([f"risk-coverage area {selective['area']:.3f}", *reached])
    if affect := s.get("affect"):
        yield from _show_affect(affect)
    if s["without_leaks"]:
        yield f"without images trained on: {format_accuracy(s['without_leaks'])}, n = {s['without_leaks']['n']:,}"
    if groups := s.get("groups"):
        yield from _show_groups(groups)
    if corruptions := s.get("corruptions"):
        yield from _show_corruptions(corruptions)


def _show_affect(affect: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the metrics of valence and arousal."""
    rows = table(f"n = {affect['n']:,}", "CCC", "95 % interval", "RMSE", "Pearson", "sign agreement")
    for dimension in ("valence", "arousal"):
        f = affect[dimension]
        interval = ", ".join(format_ratio(bound) for bound in f["ccc_interval"] or ())
        ratios = (format_ratio(f[key]) for key in ("rmse", "pearson", "sign_agreement"))
        rows.add_row(dimension, format_ratio(f["ccc"]) or "undefined", interval, *ratios)
    yield rows


def _show_groups(groups: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the accuracy of the largest groups, and the largest gap."""
    rows = table(f"by {name(groups['by'])}", "n", "accuracy", "95 % interval")
    largest = sorted(groups["groups"].values(), key=lambda group: -group["n"])[:_MAX_GROUPS]
    for group, f in groups["groups"].items():
        if f in largest:
            low, high = f["accuracy_interval"]
            rows.add_row(name(group), f"{f['n']:,}", f"{f['accuracy']:.2%}", f"{low:.2%}, {high:.2%}")
    yield rows
    if (more := len(groups["groups"]) - len(rows.rows)) > 0:
        yield f"and {more:,} smaller groups, see groups.csv"
    if gap := groups["gap"]:
        yield (
            f"largest gap {gap['gap']:.2%}, {name(gap['high'])} over {name(gap['low'])}; permutation test over "
            f"{gap['compared']} groups p = {gap['p_value']:.2g}"
        )


def _show_corruptions(corruptions: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the accuracy by corruption and strength, and the mean error."""
    rows = table("accuracy under", *map(str, range(1, 6)), "mean error")
    for corruption, curve in corruptions["corruptions"].items():
        rows.add_row(name(corruption), *(f"{value:.2%}" for value in curve["accuracy"]), f"{curve['error']:.2%}")
    yield rows
    more = corruptions["relative_error"]
    yield (
        f"mean corruption error [bold]{corruptions['mean_error']:.2%}[/bold], on clean images "
        f"{corruptions['clean_error']:.2%}{'' if more is None else f' ({more:.2f} times as many)'}"
    )


def count_occurring(metrics: Mapping[str, Any]) -> int:
    """Return the number of emotions that occur in the split, over which averages are taken."""
    return sum(1 for f in metrics["per_class"].values() if f["support"])


def format_averaged_over(occurring: int, emotions: int) -> str:
    """Return a note on the number of emotions averaged over, if some do not occur."""
    return f" (over the {occurring} of {emotions} emotions that occur)" if occurring < emotions else ""


def format_raw_error(calibration: Mapping[str, Any]) -> str:
    """Return a note on the calibration error before calibration, if there was any."""
    if calibration["temperature"] in (None, 1.0):
        return ""
    return f" ({calibration['raw_error']:.3f} before temperature {calibration['temperature']:.3f})"


def format_ratio(value: float | None) -> str:
    """Format a ratio; '' for None."""
    return "" if value is None else f"{value:.3f}"


def format_accuracy(metrics: Mapping[str, Any]) -> str:
    """Format an accuracy with its interval."""
    if metrics["accuracy"] is None:
        return "undefined"
    low, high = metrics["accuracy_interval"]
    return f"{metrics['accuracy']:.2%} \\[{low:.2%}, {high:.2%}]"
