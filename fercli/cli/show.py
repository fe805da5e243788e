"""`fer show`."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.tree import Tree

from fercli.artifacts import MANIFEST, Artifact, is_artifact, open_artifact
from fercli.cli.options import Debug, Json
from fercli.cli.output import Output, counts_table, guarded, name, table
from fercli.lineage import Ancestor, ancestors
from fercli.stages.base import HOME

_STATES = {"gone": "no longer there", "changed": "changed since"}


def command(
    artifact: Annotated[
        Path, typer.Argument(metavar="ARTIFACT", help="A data set, pack, run, evaluation, …; or a folder of them.")
    ] = HOME,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Tell what an artifact is: how it was made, its counts, and its lineage back to the source.

    Of a folder that holds artifacts (artifacts/ where none is named) it lists them: time, images and accuracy.

    Example: [bold]fer show run[/bold]
    """
    output = Output(json=json)
    with guarded(debug, "show"):
        inside = artifacts_in(artifact)
        if inside and not (artifact / MANIFEST).exists():
            output.json([_row(one) for one in inside]) if json else output.print(_list(inside))
            return
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


def artifacts_in(folder: Path) -> list[Artifact]:
    """Return the artifacts that lie directly in a folder, in the order in which they were made."""
    children = sorted(folder.iterdir()) if folder.is_dir() else []
    found = [open_artifact(path) for path in children if not path.name.startswith(".") and is_artifact(path)]
    return sorted(found, key=lambda one: (one.manifest.ended, one.manifest.started))


def _row(artifact: Artifact) -> dict[str, Any]:
    """Return one artifact of a list: its time in seconds, its images, and its accuracy where it has one."""
    m = artifact.manifest
    figures, split = (m.summary.get("validation"), "validation") if m.kind == "run" else (m.summary, "")
    figures = figures if isinstance(figures, dict) else {}
    accuracy = figures.get("accuracy")
    return {
        "name": artifact.path.name,
        "kind": m.kind,
        "seconds": (datetime.fromisoformat(m.ended) - datetime.fromisoformat(m.started)).total_seconds(),
        "images": sum(sum(by_emotion.values()) for by_emotion in m.counts.values()),
        "accuracy": accuracy,
        "accuracy_interval": figures.get("accuracy_interval") if accuracy is not None else None,
        "split": split or m.summary.get("split"),
    }


def _list(artifacts: list[Artifact]) -> Table:
    rows = table("artifact", "kind", "seconds", "images", "accuracy", "95 % interval", "on")
    for row in map(_row, artifacts):
        accuracy = "" if row["accuracy"] is None else f"{row['accuracy']:.1%}"
        interval = "to".join(f" {bound:.1%} " for bound in row["accuracy_interval"] or ()).strip()
        seconds = f"{row['seconds']:,.0f}" if row["seconds"] >= 1 else "< 1"
        cells = [row["kind"], seconds, f"{row['images']:,}" if row["images"] else "", accuracy, interval]
        rows.add_row(name(row["name"]), *cells, row["split"] if accuracy else "")
    return rows


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
        text = f"{name(one.kind)} {name(one.name)} [dim]{name(one.input.digest[:12])}[/dim]"
        notes = [one.role, _STATES.get(one.state, ""), "above" if one.repeated else ""]
        if told := ", ".join(filter(None, notes)):
            text += f" ({name(told)})"
        branches[one.depth] = branches[one.depth - 1].add(text)
    return tree


def _entry(one: Ancestor) -> dict[str, Any]:
    return {
        "depth": one.depth,
        "name": one.input.name,
        "kind": one.kind,
        "title": one.name,
        "path": str(one.path),
        "digest": one.input.digest,
        "state": one.state,
        "repeated": one.repeated,
    }
