"""Artifacts: the directories that stages read and write.

An artifact is a directory with a manifest, `artifact.json`, and a payload. `fercli.building` makes them.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from pydantic import BaseModel, ConfigDict, ValidationError

from fercli import __version__
from fercli.digests import digest_json
from fercli.errors import DataError, FerError
from fercli.files import read_bytes

MANIFEST = "artifact.json"
FORMAT = 1


class Input(BaseModel):
    """One thing a stage read: what it was called, where it lay (relative to the artifact) and its digest."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str
    path: str
    kind: str
    digest: str


class Manifest(BaseModel):
    """What `artifact.json` holds.

    Attributes:
        kind: dataset, pack, run, checkpoint, evaluation, report, …
        format: The version of this layout.
        key: Digest of kind, stage, options and input digests: equal keys mean "up to date".
        counts: Images by split and emotion, where the artifact has any.
        digest: Digest of the payload.
        skipped: What was left out: reason, and the items concerned.
        summary: What `--json` prints.
        details: What more there is to know, which `--json` leaves out.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    kind: str
    format: int = FORMAT
    fercli: str = __version__
    stage: str
    command: str = ""
    options: dict[str, Any] = {}
    seed: int | None = None
    emotions: list[str] = []
    counts: dict[str, dict[str, int]] = {}
    inputs: list[Input] = []
    key: str = ""
    digest: str = ""
    skipped: dict[str, list[str]] = {}
    summary: dict[str, Any] = {}
    details: dict[str, Any] = {}
    started: str = ""
    ended: str = ""
    device: str = "cpu"


@dataclass(frozen=True)
class Artifact:
    """A whole artifact on disk.

    Attributes:
        path: Its directory.
        manifest: Its manifest.
        up_to_date: Whether the call that returned it found it there already.
    """

    path: Path
    manifest: Manifest
    up_to_date: bool = False

    @property
    def summary(self) -> dict[str, Any]:
        """What the stage reports of it: the object that `--json` prints."""
        return self.manifest.summary


def is_artifact(path: Path) -> bool:
    """Tell whether a directory is one of ours: whether it has a manifest that can be read."""
    with suppress(FerError):
        open_artifact(path)
        return True
    return False


def open_artifact(path: Path, *kinds: str) -> Artifact:
    """Open an artifact, of one of `kinds` where any is given.

    Raises:
        DataError: nothing is there, it is no artifact, is of another kind, or was written by a later format.
    """
    if not path.exists():
        raise DataError(f"{path}: there is nothing here")
    file = path / MANIFEST
    try:
        manifest = Manifest.model_validate_json(read_bytes(file))
    except (FileNotFoundError, NotADirectoryError) as error:
        wanted = " or ".join(kinds) or "artifact"
        raise DataError(f"{path}: not a fercli {wanted} (it has no {MANIFEST})") from error
    except (OSError, ValidationError) as error:
        raise DataError(f"{file}: cannot be read as a manifest; make the artifact anew") from error
    if manifest.format > FORMAT:
        raise DataError(f"{path}: written by fercli {manifest.fercli} in format {manifest.format}; update fercli")
    if kinds and manifest.kind not in kinds:
        raise DataError(f"{path}: is a {manifest.kind}, but a {' or '.join(kinds)} is wanted here")
    return Artifact(path, manifest)


def input_of(name: str, path: Path, kind: str, digest: str) -> Input:
    """Describe an input; its path is made relative to the artifact when the artifact is written."""
    return Input(name=name, path=os.path.abspath(path), kind=kind, digest=digest)


def artifact_input(name: str, artifact: Artifact) -> Input:
    """Describe an artifact as an input."""
    return input_of(name, artifact.path, artifact.manifest.kind, artifact.manifest.digest)


def key_of(kind: str, stage: str, options: dict[str, Any], inputs: list[Input]) -> str:
    """Return the digest by which two calls are the same: kind, stage, options and inputs, not where things lie."""
    ins = [[i.name, i.kind, i.digest] for i in inputs]
    return digest_json([FORMAT, kind, stage, options, ins])


def write_text(path: Path, text: str) -> None:
    """Write a small file whole: beside its place, forced to the disk, then renamed."""
    with writing(path) as file:
        file.write(text)


@contextmanager
def writing(path: Path) -> Iterator[TextIO]:
    """Open a text file to write that comes to its place when it is whole, and on the disk."""
    with atomic_path(path) as beside, beside.open("w", encoding="utf-8", newline="") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a place beside `path` to write a file to, which comes to `path` when it is whole; else nothing is left."""
    beside = path.with_name(f".{path.name}.new")
    try:
        yield beside
        os.replace(beside, path)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise


def link_or_copy(source: Path, target: Path) -> None:
    """Give an unchanged file a second name by hard link, or copy it where the disk allows none."""
    try:
        os.link(os.path.realpath(source), target)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        shutil.copyfile(source, target)
