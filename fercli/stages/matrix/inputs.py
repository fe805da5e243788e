"""The inputs of a matrix: which are checkpoints and which are packs, and their names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fercli.artifacts import Artifact, open_artifact
from fercli.errors import DataError, UsageError, with_article
from fercli.models.checkpoints import Checkpoint, load_checkpoint
from fercli.pretrained import names_checkpoint
from fercli.runs import display_path


def read_inputs(paths: Sequence[Path]) -> tuple[list[Checkpoint], list[Artifact]]:
    """Open the inputs, told apart by the kinds of the artifacts.

    Raises:
        UsageError: there are no checkpoints or no packs, or one is given twice.
        DataError: an input is neither, or invalid.
    """
    checkpoints: list[Checkpoint] = []
    packs: list[Artifact] = []
    for path in paths:
        if names_checkpoint(path):
            checkpoints.append(load_checkpoint(path))
            continue
        artifact = open_artifact(path)
        if artifact.manifest.kind != "pack":
            raise DataError(
                f"{path}: is {with_article(artifact.manifest.kind)}; expected a run, a checkpoint or a pack"
            )
        packs.append(artifact)
    if not checkpoints or not packs:
        missing = "pack" if checkpoints else "checkpoint"
        raise UsageError(f"matrix: no {missing} given; name one or more checkpoints and one or more packs")
    _check_distinct([(one.digest, str(display_path(one.path))) for one in checkpoints])
    _check_distinct([(one.manifest.digest, str(one.path)) for one in packs])
    return checkpoints, packs


def _check_distinct(found: Sequence[tuple[str, str]]) -> None:
    first: dict[str, str] = {}
    for digest, name in found:
        if digest in first:
            raise UsageError(f"matrix: {first[digest]} and {name} are the same; name each once")
        first[digest] = name


def short_names(paths: Sequence[Path]) -> list[str]:
    """Return the last parts of paths, as many as make them distinct."""
    parts = [path.resolve().parts for path in paths]
    for count in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-count:]) for part in parts]
        if len(set(names)) == len(names):
            break
    return names
