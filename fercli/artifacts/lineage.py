"""Lineage: from an artifact back through its inputs to the photographs."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fercli.artifacts import Artifact, Input, Manifest, open_artifact
from fercli.artifacts.digests import digest_json, digest_source
from fercli.errors import FerError
from fercli.files import find_named

_FILES = {"weights": "checkpoint", "prompts": "plan"}
"""The kinds of inputs that are one file, and the kind of artifact that such a file may lie in."""
_DEFAULT_ROLES = ("source", "photographs", "run", "checkpoint", "prompts")
_IN_RUN = re.compile(r"best|last|snapshot-\d{3,}")


@dataclass(frozen=True)
class Ancestor:
    """One input on the way from an artifact back to its sources.

    Attributes:
        depth: 1 for a direct input, 2 for an input's input, …
        input: How the artifact that read it describes it.
        path: Where it was.
        manifest: Its manifest, where it is an artifact that is still there unchanged.
        state: `there`, `changed` (another digest is there now), `gone`, or `raw` (no artifact).
        repeated: Whether it is the input of another artifact before this one, after which its own inputs are listed.
    """

    depth: int
    input: Input
    path: Path
    manifest: Manifest | None
    state: str
    repeated: bool = False

    @property
    def kind(self) -> str:
        """Its kind: the artifact's, of a file that lies in one, such as a plan's prompts."""
        return self.manifest.kind if self.manifest else self.input.kind

    @property
    def name(self) -> str:
        """The name by which people know it: a checkpoint's is its run's."""
        # Weights whose checkpoint is gone are still known by the run that they were in.
        return display_name(self.path.parent if _in_run(self.path.parent) else self.path)

    @property
    def role(self) -> str:
        """What it was read as, where its kind does not say so already: `judge`, `weights`, `images`, …"""
        return "" if self.input.name in (self.kind, *_DEFAULT_ROLES) else self.input.name


def _in_run(path: Path) -> bool:
    return _IN_RUN.fullmatch(path.name) is not None


def display_name(path: Path) -> str:
    """Return the name of an artifact: of a checkpoint in a run its run's, with its own where it is not the best one."""
    if not _in_run(path):
        return path.name
    return path.parent.name if path.name == "best" else f"{path.parent.name}/{path.name}"


def ancestors(artifact: Artifact) -> list[Ancestor]:
    """Return everything an artifact was made from, depth first, the direct inputs at depth 1.

    An artifact that was read more than once is listed each time, its own inputs only after the first (`repeated`). Two
    artifacts of one content, such as a data set and what a stage that changed nothing made of it, are two.
    """
    return lineage_of([artifact])


def lineage_of(artifacts: Sequence[Artifact]) -> list[Ancestor]:
    """Return what several artifacts were made from, as `ancestors` does, one after the other."""
    found: list[Ancestor] = []
    seen: set[tuple[str, str, str]] = set()
    # A stack instead of recursion: the length of a chain is the data's, not ours.
    waiting = [(item, one, 1) for one in reversed(artifacts) for item in reversed(one.manifest.inputs)]
    while waiting:
        item, reader, depth = waiting.pop()
        ancestor, artifact = _find(item, reader.path, depth)
        key = (item.kind, os.path.realpath(ancestor.path), item.digest)
        if key in seen:
            found.append(Ancestor(depth, item, ancestor.path, ancestor.manifest, ancestor.state, repeated=True))
            continue
        seen.add(key)
        found.append(ancestor)
        if artifact:
            waiting += [(one, artifact, depth + 1) for one in reversed(artifact.manifest.inputs)]
    return found


def _find(item: Input, reader: Path, depth: int) -> tuple[Ancestor, Artifact | None]:
    """Look an input up where the artifact that read it says it was."""
    path = find_named(Path(os.path.normpath(reader.resolve() / item.path)))
    if item.kind in _FILES:
        folder = _artifact_of(path, item)
        if folder is None:
            return Ancestor(depth, item, path, None, "gone" if _in_run(path.parent) else "raw"), None
        state = "there" if item.digest in _digests(path, folder) else "changed"
        found: Artifact | None = folder
        path = folder.path
    elif item.kind in ("raw", "hub", "generator"):
        return Ancestor(depth, item, path, None, "raw"), None
    else:
        found, state = _open(path, item)
    if state != "there":
        found = None
    return Ancestor(depth, item, path, found.manifest if found else None, state), found


def _open(path: Path, item: Input) -> tuple[Artifact | None, str]:
    try:
        found = open_artifact(path)
    except FerError:
        return None, "gone"
    return (found, "there") if found.manifest.digest == item.digest else (None, "changed")


def _artifact_of(file: Path, item: Input) -> Artifact | None:
    """Return the artifact that a file lies in: the checkpoint of weights, the plan of prompts."""
    try:
        return open_artifact(file.parent, _FILES[item.kind])
    except FerError:
        return None


def _digests(file: Path, folder: Artifact) -> tuple[str, ...]:
    """Return what a file's digest as an input may be now: its own, or with the order of its checkpoint's emotions."""
    try:
        own = digest_source(file)
    except FerError:
        return ()
    return own, digest_json([own, folder.manifest.emotions])
