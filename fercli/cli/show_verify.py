"""`fer show --verify`: check that artifacts are unchanged."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import typer

from fercli.artifacts import MANIFEST, Artifact, open_artifact
from fercli.artifacts.checks import Fault
from fercli.cli.failures import failure
from fercli.cli.output import Output, guarded
from fercli.cli.show_list import Broken, artifacts_in
from fercli.errors import DataError, one_line
from fercli.progress import Progress
from fercli.verification import verify

_MAX_LISTED = 3
"""Number of faults, or of artifacts in a folder, in the message; `--json` lists all."""


def print_verification(path: Path, output: Output, debug: bool) -> None:
    """Verify an artifact, or all artifacts in a folder: print the intact ones, and fail if any is not.

    Raises:
        typer.Exit: verification failed.
    """
    with guarded(debug, "show"):
        wrong: DataError | None = None
        inside = [] if (path / MANIFEST).exists() else artifacts_in(path)
        found: list[tuple[Artifact | Broken, list[Fault]]] = []
        with output.progress("show") as progress:
            for one in inside or [open_artifact(path)]:
                found.append((one, _faults(one, progress)))
        faulty = [(one, own) for one, own in found if own]
        if faulty and not inside:
            faults = faulty[0][1]
            count = "1 fault" if len(faults) == 1 else f"{len(faults):,} faults"
            wrong = DataError(f"{path}: verification failed, {count}: {_format_list(map(str, faults))}; re-create it")
        elif faulty:
            names = _format_list(f"{one.path.name}/{own[0]}{_and_more(len(own) - 1)}" for one, own in faulty)
            count = f"{len(faulty):,} of {len(found):,} artifacts failed verification"
            wrong = DataError(f"{path}: {count}: {names}; re-create {'it' if len(faulty) == 1 else 'them'}")
        if output.as_json:
            entries = [_entry(one, own) for one, own in found]
            error: dict[str, object] = failure(str(wrong), type(wrong).__name__, wrong.exit_code) if wrong else {}
            output.json({**error, **entries[0]} if not inside else {**error, "artifacts": entries})
        elif not output.quiet:
            for one, own in found:
                if not own and isinstance(one, Artifact):
                    typer.echo(one_line(f"verified {one.manifest.kind} {one.path}"))
        if wrong:
            raise wrong


def _format_list(items: Iterable[str]) -> str:
    """Join the first few items, and add how many more there are."""
    listed = list(items)
    return "; ".join(listed[:_MAX_LISTED]) + _and_more(len(listed) - _MAX_LISTED)


def _and_more(count: int) -> str:
    return f" and {count:,} more" if count > 0 else ""


def _faults(one: Artifact | Broken, progress: Progress) -> list[Fault]:
    return [Fault(MANIFEST, one.why)] if isinstance(one, Broken) else verify(one, progress)


def _entry(one: Artifact | Broken, faults: list[Fault]) -> dict[str, object]:
    return {
        "path": str(one.path),
        "kind": one.manifest.kind if isinstance(one, Artifact) else None,
        "verified": not faults,
        "faults": [{"path": fault.path, "what": fault.what} for fault in faults],
    }
