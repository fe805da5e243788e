"""Building artifacts: a partial beside its place, a lock, the manifest last, one rename.

So an artifact either is whole or is not there, and two writers never meet.
"""

from __future__ import annotations

import errno
import os
import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fercli.artifacts import MANIFEST, Artifact, Input, Manifest, key_of, open_artifact, payload_digests, write_text
from fercli.artifacts.staging import (
    PENDING,
    check_disjoint,
    claim,
    discard,
    in_the_way,
    is_ours,
    is_placed,
    locked,
    old_of,
    pending,
)
from fercli.artifacts.staging import (
    partial_of as partial_of,
)
from fercli.errors import DataError, FerError
from fercli.files import texts

_FULL = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "the disk is full for this user (a quota); free some space",
    errno.EFBIG: "a file would be larger than this process may write; raise the limit (ulimit -f)",
}
_NOT_OF_THE_DISK = (BrokenPipeError, ConnectionError, TimeoutError, ChildProcessError, ProcessLookupError)


@dataclass
class ArtifactBuilder:
    """An artifact being built.

    Attributes:
        folder: Where the payload goes.
        done: The artifact, where an identical one stands already (then there is nothing to do), or once finished.
    """

    folder: Path
    out: Path
    manifest: Manifest
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
) -> Iterator[ArtifactBuilder]:
    """Build an artifact at `out`, or find that an identical one stands there.

    The body writes into `job.folder` and calls `job.finish`; where `job.done` is set at the start it has nothing to do.
    When the body raises, the partial is removed, but for a resumable stage, whose next identical call goes on from it.

    Raises:
        UsageError: the output is, lies within, or holds one of the inputs.
        DataError: something else stands at `out` or in the way, or another call is writing it.
        FerError: the disk is full, or refuses.
    """
    out = Path(os.path.abspath(out))
    check_disjoint(out, *(Path(item.path) for item in inputs if item.kind != "hub"))
    key = key_of(kind, stage, options, inputs)
    command = shlex.join(["fer", *sys.argv[1:]]) if Path(sys.argv[0]).name in ("fer", "__main__.py") else ""
    relative = [i.model_copy(update={"path": os.path.relpath(i.path, out)}) for i in inputs]
    manifest = Manifest(
        kind=kind, stage=stage, command=command, options=options, seed=seed, inputs=relative, key=key, started=now()
    )
    partial = partial_of(out)
    if (standing := _unwritable(out, key)) is not None:
        yield ArtifactBuilder(out, out, manifest, done=standing)
        return
    with _errors_told(out), locked(out):
        _recover(out)
        standing = _existing(out, key, overwrite)
        if standing is not None:
            discard(partial)
            yield ArtifactBuilder(out, out, manifest, done=standing)
            return
        _prepare(partial, manifest, resumable)
        try:
            job = ArtifactBuilder(partial, out, manifest)
            yield job
            if not job.fields:
                raise AssertionError(f"{stage} ended without calling finish")
            job.fields["files"] = payload_digests(partial, kind)
            started = pending(partial).get("started") or manifest.started
            final = manifest.model_copy(update={**job.fields, "ended": now(), "started": started})
            final = Manifest.model_validate(texts(final.model_dump()))
            write_text(partial / MANIFEST, final.model_dump_json(indent=1) + "\n")
            (partial / PENDING).unlink()  # after the manifest: a disk that is full now must not cost what can go on
            _publish(partial, out)
            job.done = Artifact(out, final)
        except BaseException:
            if not resumable or not _worth_keeping(partial):
                discard(partial)
            raise


def _worth_keeping(partial: Path) -> bool:
    """Tell whether a partial holds anything to go on from."""
    return any(path.name != PENDING for path in partial.iterdir()) if partial.is_dir() else False


