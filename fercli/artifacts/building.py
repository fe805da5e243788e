"""Building artifacts: a hidden partial directory, a lock, the manifest last, one rename.

An artifact is therefore either complete or absent, and two writers never interfere.
"""

from __future__ import annotations

import errno
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fercli.artifacts import (
    MANIFEST,
    NOT_PATHS,
    Artifact,
    Input,
    Manifest,
    key_of,
    open_artifact,
    payload_digests,
    write_text,
)
from fercli.artifacts.staging import (
    PENDING,
    blocked_error,
    check_disjoint,
    claim,
    discard,
    is_ours,
    is_published,
    locked,
    old_path,
    pending,
)
from fercli.artifacts.staging import (
    partial_path as partial_path,
)
from fercli.errors import DataError, FerError
from fercli.files import as_text_deep
from fercli.registry import loaded_packages
from fercli.sanitize import hide_passwords

_NO_SPACE = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "the disk is full for this user (a quota); free some space",
    errno.EFBIG: "a file exceeds the size limit of this process; raise it (ulimit -f)",
}
_NOT_DISK_ERRORS = (BrokenPipeError, ConnectionError, TimeoutError, ChildProcessError, ProcessLookupError)


@dataclass
class ArtifactBuilder:
    """An artifact being built.

    Attributes:
        folder: The directory for the payload.
        done: The artifact: from the start if an identical one exists (nothing to do), else once it is finished.
    """

    folder: Path
    out: Path
    manifest: Manifest
    done: Artifact | None = None
    fields: dict[str, Any] = field(default_factory=dict)

    def finish(
        self,
        *,
        digest: str,
        emotions: Sequence[str] = (),
        counts: Mapping[str, Mapping[str, int]] | None = None,
        skipped: Mapping[str, Sequence[str]] | None = None,
        summary: Mapping[str, Any] | None = None,
        details: Mapping[str, Any] | None = None,
        device: str = "cpu",
    ) -> None:
        """Set the remaining fields of the manifest (see `Manifest`)."""
        self.fields = {
            "digest": digest,
            "emotions": list(emotions),
            "counts": dict(counts or {}),
            "skipped": dict(skipped or {}),
            "summary": dict(summary or {}),
            "details": dict(details or {}),
            "device": device,
        }

    @property
    def artifact(self) -> Artifact:
        """The finished artifact."""
        assert self.done is not None, "the artifact is not finished"
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
    complete: Callable[[Artifact], bool] = lambda _: True,
) -> Iterator[ArtifactBuilder]:
    """Build an artifact at `out`, unless an identical one already exists.

    The body writes into `builder.folder` and calls `builder.finish`; if `builder.done` is set at the start there is
    nothing to do. If the body raises, the partial is removed, except for resumable stages, whose next identical call
    resumes from it.

    An identical artifact that is not `complete` is not "up to date" either: it is replaced once the body has finished.

    Raises:
        UsageError: the output is, contains, or lies within one of the inputs.
        DataError: something else exists at `out` or at one of its hidden paths, or another call is writing it.
        FerError: the disk is full or not writable.
    """
    out = Path(os.path.abspath(out))
    check_disjoint(out, *(Path(item.path) for item in inputs if item.kind not in NOT_PATHS))
    key = key_of(kind, stage, options, inputs)
    command = shlex.join(["fer", *sys.argv[1:]]) if Path(sys.argv[0]).name in ("fer", "__main__.py") else ""
    command = hide_passwords(command)  # it is published with the artifact
    relative = [i.moved(os.path.relpath(i.path, out)) for i in inputs]
    manifest = Manifest(
        kind=kind, stage=stage, command=command, options=options, seed=seed, inputs=relative, key=key, started=now()
    )
    partial = partial_path(out)
    if (existing := _existing_read_only(out, key)) is not None and complete(existing):
        yield ArtifactBuilder(out, out, manifest, done=existing)
        return
    with _format_disk_errors(out), locked(out):
        _recover(out)
        existing = _existing(out, key, overwrite)
        if existing is not None and complete(existing):
            discard(partial)
            yield ArtifactBuilder(out, out, manifest, done=existing)
            return
        _prepare(partial, manifest, resumable)
        try:
            builder = ArtifactBuilder(partial, out, manifest)
            yield builder
            if not builder.fields:
                raise AssertionError(f"{stage} ended without calling finish")
            builder.fields["files"] = payload_digests(partial, kind)
            started = pending(partial).get("started") or manifest.started
            ended = {"ended": now(), "started": started, "plugins": loaded_packages()}
            final = manifest.model_copy(update={**builder.fields, **ended})
            final = Manifest.model_validate(as_text_deep(final.model_dump()))
            write_text(partial / MANIFEST, final.model_dump_json(indent=1) + "\n")
            (partial / PENDING).unlink()  # after the manifest, so that a full disk does not lose resumable work
            _publish(partial, out)
            builder.done = Artifact(out, final)
        except BaseException:
            if not resumable or not _has_payload(partial):
                discard(partial)
            raise


