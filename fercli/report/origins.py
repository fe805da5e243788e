"""The origins of metrics, as shown in reports."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from fercli.artifacts import MANIFEST, PRETRAINED, Artifact, open_artifact
from fercli.artifacts.lineage import ancestors
from fercli.hub.address import cached_address
from fercli.pretrained import is_pretrained
from fercli.report.pages import LineageItem


def lineage_items(artifacts: Iterable[Artifact]) -> tuple[LineageItem, ...]:
    """Return artifacts and all their inputs, nearest first, without repeats."""
    items: dict[tuple[str, str], LineageItem] = {}
    for start in artifacts:
        m = start.manifest
        kind, path = (PRETRAINED, start.path.name) if is_pretrained(start.path) else (m.kind, start.path.as_posix())
        path = str(cached_address(start.path) or path)
        item = LineageItem(kind, path, m.digest, m.command, m.started, m.ended)
        items.setdefault(_identity(start.path, m.digest), item)
        for one in ancestors(start):
            n = one.manifest
            known = (n.command, n.started, n.ended) if n else ("", "", "")
            item = LineageItem(one.kind, one.name, one.input.digest, *known)
            items.setdefault(_identity(one.path, one.input.digest), item)
    return tuple(items.values())


def run_of(checkpoint: Path) -> Artifact:
    """Return the run that a checkpoint belongs to, or the checkpoint itself if there is none."""
    return open_artifact(checkpoint.parent if (checkpoint.parent / MANIFEST).is_file() else checkpoint)


def data_name(pack: Artifact) -> str:
    """Return the display name of a pack's images: the name of its dataset."""
    return next((Path(one.path).name for one in pack.manifest.inputs if one.kind == "dataset"), pack.path.name)


def _identity(path: Path, digest: str) -> tuple[str, str]:
    """Return a key for an artifact; its digest alone may equal that of its input, if a stage changed nothing."""
    return os.path.realpath(path), digest
