"""`fer weights`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from fercli.cli import completion, interrupts
from fercli.cli.options import Debug, Json, Quiet
from fercli.cli.output import Output, guarded, name, table
from fercli.errors import UsageError
from fercli.weights import PUBLISHED, PublishedWeights, download, find_published


def command(
    action: Annotated[
        str | None,
        typer.Argument(metavar="get", help="get: download weights into the cache.", autocompletion=lambda: ["get"]),
    ] = None,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", help="Weights to download.", autocompletion=completion.published_weights),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """List the weights of the detectors, or download them with get, verified by SHA-256.

    Without network access, pass the file to the command that needs it with --weights FILE.

    Example: [bold]fer weights get yunet[/bold]
    """
    output = Output(json=json, quiet=quiet)
    with guarded(debug, "weights"):
        wanted = _requested(action, names or [])
        for one in wanted:
            with output.progress("weights") as progress:
                interrupts.begin_work()
                download(one, progress)
        shown = wanted or PUBLISHED
        if json:
            output.json([_entry(one) for one in shown])
            return
        if quiet:
            for one in shown:
                if one.path.is_file():
                    output.path("weights", one.path)
            return
        rows = table("weights", "size", "licence", "path")
        for column in (2, 3):
            rows.columns[column].justify = "left"
        for one in shown:
            rows.add_row(one.name, f"{one.size / 1e6:.1f} MB", one.licence, _format_path(one))
        output.print(rows)


def _requested(action: str | None, names: list[str]) -> list[PublishedWeights]:
    """Return the weights to download.

    Raises:
        UsageError: the action is unknown, or no name is given.
    """
    if action is None:
        return []
    if action != "get":
        raise UsageError(f"no action '{action}'; fer weights lists the weights, fer weights get NAME downloads them")
    if not names:
        raise UsageError(f"get: no NAME given; choose from {', '.join(one.name for one in PUBLISHED)}")
    return [find_published(one) for one in names]


def _format_path(one: PublishedWeights) -> str:
    if one.path.is_file():
        return name(one.path)
    return f"not found; fer weights get {one.name}" if one.url else f"not found; --weights FILE, from {one.source}"


def _entry(one: PublishedWeights) -> dict[str, Any]:
    return {
        "name": one.name,
        "size": one.size,
        "licence": one.licence,
        "source": one.source,
        "url": one.url,
        "sha256": one.sha256,
        "path": str(one.path) if one.path.is_file() else None,
    }
