"""Checks of an artifact's files against its manifest, for `fercli.verification`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fercli.artifacts import MANIFEST, Artifact
from fercli.artifacts.digests import digest_file, digest_json
from fercli.errors import FerError, one_line
from fercli.files import read_bytes
from fercli.progress import Progress


@dataclass(frozen=True)
class Fault:
    """A mismatch: a path within the artifact, and a description."""

    path: str
    what: str

    def __str__(self) -> str:
        return one_line(f"{self.path}: {self.what}")


def check_file(folder: Path, path: str, digest: str) -> Fault | None:
    """Return the fault of a file whose digest the manifest has, or None."""
    if path.startswith("/") or ".." in path.split("/"):
        return Fault(MANIFEST, "lists a file outside the artifact")
    try:
        return None if digest_file(folder / path) == digest else Fault(path, "was changed")
    except FileNotFoundError:
        return Fault(path, "is missing")
    except OSError as error:
        return Fault(path, f"cannot be read ({error.strerror or error})")


def read_error(error: OSError | FerError, path: Path) -> str:
    """Return the reason given by an error, without the path and the advice."""
    return str(error).removeprefix(f"{path}: ").rsplit("; ", 1)[0]


def digest_of(*names: str, summary: str = "") -> Callable[[Artifact, Progress], Iterator[Fault]]:
    """Return a check of artifacts whose digest is that of one file, or of several, and whose `summary` is in a file."""

    def check(artifact: Artifact, _: Progress) -> Iterator[Fault]:
        yield from check_digest(artifact, names, artifact.manifest.digest)
        yield from same_summary(artifact, summary) if summary else ()

    return check


def check_digest(
    artifact: Artifact, names: tuple[str, ...], expected: str, known: dict[str, str] | None = None
) -> Iterator[Fault]:
    """Check files against their common digest; on a mismatch, `files` (or `known`) tell which one was changed."""
    digests = []
    for name in names:
        try:
            digests.append(digest_file(artifact.path / name))
        except FileNotFoundError:
            yield Fault(name, "is missing")
        except OSError as error:
            yield Fault(name, f"cannot be read ({error.strerror or error})")
    if len(digests) < len(names):
        return
    if (digests[0] if len(names) == 1 else digest_json(digests)) == expected:
        return
    known = artifact.manifest.files if known is None else known
    changed = [name for name, digest in zip(names, digests, strict=True) if known.get(name, digest) != digest]
    if changed or len(names) == 1:
        yield from (Fault(name, "was changed") for name in changed or names)
    else:
        yield Fault(names[0], f"this file or {' or '.join(names[1:])} was changed")


def same_summary(artifact: Artifact, name: str, key: str = "") -> Iterator[Fault]:
    """Check that a file matches the manifest's summary."""
    try:
        found: Any = json.loads(read_bytes(artifact.path / name))
        same = (found[key] if key else found) == artifact.summary
    except FileNotFoundError:
        yield Fault(name, "is missing")
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        yield Fault(name, f"cannot be read ({error})")
    else:
        if not same:
            yield Fault(name, "its metrics do not match the manifest")
