"""The sides of a comparison: each argument is an artifact, or a pattern that names a group of them."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from fercli.artifacts import Artifact, open_artifact
from fercli.artifacts.lineage import distinct_names
from fercli.errors import DataError, UsageError, with_article
from fercli.hub.address import is_address, parse_address

KINDS = ("evaluation", "run", "crossvalidation")
_MAGIC = frozenset("*?[")


@dataclass(frozen=True)
class Side:
    """One side of a comparison.

    Attributes:
        name: Its short name, distinct from the other sides'.
        artifacts: Its artifacts: one, or a group.
    """

    name: str
    artifacts: tuple[Artifact, ...]


def find_sides(given: Sequence[Path]) -> tuple[Side, ...]:
    """Open the artifacts of all sides, and check that they can stand against each other.

    Raises:
        UsageError: two sides or two members of a group are the same, kinds are mixed, or a side is a group of
            cross-validations.
        DataError: an artifact does not exist, cannot be compared, or a pattern matches nothing.
    """
    groups = [_open(path) for path in given]
    names = distinct_names([Path(os.path.abspath(path)) for path in given], [1] * len(given))
    sides = tuple(Side(name, artifacts) for name, artifacts in zip(names, groups, strict=True))
    _check_kinds(sides)
    for side in sides:
        for a, b in combinations(side.artifacts, 2):
            if _same(a, b):
                raise UsageError(
                    f"{a.path} and {b.path} in {side.name} are the same {a.manifest.kind}; a group counts each once"
                )
    for one, other in combinations(sides, 2):
        for a in one.artifacts:
            for b in other.artifacts:
                if _same(a, b):
                    raise UsageError(_same_message(one, other, a, b))
    return sides


def is_pattern(path: Path) -> bool:
    """Return whether an argument is a pattern and not an existing path."""
    return not os.path.lexists(path) and not _MAGIC.isdisjoint(str(path))


def _open(path: Path) -> tuple[Artifact, ...]:
    if not is_pattern(path):
        return (_open_one(path),)
    found = sorted(Path(name) for name in glob.glob(os.path.expanduser(path)) if os.path.isdir(name))
    if not found:
        raise DataError(f"{path}: no artifact matches this pattern")
    return tuple(_open_one(one) for one in found)


def _open_one(path: Path) -> Artifact:
    if is_address(path):
        raise UsageError(f"{parse_address(path)}: compare takes evaluations and runs; evaluate it (fer evaluate) first")
    found = open_artifact(path)
    if found.manifest.kind not in KINDS:
        advice = "; give its run" if found.manifest.kind == "checkpoint" else ""
        raise DataError(
            f"{path}: is {with_article(found.manifest.kind)}; compare takes an {' or a '.join(KINDS)}{advice}"
        )
    return found


def _check_kinds(sides: Sequence[Side]) -> None:
    firsts: dict[str, Artifact] = {}
    for side in sides:
        for artifact in side.artifacts:
            firsts.setdefault(artifact.manifest.kind, artifact)
        if len(side.artifacts) > 1 and side.artifacts[0].manifest.kind == "crossvalidation":
            raise UsageError(
                f"{side.name}: a group of cross-validations; give one a side, with repeats instead of seeds"
            )
    if len(firsts) > 1:
        (kind, a), (other, b) = list(firsts.items())[:2]
        advice = "; evaluate the runs first" if {kind, other} == {"run", "evaluation"} else ""
        raise UsageError(
            f"{a.path} is {with_article(kind)}, but {b.path} is {with_article(other)}; all sides must be of one "
            f"kind{advice}"
        )


def _same(a: Artifact, b: Artifact) -> bool:
    """Return whether two artifacts are one, or have the same contents."""
    if os.path.realpath(a.path) == os.path.realpath(b.path):
        return True
    return bool(a.manifest.digest) and a.manifest.digest == b.manifest.digest


def _same_message(one: Side, other: Side, a: Artifact, b: Artifact) -> str:
    if len(one.artifacts) == len(other.artifacts) == 1 or {x.path for x in one.artifacts} == {
        x.path for x in other.artifacts
    }:
        what = "group" if len(one.artifacts) > 1 else a.manifest.kind
        return f"{one.name} and {other.name} are the same {what}: a comparison of one {what} with itself says nothing"
    where = f"{a.path} is" if a.path == b.path else f"{a.path} and {b.path} are the same {a.manifest.kind},"
    return f"{where} on both sides, in {one.name} and in {other.name}; narrow the patterns"
