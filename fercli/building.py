"""Building artifacts: a partial beside its place, a lock, the manifest last, one rename.

So an artifact either is whole or is not there, and two writers never meet.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fercli.artifacts import MANIFEST, Artifact, Input, Manifest, key_of, open_artifact, payload_digests, write_text
from fercli.errors import DataError, FerError

_PENDING = "pending.json"


@dataclass
class Job:
    """An artifact being built.

    Attributes:
        folder: Where the payload goes.
        resumed: Whether an earlier, interrupted call with the same key left its partial here.
        done: The artifact, where an identical one stands already (then there is nothing to do), or once finished.
    """

    folder: Path
    out: Path
    manifest: Manifest
    resumed: bool = False
    done: Artifact | None = None
    fields: dict[str, Any] = field(default_factory=dict)

    def finish(self, *, digest: str, **fields: Any) -> None:
        """Say what the manifest is to hold besides what is known: counts, emotions, skipped, summary, device."""
        self.fields = {"digest": digest, **fields}

    @property
    def artifact(self) -> Artifact:
        """The finished artifact."""
        assert self.done is not None, "the job is not finished"
        return self.done


@contextmanager
def build(
    out: Path,
    kind: str,
    stage: str,
    *,
    options: dict[str, Any],
    inputs: list[Input],
    seed: int | None = None,
    overwrite: bool = False,
    resumable: bool = False,
) -> Iterator[Job]:
    """Build an artifact at `out`, or find that an identical one stands there.

    The body writes into `job.folder` and calls `job.finish`; where `job.done` is set at the start it has nothing to do.
    When the body raises, the partial is removed, but for a resumable stage, whose next identical call goes on from it.

    Raises:
        DataError: something else stands at `out`, or another call is writing it.
        FerError: the disk is full.
    """
    out = Path(os.path.abspath(out))
    key = key_of(kind, stage, options, inputs)
    command = shlex.join(["fer", *sys.argv[1:]]) if Path(sys.argv[0]).name in ("fer", "__main__.py") else ""
    relative = [i.model_copy(update={"path": os.path.relpath(i.path, out)}) for i in inputs]
    manifest = Manifest(
        kind=kind, stage=stage, command=command, options=options, seed=seed, inputs=relative, key=key, started=now()
    )
    partial = partial_of(out)
    with _errors_told(out), _locked(out):
        _recover(out)
        standing = _standing(out, key, overwrite)
        if standing is not None:
            shutil.rmtree(partial, ignore_errors=True)
            yield Job(out, out, manifest, done=standing)
            return
        try:
            job = Job(partial, out, manifest, resumed=_prepare(partial, manifest, resumable))
            yield job
            if not job.fields:
                raise AssertionError(f"{stage} ended without calling finish")
            job.fields["files"] = payload_digests(partial, kind)
            final = manifest.model_copy(update={**job.fields, "ended": now(), "started": _started(partial, manifest)})
            final = Manifest.model_validate(_valid(final.model_dump()))
            write_text(partial / MANIFEST, final.model_dump_json(indent=1) + "\n")
            (partial / _PENDING).unlink()  # after the manifest: a disk that is full now must not cost what can go on
            _place(partial, out)
            job.done = Artifact(out, final)
        except BaseException:
            if not resumable or not _worth_keeping(partial):
                shutil.rmtree(partial, ignore_errors=True)
            raise


def partial_of(out: Path) -> Path:
    """Return where an artifact stands while it is built, and stays where that is interrupted."""
    return out.parent / f".{out.name}.partial"


def _worth_keeping(partial: Path) -> bool:
    """Tell whether a partial holds anything to go on from."""
    return any(path.name != _PENDING for path in partial.iterdir()) if partial.is_dir() else False


def now() -> str:
    """Return the time as manifests have it: UTC, ISO 8601, seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _valid(value: Any) -> Any:
    """Return a manifest's value with the broken bytes of file names, which JSON cannot hold, as U+FFFD."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if isinstance(value, dict):
        return {_valid(key): _valid(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_valid(item) for item in value]
    return value


def _standing(out: Path, key: str, overwrite: bool) -> Artifact | None:
    """Return the identical artifact at `out`, or None where the place is free to be (over)written."""
    if not os.path.lexists(out) or (out.is_dir() and not any(out.iterdir())):
        return None
    try:
        found = open_artifact(out)
    except DataError as error:
        raise DataError(f"{out}: something that is not a fercli artifact stands here; choose another place") from error
    if found.manifest.key == key:
        return Artifact(out, found.manifest, up_to_date=True)
    if not overwrite:
        raise DataError(
            f"{out}: a different {found.manifest.kind} stands here (other options or inputs); "
            "choose another place, or replace it with --overwrite"
        )
    return None


def _prepare(partial: Path, manifest: Manifest, resumable: bool) -> bool:
    """Make the partial directory ready; tell whether it is an earlier call's to go on from."""
    pending = partial / _PENDING
    if resumable and pending.is_file():
        with suppress(OSError, ValueError, KeyError, TypeError):
            if json.loads(pending.read_text())["key"] == manifest.key:
                return True
    if os.path.lexists(partial):
        shutil.rmtree(partial)
    partial.mkdir(parents=True)
    write_text(pending, json.dumps({"key": manifest.key, "started": manifest.started}))
    return False


def _started(partial: Path, manifest: Manifest) -> str:
    with suppress(OSError, ValueError, KeyError):
        return str(json.loads((partial / _PENDING).read_text())["started"])
    return manifest.started


def _old(out: Path) -> Path:
    return out.parent / f".{out.name}.old"


def _place(partial: Path, out: Path) -> None:
    """Rename the whole partial into place, an artifact of ours that stands there going first."""
    old = _old(out)
    if out.is_dir() and any(out.iterdir()):
        os.rename(out, old)
    os.rename(partial, out)  # onto nothing, or onto an empty directory
    _discard(old)


def _discard(old: Path) -> None:
    """Remove the artifact that was replaced; where a link to it stood, the link alone."""
    with suppress(OSError):
        if old.is_symlink():
            old.unlink()
        else:
            shutil.rmtree(old, ignore_errors=True)


def _recover(out: Path) -> None:
    """Mend what a kill between the two renames of `_place` left behind."""
    old = _old(out)
    if not os.path.lexists(old):
        return
    if os.path.lexists(out):
        _discard(old)
    else:
        os.rename(old, out)


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    """Hold the lock file beside `out`; the system frees it when the process ends, however it ends."""
    lock = out.parent / f".{out.name}.lock"
    while True:
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
        except FileNotFoundError as error:  # as under /proc
            raise FerError(f"{out}: cannot be written ({error.strerror}: {error.filename})") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            raise DataError(f"{out}: another call is writing here; wait for it, or choose another place") from error
        # The holder before us may have removed the file between our open and our lock: then we hold a name no more.
        with suppress(FileNotFoundError):
            if os.stat(lock).st_ino == os.fstat(handle).st_ino:
                break
        os.close(handle)
    try:
        yield
    finally:
        with suppress(OSError):
            os.unlink(lock)
        os.close(handle)


@contextmanager
def _errors_told(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise FerError(f"{out}: the disk is full; free some space and call again (nothing half stands)") from error
        if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EEXIST):
            raise FerError(f"{out}: cannot be written ({error.strerror}: {error.filename or out})") from error
        raise