def _has_payload(partial: Path) -> bool:
    """Return whether a partial contains anything to resume from."""
    return any(path.name != PENDING for path in partial.iterdir()) if partial.is_dir() else False


def now() -> str:
    """Return the current time in the format of manifests: UTC, ISO 8601, in seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _existing_read_only(out: Path, key: str) -> Artifact | None:
    """Return the identical artifact at `out` if its folder is not writable, so that no lock can be taken."""
    if os.access(out.parent, os.W_OK):
        return None
    with suppress(FerError):
        return _existing(out, key, overwrite=False)
    return None


def _existing(out: Path, key: str, overwrite: bool) -> Artifact | None:
    """Return the identical artifact at `out`, or None if `out` may be (over)written."""
    if not os.path.lexists(out) or (out.is_dir() and not out.is_symlink() and not any(out.iterdir())):
        return None
    try:
        found = open_artifact(out)
    except DataError as error:
        raise DataError(f"{out}: already exists and is not a fercli artifact; choose another path") from error
    if found.manifest.key == key:
        return Artifact(out, found.manifest, up_to_date=True)
    if not is_published(out):  # a checkpoint within its run
        raise DataError(f"{out}: already exists as part of another artifact; choose another path")
    if not overwrite:
        raise DataError(
            f"{out}: a different {found.manifest.kind} already exists (other options or inputs); "
            "choose another path, or replace it with --overwrite"
        )
    if os.path.lexists(old_path(out)) and not is_ours(old_path(out)):
        raise blocked_error(old_path(out))
    return None


def _prepare(partial: Path, manifest: Manifest, resumable: bool) -> None:
    """Prepare the partial directory: a new one, or that of an earlier call to resume from."""
    if os.path.lexists(partial):
        if not is_ours(partial):
            raise blocked_error(partial)
        if resumable and pending(partial).get("key") == manifest.key:
            return
        discard(partial)
        if os.path.lexists(partial):
            raise FerError(f"{partial}: left by an earlier call and cannot be removed; remove it and try again")
    try:
        claim(partial, manifest.key, manifest.started)
    except BaseException:
        discard(partial)
        raise


def _publish(partial: Path, out: Path) -> None:
    """Rename the complete partial to `out`, after moving an existing artifact away."""
    if out.is_symlink():  # a link to an artifact: only the link is replaced
        os.unlink(out)
    elif os.path.lexists(out) and not is_ours(out):  # created in the meantime
        raise blocked_error(out)
    elif out.is_dir() and any(out.iterdir()):
        os.rename(out, old_path(out))
    os.rename(partial, out)  # the target does not exist or is an empty directory
    discard(old_path(out))


def _recover(out: Path) -> None:
    """Complete or undo a `_publish` that was killed."""
    old, partial = old_path(out), partial_path(out)
    if os.path.lexists(out):
        discard(old)
    elif is_published(old) and not old.is_symlink():
        os.rename(old, out)
    elif is_published(partial) and not partial.is_symlink() and not pending(partial):
        os.rename(partial, out)


@contextmanager
def _format_disk_errors(out: Path) -> Iterator[None]:
    """Turn disk errors of any library into one-line messages."""
    try:
        yield
    except FerError:
        raise
    except Exception as error:
        code = _disk_errno(error)
        if code in _NO_SPACE:
            raise FerError(f"{out}: {_NO_SPACE[code]} and try again") from error
        if isinstance(error, OSError) and error.errno and not isinstance(error, _NOT_DISK_ERRORS):
            raise FerError(_format_os_error(out, error)) from error
        raise


def _disk_errno(error: BaseException | None) -> int | None:
    """Return the errno of a failed write, from an error or its causes.

    safetensors and HDF5 raise their own errors with the number in the text only; errors of torch and numpy report
    missing bytes, and have the original error as their cause.
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno in _NO_SPACE:
            return error.errno
        if found := re.search(r"(?:os error |errno = )(\d+)", str(error)):
            return int(found[1])
        if isinstance(error, OSError) and re.fullmatch(r"\d+ requested and \d+ written", str(error)):
            return errno.ENOSPC
        error = error.__cause__ or error.__context__
    return None


def _format_os_error(out: Path, error: OSError) -> str:
    """Return the message for an OSError, which may concern the output or an input."""
    name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else str(out)
    written = Path(name) in (out, *out.parents) or name.startswith((f"{out}/", str(out.parent / f".{out.name}.")))
    return f"{out}: cannot be written ({error.strerror}: {name})" if written else f"{name}: {error.strerror}"
