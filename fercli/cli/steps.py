"""The usual next command after a stage, ready to paste into a shell."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from fercli.artifacts import Artifact, open_artifact
from fercli.datasets.index import UNLABELLED
from fercli.errors import FerError
from fercli.files import find_named
from fercli.hub.address import is_address
from fercli.registry import TRUSTED, is_reference
from fercli.runs import display_path
from fercli.stages.base import HOME


def next_step(artifact: Artifact) -> str | None:
    """Return the command that usually comes next, with real paths, or None."""
    kind, stage = artifact.manifest.kind, artifact.manifest.stage
    here = artifact.path
    if kind == "photographs":
        return _command(["detect", here], "faces", artifact)
    if kind == "dataset":
        if set(artifact.manifest.counts) <= {UNLABELLED}:
            return None
        raw = stage in ("import", "detect")
        return _command(["clean" if raw else "pack", here], "cleaned" if raw else "pack", artifact)
    if kind == "report" and (dataset := _input(artifact, "dataset")):
        return _command(["clean", dataset], "cleaned", artifact)
    if kind == "plan":
        return _command(["balance", here], "generated", artifact)
    if kind == "pack":
        if not {"train", "validation"} <= set(artifact.manifest.counts):
            return None  # a test set for a run trained on another pack
        return _command(["train", here], "run", artifact)
    if kind == "run" and (pack := _input(artifact, "pack")):
        measured = [] if "test" in open_artifact(pack).manifest.counts else ["--split", "validation"]
        command = _command(["evaluate", here, pack], "evaluation", artifact, measured)
        model = str(artifact.summary.get("model", ""))
        return f"{TRUSTED}={model} {command}" if is_reference(model) else command
    if stage == "evaluate" and (pack := _input(artifact, "pack")) and (checkpoint := _checkpoint(artifact)):
        return _command(["explain", checkpoint, pack], "explanation", artifact, ["--limit", "50"], flag=True)
    return None


def _command(
    words: list[str | Path], out: str, made: Artifact, options: list[str] | None = None, *, flag: bool = False
) -> str:
    """Return a command line, without an output path if the artifact is under `artifacts/`."""
    output: list[str | Path] = []
    if os.path.realpath(made.path.parent) != os.path.realpath(HOME):
        output = [*(["--out"] if flag else []), _free_path(made.path.parent / out, Path(words[1]))]
    return " ".join(["fer", *map(shell_word, [*words, *output, *(options or [])])])


def _free_path(wanted: Path, source: Path) -> Path:
    """Return a path that does not exist yet, or an artifact made from `source`."""
    for number in range(1, 100):
        path = wanted if number == 1 else wanted.with_name(f"{wanted.name}-{number}")
        if not os.path.lexists(path):
            break
        try:
            inputs = [Path(os.path.normpath(path / one.path)) for one in open_artifact(path).manifest.inputs]
        except FerError:
            continue
        if any(source == one or source in one.parents for one in inputs):
            break
    return path


def _input(artifact: Artifact, kind: str) -> Path | None:
    """Return the path of an input of the given kind, if it still exists."""
    for one in artifact.manifest.inputs:
        path = find_named(Path(os.path.normpath(artifact.path / one.path)))
        if one.kind == kind and path.is_dir():
            try:
                return open_artifact(path, kind).path
            except FerError:
                return None
    return None


def _checkpoint(artifact: Artifact) -> str | Path | None:
    for one in artifact.manifest.inputs:
        if one.name == "checkpoint" and is_address(one.path):
            return one.path
        if one.name == "checkpoint":
            return display_path(find_named(Path(os.path.normpath(artifact.path / one.path))))
    return None


def shell_word(word: str | Path) -> str:
    """Quote a word for a shell, with printable characters only; paths below the working directory become relative."""
    if isinstance(word, Path):
        below = os.path.relpath(word)
        word = str(word) if below.startswith("..") and word.is_absolute() else below
        word = f"./{word}" if word.startswith("-") else word
    if word.isprintable():
        return shlex.quote(word)
    # ANSI-C quoting of bash and zsh, byte by byte.
    shown = (c if c.isprintable() and c not in "\\'" else "".join(f"\\x{b:02x}" for b in os.fsencode(c)) for c in word)
    return f"$'{''.join(shown)}'"
