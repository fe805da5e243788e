"""`fer show`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.tree import Tree

from fercli.artifacts import Artifact, open_artifact
from fercli.cli.options import Debug, Json
from fercli.cli.output import Output, counts_table, guarded, name
from fercli.lineage import Ancestor, ancestors


def command(
    artifact: Annotated[Path, typer.Argument(metavar="ARTIFACT", help="A data set, pack, run, evaluation, …")],
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Tell what an artifact is: how it was made, its counts, and its lineage back to the source.

    Example: [bold]fer show run[/bold]
    """
    output = Output(json=json)
    with guarded(debug, "show"):
        found = open_artifact(artifact)
        line = ancestors(found)
        if json:
            output.json({**found.manifest.model_dump(), "lineage": [_entry(a) for a in line]})
            return
        output.print(*_head(found))
        if found.manifest.counts:
            output.print("", counts_table(found.manifest.counts))
        if found.manifest.skipped:
            output.print("", *(f"skipped {len(n):,}: {reason}" for reason, n in found.manifest.skipped.items()))
        output.print("", _tree(found, line))


def _head(artifact: Artifact) -> list[str]:
    m = artifact.manifest
    options = ", ".join(f"{k}={json.dumps(v)}" for k, v in m.options.items() if v not in (None, False, "", {}))
    lines = [
        f"[bold]{m.kind}[/bold] {name(artifact.path)}",
        f"made by {name(m.command) or 'fer ' + m.stage}",
        f"fercli {m.fercli}, {m.started} to {m.ended}, on {m.device}",
        f"digest {m.digest[:16]}",
    ]
    return [*lines, f"options {name(options)}"] if options else lines


def _tree(artifact: Artifact, line: list[Ancestor]) -> Tree:
    """Return the lineage as a tree, the artifact itself at its root."""
    tree = Tree(f"lineage of {name(artifact.path.name)}", guide_style="dim")
    branches = {0: tree}
    for one in line:
        state = {"gone": " [yellow](no longer there)[/yellow]", "changed": " [red](changed since)[/red]"}.get(
            one.state, ""
        )
        text = f"{one.input.kind} {name(one.path.name)} [dim]{one.input.digest[:12]}[/dim]{state}"
        branches[one.depth] = branches[one.depth - 1].add(text)
    return tree


def _entry(one: Ancestor) -> dict[str, Any]:
    return {
        "depth": one.depth,
        "name": one.input.name,
        "kind": one.input.kind,
        "path": str(one.path),
        "digest": one.input.digest,
        "state": one.state,
    }
