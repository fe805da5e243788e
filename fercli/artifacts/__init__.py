"""Artifacts: the directories that stages read and write.

An artifact is a directory with a manifest, `artifact.json`, and a payload. `fercli.artifacts.building` creates them.
"""

from __future__ import annotations

import errno
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, TextIO

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from fercli._version import __version__
from fercli.artifacts.digests import digest_file, digest_json, walk_files
from fercli.errors import DataError, FerError, with_article
from fercli.files import read_bytes, set_default_mode
from fercli.hub.address import cached_address, is_address

MANIFEST = "artifact.json"
PRETRAINED = "pretrained"
"""Kind of an input that is a model of fercli's own, whose path is only its name."""
NOT_PATHS = ("hub", PRETRAINED)
"""Kinds of inputs whose path is a name, or an address on the hub with its commit."""
_PENDING = "pending.json"  # in an incomplete artifact, in place of the manifest
FORMAT = 1
_COVERED = {"dataset": ("index.csv", "train", "validation", "test", "unlabelled"), "pack": ("faces.h5", "shards")}
"""The files and folders that an artifact's digest covers, by kind."""
_MAX_NUMBER = 2**63
"""Upper bound of numbers in a manifest, so that readers need not handle numbers of thousands of digits."""


def _check_time(value: str) -> str:
    if value:
        datetime.fromisoformat(value)
    return value


def _check_path(value: str) -> str:
    if "\0" in value or len(value) > 4096:
        raise ValueError("not a file path")
    return value


Time = Annotated[str, AfterValidator(_check_time)]
"""A time in ISO 8601, or empty."""
Count = Annotated[int, Field(ge=0, lt=_MAX_NUMBER)]


class Input(BaseModel):
    """An input of a stage: its name, its path relative to the artifact, its kind and its digest."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str
    path: Annotated[str, AfterValidator(_check_path)]
    kind: str
    digest: str

    def moved(self, path: str) -> Input:
        """Return it with another path, unless its path is an address on the hub, which is the same everywhere."""
        return self if is_address(self.path) else self.model_copy(update={"path": path})


class Manifest(BaseModel):
    """The contents of `artifact.json`.

    Attributes:
        kind: dataset, pack, run, checkpoint, evaluation, report, …
        format: Version of this layout.
        key: Digest of kind, stage, options and the digests of the inputs: equal keys mean "up to date".
        counts: Images by split and emotion, if the artifact has any.
        digest: Digest of the part of the payload that later stages read.
        files: SHA-256 of the payload's files that `digest` does not cover, by path (`payload_digests`).
        skipped: Skipped items, by reason.
        summary: The results that `--json` prints.
        details: Further information that `--json` omits.
        plugins: The packages whose plugins had been loaded when it was made, and their versions.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    kind: str
    format: Annotated[int, Field(ge=0, lt=_MAX_NUMBER)] = FORMAT
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
    plugins: dict[str, str] = {}
    started: Time = ""
    ended: Time = ""
    device: str = "cpu"


@dataclass(frozen=True)
class Artifact:
    """A complete artifact on disk.

    Attributes:
        path: Its directory.
        manifest: Its manifest.
        up_to_date: Whether it already existed when a stage returned it.
    """

    path: Path
    manifest: Manifest
    up_to_date: bool = False

    def __fspath__(self) -> str:
        return str(self.path)

    @property
    def summary(self) -> Mapping[str, Any]:
        """The results of the stage, which `--json` prints."""
        return self.manifest.summary


def is_artifact(path: Path) -> bool:
    """Return whether a directory is an artifact with a readable manifest."""
    with suppress(FerError):
        open_artifact(path)
        return True
    return False