def now() -> str:
    """Return the time as manifests have it: UTC, ISO 8601, seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _unwritable(out: Path, key: str) -> Artifact | None:
    """Return the identical artifact at `out` where no lock can be written beside it, as on a disk that is read-only."""
    if os.access(out.parent, os.W_OK):
        return None
    with suppress(FerError):
        return _existing(out, key, overwrite=False)
    return None


def _existing(out: Path, key: str, overwrite: bool) -> Artifact | None:
    """Return the identical artifact at `out`, or None where the place is free to be (over)written."""
    if not os.path.lexists(out) or (out.is_dir() and not out.is_symlink() and not any(out.iterdir())):
        return None
    try:
        found = open_artifact(out)
    except DataError as error:
        raise DataError(f"{out}: something that is not a fercli artifact stands here; choose another place") from error
    if found.manifest.key == key:
        return Artifact(out, found.manifest, up_to_date=True)
    if not is_placed(out):  # a checkpoint within its run
        raise DataError(f"{out}: a part of another artifact stands here; choose another place")
    if not overwrite:
        raise DataError(
            f"{out}: a different {found.manifest.kind} stands here (other options or inputs); "
            "choose another place, or replace it with --overwrite"
        )
    if os.path.lexists(old_of(out)) and not is_ours(old_of(out)):
        raise in_the_way(old_of(out))
    return None


def _prepare(partial: Path, manifest: Manifest, resumable: bool) -> None:
    """Make the partial directory ready: a new one, or an earlier call's to go on from."""
    if os.path.lexists(partial):
        if not is_ours(partial):
            raise in_the_way(partial)
        if resumable and pending(partial).get("key") == manifest.key:
            return
        discard(partial)
        if os.path.lexists(partial):
            raise FerError(f"{partial}: left by an earlier call and cannot be removed; remove it and call again")
    try:
        claim(partial, manifest.key, manifest.started)
    except BaseException:
        discard(partial)
        raise


def _publish(partial: Path, out: Path) -> None:
    """Rename the whole partial into place, an artifact of ours that stands there going first."""
    if out.is_symlink():  # a link to an artifact, else the place would not be free: the link alone gives way
        os.unlink(out)
    elif os.path.lexists(out) and not is_ours(out):  # it came while we worked
        raise in_the_way(out)
    elif out.is_dir() and any(out.iterdir()):
        os.rename(out, old_of(out))
    os.rename(partial, out)  # onto nothing, or onto an empty directory
    discard(old_of(out))


def _recover(out: Path) -> None:
    """Mend what a kill within `_place` left behind."""
    old, partial = old_of(out), partial_of(out)
    if os.path.lexists(out):
        discard(old)
    elif is_placed(old) and not old.is_symlink():
        os.rename(old, out)
    elif is_placed(partial) and not partial.is_symlink() and not pending(partial):
        os.rename(partial, out)


@contextmanager
def _errors_told(out: Path) -> Iterator[None]:
    """Tell in one line what a disk refuses, whichever library met it."""
    try:
        yield
    except FerError:
        raise
    except Exception as error:
        code = _refused(error)
        if code in _FULL:
            raise FerError(f"{out}: {_FULL[code]} and call again (nothing half stands)") from error
        if isinstance(error, OSError) and error.errno and not isinstance(error, _NOT_OF_THE_DISK):
            raise FerError(_line(out, error)) from error
        raise


def _refused(error: BaseException | None) -> int | None:
    """Return the system's number for a write that was refused, from an error or one that it came from.

    safetensors and HDF5 raise errors of their own, which hold the number in their text alone; torch's and numpy's tell
    of bytes that are missing, their cause standing before them.
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL:
            return error.errno
        if found := re.search(r"(?:os error |errno = )(\d+)", str(error)):
            return int(found[1])
        if isinstance(error, OSError) and re.fullmatch(r"\d+ requested and \d+ written", str(error)):
            return errno.ENOSPC
        error = error.__cause__ or error.__context__
    return None


def _line(out: Path, error: OSError) -> str:
    """Return the line for what a system refuses: of the output, or of a file that is read."""
    name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else str(out)
    written = Path(name) in (out, *out.parents) or name.startswith((f"{out}/", str(out.parent / f".{out.name}.")))
    return f"{out}: cannot be written ({error.strerror}: {name})" if written else f"{name}: {error.strerror}"
