"""Artifacts: the directories that stages read and write.

An artifact is a directory with a manifest, `artifact.json`, and a payload. `fercli.artifacts.building` makes them.
"""

from __future__ import annotations

import errno
import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, TextIO

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from fercli._version import __version__
from fercli.artifacts.digests import digest_file, digest_json, walk_files
from fercli.errors import DataError, FerError
from fercli.files import read_bytes, usual_mode

MANIFEST = "artifact.json"
_PENDING = "pending.json"  # what a partial has in place of a manifest
FORMAT = 1
_COVERED = {"dataset": ("index.csv", "train", "validation", "test", "unlabelled"), "pack": ("faces.h5",)}
"""What an artifact's digest covers already, by kind."""
_LARGEST = 2**63
"""No number of a manifest is as large: whoever reads on need not think of numbers of 5,000 digits."""


def _time(value: str) -> str:
    if value:
        datetime.fromisoformat(value)
    return value


def _place(value: str) -> str:
    if "\0" in value or len(value) > 4096:
        raise ValueError("no path of a file")
    return value


Time = Annotated[str, AfterValidator(_time)]
"""A time in ISO 8601, or empty."""
Count = Annotated[int, Field(ge=0, lt=_LARGEST)]


class Input(BaseModel):
    """One thing a stage read: what it was called, where it lay (relative to the artifact) and its digest."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str
    path: Annotated[str, AfterValidator(_place)]
    kind: str
    digest: str


class Manifest(BaseModel):
    """What `artifact.json` holds.

    Attributes:
        kind: dataset, pack, run, checkpoint, evaluation, report, …
        format: The version of this layout.
        key: Digest of kind, stage, options and input digests: equal keys mean "up to date".
        counts: Images by split and emotion, where the artifact has any.
        digest: Digest of the payload: of what later stages read.
        files: SHA-256 of the payload's files that `digest` does not cover, by place (`payload_digests`).
        skipped: What was left out: reason, and the items concerned.
        summary: What `--json` prints.
        details: What more there is to know, which `--json` leaves out.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    kind: str
    format: Annotated[int, Field(ge=0, lt=_LARGEST)] = FORMAT
    fercli: str = __version__
    stage: str
    command: str = ""
    options: dict[str, Any] = {}
    seed: Count | None = None
    emotions: list[str] = []
    counts: dict[str, dict[str, Count]] = {}
    inputs: list[Input] = []
    key: str = ""
    digest: str = ""
    files: dict[str, str] = {}
    skipped: dict[str, list[str]] = {}
    summary: dict[str, Any] = {}
    details: dict[str, Any] = {}
    started: Time = ""
    ended: Time = ""
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
    if not os.path.exists(path):  # unlike `Path.exists`, False for names that no disk could hold
        raise DataError(f"{path}: there is nothing here")
    file = path / MANIFEST
    try:
        manifest = Manifest.model_validate_json(read_bytes(file))
        _check_numbers(manifest)
    except (FileNotFoundError, NotADirectoryError) as error:
        wanted = " or ".join(kinds) or "artifact"
        raise DataError(f"{path}: not a fercli {wanted} (it has no {MANIFEST})") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: cannot be read as a manifest ({_reason(error)}); make the artifact anew") from error
    if manifest.format > FORMAT:
        raise DataError(f"{path}: written by fercli {manifest.fercli} in format {manifest.format}; update fercli")
    if kinds and manifest.kind not in kinds:
        raise DataError(f"{path}: is a {manifest.kind}, but a {' or '.join(kinds)} is wanted here")
    return Artifact(path, manifest)


def _check_numbers(manifest: Manifest) -> None:
    """Refuse numbers that no stage writes: those that are not finite, and those of thousands of digits.

    Raises:
        ValueError: there is one.
    """
    waiting: list[Any] = [manifest.options, manifest.summary, manifest.details]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, float) and not math.isfinite(value):
            raise ValueError("a number that is not finite")
        elif isinstance(value, int) and abs(value) >= _LARGEST:
            raise ValueError("a number of too many digits")


def _reason(error: OSError | ValueError) -> str:
    """Return the first thing that is wrong with a manifest in a few words, whatever a stranger wrote into it."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part)[:40] for part in first["loc"][:4])
        return ": ".join(filter(None, [where, first["msg"].removeprefix("Value error, ")[:120]]))
    return str(getattr(error, "strerror", None) or error)[:120]


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


def payload_digests(folder: Path, kind: str) -> dict[str, str]:
    """Return the SHA-256 of a payload's files by place, but of those that the artifact's digest covers already.

    A data set's index stands for its images, and a pack's digest is its file's. A name that is not UTF-8 has no place
    in a manifest.
    """
    found = {}
    skipped = {MANIFEST, _PENDING, *_COVERED.get(kind, ())}
    for name in sorted(os.listdir(folder)):
        if name in skipped or name.startswith("."):
            continue
        top = folder / name
        for file in walk_files(top) if top.is_dir() else (top,):
            path = file.relative_to(folder).as_posix()
            if _is_utf8(path):
                found[path] = digest_file(file)
    return found


def _is_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


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


@contextmanager
def temporary_beside(path: Path) -> Iterator[Path]:
    """Yield a new, empty file in the folder of `path`; what is still there in the end is removed.

    Unlike that of `atomic_path`, its name is one that no other process uses, for places that no lock guards. It has the
    suffix of `path`, by which libraries choose a format; `publish` brings it to its place.
    """
    handle, name = tempfile.mkstemp(path.suffix.lower(), ".fercli-", path.parent)
    os.close(handle)
    try:
        yield Path(name)
    finally:
        with suppress(OSError):
            os.unlink(name)


def publish(written: Path, path: Path) -> None:
    """Rename a whole temporary file to its place, with the permissions that any new file has."""
    usual_mode(written)
    os.replace(written, path)


def link_or_copy(source: Path, target: Path) -> None:
    """Give an unchanged file a second name by hard link, or copy it where the disk allows none."""
    try:
        os.link(os.path.realpath(source), target)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        shutil.copyfile(source, target)
