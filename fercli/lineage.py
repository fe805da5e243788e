"""Lineage: from an artifact back through its inputs to the photographs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fercli.artifacts import Artifact, Input, Manifest, open_artifact
from fercli.errors import FerError
from fercli.files import find_named


@dataclass(frozen=True)
class Ancestor:
    """One thing that an artifact was made from.

    Attributes:
        depth: 1 for a direct input, 2 for an input's input, …
        input: How the artifact that read it tells of it.
        path: Where it lay.
        manifest: Its manifest, where it is an artifact that still stands there unchanged.
        state: `there`, `changed` (another digest stands there now), `gone`, or `raw` (no artifact).
    """

    depth: int
    input: Input
    path: Path
    manifest: Manifest | None
    state: str


def ancestors(artifact: Artifact) -> list[Ancestor]:
    """Return everything an artifact was made from, nearest first, each once."""
    seen: set[tuple[str, str]] = set()
    return list(_walk(artifact, 1, seen))


def _walk(artifact: Artifact, depth: int, seen: set[tuple[str, str]]) -> Iterator[Ancestor]:
    for item in artifact.manifest.inputs:
        path = find_named(Path(os.path.normpath(artifact.path.resolve() / item.path)))
        if (item.name, item.digest) in seen:
            continue
        seen.add((item.name, item.digest))
        found, state = _find(path, item)
        yield Ancestor(depth, item, path, found.manifest if found else None, state)
        if found:
            yield from _walk(found, depth + 1, seen)


def _find(path: Path, item: Input) -> tuple[Artifact | None, str]:
    if item.kind in ("raw", "weights", "hub"):
        return None, "raw"
    try:
        found = open_artifact(path)
    except FerError:
        return None, "gone"
    if found.manifest.digest != item.digest:
        return None, "changed"
    return found, "there"