def open_artifact(path: Path, *kinds: str) -> Artifact:
    """Open an artifact, of one of `kinds` if any are given.

    Raises:
        DataError: the path does not exist, is not an artifact, is of another kind, or has a newer format.
    """
    if not os.path.exists(path):  # unlike `Path.exists`, False for invalid names
        raise DataError(f"{path}: no such path")
    file = path / MANIFEST
    try:
        manifest = Manifest.model_validate_json(read_bytes(file))
        _check_numbers(manifest)
    except (FileNotFoundError, NotADirectoryError) as error:
        expected = " or ".join(kinds) or "artifact"
        raise DataError(f"{path}: not a fercli {expected} (it has no {MANIFEST})") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: not a valid manifest ({_reason(error)}); re-create the artifact") from error
    if manifest.format > FORMAT:
        raise DataError(f"{path}: written by fercli {manifest.fercli} in format {manifest.format}; update fercli")
    if kinds and manifest.kind not in kinds:
        raise DataError(f"{path}: is {with_article(manifest.kind)}; expected {with_article(' or '.join(kinds))}")
    return Artifact(path, manifest)


def _check_numbers(manifest: Manifest) -> None:
    """Reject numbers that no stage writes: infinities, NaN, and integers of thousands of digits.

    Raises:
        ValueError: the manifest contains such a number.
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
        elif isinstance(value, int) and abs(value) >= _MAX_NUMBER:
            raise ValueError("a number with too many digits")


def _reason(error: OSError | ValueError) -> str:
    """Return the first problem of an untrusted manifest, shortened."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part)[:40] for part in first["loc"][:4])
        return ": ".join(filter(None, [where, first["msg"].removeprefix("Value error, ")[:120]]))
    return str(getattr(error, "strerror", None) or error)[:120]


def input_of(name: str, path: Path, kind: str, digest: str) -> Input:
    """Return a description of an input; its path becomes relative when the artifact is written.

    One in the hub's cache is described by its address, with the commit.
    """
    if (address := cached_address(path)) is not None:
        return Input(name=name, path=str(address), kind="hub", digest=digest)
    return Input(name=name, path=os.path.abspath(path), kind=kind, digest=digest)


def artifact_input(name: str, artifact: Artifact) -> Input:
    """Return a description of an artifact as an input."""
    return input_of(name, artifact.path, artifact.manifest.kind, artifact.manifest.digest)


def key_of(kind: str, stage: str, options: dict[str, Any], inputs: list[Input]) -> str:
    """Return the digest that identifies a call: of kind, stage, options and inputs, but not of paths."""
    ins = [[i.name, i.kind, i.digest] for i in inputs]
    return digest_json([FORMAT, kind, stage, options, ins])


def payload_digests(folder: Path, kind: str) -> dict[str, str]:
    """Return the SHA-256 of the payload's files, by path, except those that the artifact's digest covers.

    A dataset's index covers its images, and a pack's digest is that of its file. Names that are not UTF-8 are left out.
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
    """Write a small text file atomically."""
    with writing(path) as file:
        file.write(text)


@contextmanager
def writing(path: Path) -> Iterator[TextIO]:
    """Open a text file for writing; it is synced to disk and renamed to `path` once complete."""
    with atomic_path(path) as tmp_path, tmp_path.open("w", encoding="utf-8", newline="") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write a file to; it is renamed to `path` on success, and removed on failure."""
    tmp_path = path.with_name(f".{path.name}.new")
    try:
        yield tmp_path
        os.replace(tmp_path, path)
    except BaseException:
        with suppress(OSError):
            tmp_path.unlink()
        raise


@contextmanager
def temporary_path(path: Path) -> Iterator[Path]:
    """Yield a new, empty file in the folder of `path`; it is removed at the end unless `publish` has renamed it.

    Unlike that of `atomic_path`, its name is unique, for paths that no lock guards. It has the suffix of `path`, by
    which libraries choose a format.
    """
    handle, name = tempfile.mkstemp(path.suffix.lower(), ".fercli-", path.parent)
    os.close(handle)
    try:
        yield Path(name)
    finally:
        with suppress(OSError):
            os.unlink(name)


def publish(tmp_path: Path, path: Path) -> None:
    """Rename a complete temporary file to `path`, with the permissions of an ordinary new file."""
    set_default_mode(tmp_path)
    os.replace(tmp_path, path)


def link_or_copy(source: Path, target: Path) -> None:
    """Hard-link an unchanged file (that of a link, not the link), or copy it if the file system has no hard links."""
    try:
        os.link(os.path.realpath(source) if source.is_symlink() else source, target)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        shutil.copyfile(source, target)
