"""Keeping what was made apart from the other splits: what the check finds there is made again, or taken out."""

from __future__ import annotations

from dataclasses import replace

from fercli.datasets.index import Row
from fercli.stages.balance.context import BalanceContext
from fercli.stages.balance.leak_check import LeakChecker, LeakReport, by_split
from fercli.stages.balance.methods.augment import make_again

ROUNDS = 10
"""How often a copy of another split's image is made again before it is taken out."""


def repair_leaks(work: BalanceContext, made: list[Row]) -> list[Row]:
    """Check all made images against the other splits; return the new ones, those that were copies made again.

    What augmentation made is drawn anew from the same parent. What still is a copy after ten rounds, and whatever else
    made it, is taken out and told: a class then stays short by that many. Images that came with the data set are never
    touched, only told.
    """
    checker = LeakChecker(work.job.folder, work.config.workers, work.progress)
    found = checker.check([*work.rows, *made], [*work.rows, *made])
    if not found.made:
        return made
    first, carried = found.hits, {row.path for row in work.rows}
    own = {path: other for path, other in first.items() if path not in carried}
    made, left = _make_again(work, checker, made, set(own))
    for path in left:
        (work.job.folder / path).unlink()
    made = [row for row in made if row.path not in left]
    _tell(work, found, own, left)
    return made


def _make_again(
    work: BalanceContext, checker: LeakChecker, made: list[Row], hits: set[str]
) -> tuple[list[Row], set[str]]:
    """Make children that are copies again; return all rows, and the paths of those that still are copies."""
    for turn in range(ROUNDS):
        again = [number for number, row in enumerate(made) if row.path in hits and row.origin == "augmented"]
        if not again:
            break
        digests = {row.sha256 for row in (*work.rows, *made)}
        for number in again:
            made[number] = replace(made[number], sha256=make_again(work, made[number], number, turn, digests))
            digests.add(made[number].sha256)
        stay = {row.path for row in made if row.path in hits and row.origin != "augmented"}
        found = checker.check([*work.rows, *made], [made[number] for number in again])
        hits = stay | set(found.hits)
    return made, hits


def _tell(work: BalanceContext, found: LeakReport, own: dict[str, str], left: set[str]) -> None:
    """Put the check into the summary, list what it found in the details, and say it in a line."""
    carried = {path: other for path, other in found.hits.items() if path not in own}
    work.summary["check"] = {**found.summary(), "made_again": len(own) - len(left), "taken_out": len(left)}
    work.details["copies"] = by_split(found.hits)
    line = f"checked {found.made:,} made images against {found.against:,} of other splits: {_counted(found)}"
    if own:
        line += f"; {len(own) - len(left):,} made again, {len(left):,} taken out"
    work.progress.log(line)
    if carried:
        work.progress.log(
            f"{len(carried):,} copies came with {work.dataset.path} and stay: fer clean --near takes them out"
        )


def _counted(found: LeakReport) -> str:
    parents = f", {len(found.parent):,} with a parent there" if found.parent else ""
    return f"{len(found.equal):,} equal, {len(found.near):,} near{parents}"
