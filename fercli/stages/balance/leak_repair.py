"""Leak repair: created images that also appear in another split are created again, or removed."""

from __future__ import annotations

from dataclasses import replace

from fercli.datasets.index import Row
from fercli.datasets.leak_check import LeakChecker, LeakReport, by_split
from fercli.stages.balance.context import BalanceContext
from fercli.stages.balance.methods.augment import augment_again
from fercli.stages.balance.summary import LeakCheck

MAX_ROUNDS = 10
"""Maximum number of attempts to replace a leaking image before it is removed."""


def repair_leaks(context: BalanceContext, created: list[Row]) -> list[Row]:
    """Check all created images against the other splits; return their rows after repair.

    Augmented copies are augmented again from the same parent. Images that are still copies after ten rounds, and copies
    created by other methods, are removed and reported, which leaves their class short. Images of the input dataset are
    only reported.
    """
    checker = LeakChecker(context.builder.folder, context.config.workers, context.progress)
    report = checker.check([*context.rows, *created], [*context.rows, *created])
    if not report.checked:
        return created
    inherited = {row.path for row in context.rows}
    leaks = {path: other for path, other in report.leaks.items() if path not in inherited}
    created, remaining = _augment_again(context, checker, created, set(leaks))
    for path in remaining:
        (context.builder.folder / path).unlink()
    created = [row for row in created if row.path not in remaining]
    _log_leaks(context, report, leaks, remaining)
    return created


def _augment_again(
    context: BalanceContext, checker: LeakChecker, created: list[Row], leaks: set[str]
) -> tuple[list[Row], set[str]]:
    """Augment leaking images again; return all rows, and the paths of those that still leak."""
    for attempt in range(MAX_ROUNDS):
        again = [number for number, row in enumerate(created) if row.path in leaks and row.origin == "augmented"]
        if not again:
            break
        digests = {row.sha256 for row in (*context.rows, *created)}
        for number in again:
            digest = augment_again(context, created[number], number, attempt, digests)
            created[number] = replace(created[number], sha256=digest)
            digests.add(digest)
        generated = {row.path for row in created if row.path in leaks and row.origin != "augmented"}
        report = checker.check([*context.rows, *created], [created[number] for number in again])
        leaks = generated | set(report.leaks)
    return created, leaks


def _log_leaks(context: BalanceContext, report: LeakReport, leaks: dict[str, str], remaining: set[str]) -> None:
    """Add the check to the summary, list its findings in the details, and log them."""
    inherited = {path: other for path, other in report.leaks.items() if path not in leaks}
    repaired = len(leaks) - len(remaining)
    context.summary["check"] = LeakCheck(**report.summary(), made_again=repaired, taken_out=len(remaining))
    context.details["copies"] = by_split(report.leaks)
    line = (
        f"checked {report.checked:,} created images against {report.compared:,} of other splits: "
        f"{_format_counts(report)}"
    )
    if leaks:
        line += f"; {repaired:,} created again, {len(remaining):,} removed"
    context.progress.log(line)
    if inherited:
        context.progress.log(
            f"{len(inherited):,} copies are from {context.source.path} and are kept: fer clean --near removes them"
        )


def _format_counts(report: LeakReport) -> str:
    parents = f", {len(report.parent):,} with a parent there" if report.parent else ""
    return f"{len(report.equal):,} equal, {len(report.near):,} near{parents}"
