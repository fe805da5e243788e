"""Lineage: from an artifact back through its inputs to the photographs."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fercli.artifacts import NOT_PATHS, Artifact, Input, Manifest, open_artifact
from fercli.artifacts.digests import digest_json, digest_source
from fercli.errors import FerError
from fercli.files import find_named
from fercli.hub.address import is_address

_FILES = {"weights": "checkpoint", "prompts": "plan"}
"""Kinds of inputs that are single files, and the kind of artifact that may contain such a file."""
_DEFAULT_ROLES = ("source", "photographs", "run", "checkpoint", "prompts")
_IN_RUN = re.compile(r"best|last|snapshot-\d{3,}")


@dataclass(frozen=True)
class Ancestor:
    """A direct or indirect input of an artifact.

    Attributes:
        depth: 1 for a direct input, 2 for an input's input, …
        input: Its entry in the manifest of the artifact that read it.
        path: Its path.
        manifest: Its manifest, if it is an artifact that still exists unchanged.
        state: `there`, `changed` (its digest differs now), `gone`, or `raw` (not an artifact).
        repeated: Whether it and its own inputs were listed before.
    """

    depth: int
    input: Input
    path: Path
    manifest: Manifest | None
    state: str
    repeated: bool = False

    @property
    def kind(self) -> str:
        """Its kind; for a file within an artifact, such as a plan's prompts, that of the artifact."""
        return self.manifest.kind if self.manifest else self.input.kind

    @property
    def name(self) -> str:
        """Its display name; a checkpoint in a run has that of the run."""
        if is_address(self.input.path):
            return self.input.path
        # Weights whose checkpoint is missing are still named after their run.
        return display_name(self.path.parent if _in_run(self.path.parent) else self.path)

    @property
    def role(self) -> str:
        """Its role as an input, unless its kind implies it: `judge`, `weights`, `images`, …"""
        return "" if self.input.name in (self.kind, *_DEFAULT_ROLES) else self.input.name


def _in_run(path: Path) -> bool:
    return _IN_RUN.fullmatch(path.name) is not None


def display_name(path: Path) -> str:
    """Return the name of an artifact; for a checkpoint in a run that of the run, as in `run` or `run/last`."""
    if not _in_run(path):
        return path.name
    return path.parent.name if path.name == "best" else f"{path.parent.name}/{path.name}"


def distinct_names(paths: Sequence[Path], depths: Sequence[int]) -> list[str]:
    """Return a name for each path: its last parts, as many as given, and parent folders until different ones differ."""
    names: list[str] = []
    for more in range(max(len(path.parts) for path in paths)):
        names = [Path(*path.parts[-depth - more :]).as_posix() for path, depth in zip(paths, depths, strict=True)]
        if len(set(names)) == len(set(paths)):
            break
    return names


def ancestors(artifact: Artifact) -> list[Ancestor]:
    """Return all inputs of an artifact, direct and indirect, depth first, with direct inputs at depth 1.

    An artifact that was read more than once is listed each time, followed by its own inputs only the first time
    (`repeated`). Artifacts with the same content, such as the input and output of a stage that changed nothing, remain
    separate.
    """
    return lineage_of([artifact])


def lineage_of(artifacts: Sequence[Artifact]) -> list[Ancestor]:
    """Return the inputs of several artifacts, one after the other, like `ancestors`."""
    found: list[Ancestor] = []
    seen: set[tuple[str, str, str]] = set()
    # A stack instead of recursion: chains may be arbitrarily long.
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
    """Look up an input at the path that its reader recorded."""
    if is_address(item.path):
        return Ancestor(depth, item, Path(item.path), None, "raw"), None
    path = find_named(Path(os.path.normpath(reader.resolve() / item.path)))
    if item.kind in _FILES:
        folder = _artifact_of(path, item)
        if folder is None:
            return Ancestor(depth, item, path, None, "gone" if _in_run(path.parent) else "raw"), None
        state = "there" if item.digest in _digests(path, folder) else "changed"
        found: Artifact | None = folder
        path = folder.path
    elif item.kind in ("raw", "generator", *NOT_PATHS):
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
    """Return the artifact that contains a file: the checkpoint of weights, the plan of prompts."""
    try:
        return open_artifact(file.parent, _FILES[item.kind])
    except FerError:
        return None


def _digests(file: Path, folder: Artifact) -> tuple[str, ...]:
    """Return the possible digests of a file as an input: its own, or combined with its checkpoint's emotion order."""
    try:
        own = digest_source(file)
    except FerError:
        return ()
    return own, digest_json([own, folder.manifest.emotions])
