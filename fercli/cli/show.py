"""`fer show`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.tree import Tree

from fercli.artifacts import MANIFEST, Artifact, open_artifact
from fercli.artifacts.key_metrics import (
    KeyMetrics,
    interval,
    key_metrics,
    mapping,
    non_negative_int,
    number,
    sequence,
    text,
)
from fercli.artifacts.lineage import Ancestor, ancestors, display_name
from fercli.cli import completion
from fercli.cli.metrics_table import format_averaged_over, format_ratio
from fercli.cli.options import Debug, Json, QuietList
from fercli.cli.output import Output, counts_table, guarded, name, table
from fercli.cli.show_list import Broken, artifacts_in, print_table, rows_of
from fercli.errors import UsageError, one_line
from fercli.hub.address import is_address
from fercli.stages.base import HOME

_STATES = {"gone": "missing", "changed": "changed since"}
_MEASURED_KINDS = ("run", "checkpoint", "evaluation", "study", "crossvalidation")


def command(
    artifact: Annotated[
        Path, typer.Argument(metavar="ARTIFACT", help="A dataset, pack, run, evaluation, …, or a folder of them.")
    ] = HOME,
    sort: Annotated[
        str,
        typer.Option(
            metavar="COLUMN",
            autocompletion=completion.columns,
            help="Column by which to sort a folder's list: artifact, kind, model, seed, images, seconds, accuracy, "
            "macro-f1 or on; metrics in descending order (default: by time of creation).",
        ),
    ] = "",
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="Recompute all digests and fail (exit 1) if any has changed; for a folder, verify all its artifacts.",
        ),
    ] = False,
    json: Json = False,
    quiet: QuietList = False,
    debug: Debug = False,
) -> None:
    """Show an artifact: its metrics, provenance, counts, and lineage back to the source.

    For a folder of artifacts (by default artifacts/), list them: model, seed, images and metrics.

    Example: [bold]fer show run && fer show --verify run[/bold]
    """
    output = Output(json=json, quiet=quiet)
    if verify:
        from fercli.cli.show_verify import print_verification  # slow to import: numpy, Pillow

        print_verification(artifact, output, debug)
        return
    with guarded(debug, "show"):
        inside = [] if (artifact / MANIFEST).exists() else artifacts_in(artifact)
        if inside:
            _show_list(output, inside, sort, json)
            return
        found = open_artifact(artifact)
        if sort:
            raise UsageError(f"--sort: {artifact} is one {found.manifest.kind}; only a folder's list can be sorted")
        line = ancestors(found)
        if json:
            output.json({**found.manifest.model_dump(), "lineage": [_entry(a) for a in line]})
            return
        output.print(*_head(found))
        counts = found.manifest.counts
        if counts and found.manifest.kind != "evaluation":  # which has a table by emotion
            output.print("", counts_table({name(split): by_emotion for split, by_emotion in counts.items()}))
        if found.manifest.skipped:
            output.print("", *(f"skipped {len(n):,}: {name(reason)}" for reason, n in found.manifest.skipped.items()))
        output.print("", _tree(found, line))


def _show_list(output: Output, inside: list[Artifact | Broken], sort: str, json: bool) -> None:
    rows = rows_of(inside, sort)
    if json:
        output.json(rows)
        return
    if output.quiet:
        return
    print_table(rows)
    for row in rows:
        if row["error"]:
            typer.echo(f"broken: {one_line(row['error'])}")


def _head(artifact: Artifact) -> Iterator[Any]:
    """Yield the header of an artifact: its metrics, if any, then its provenance."""
    m = artifact.manifest
    yield f"[bold]{name(m.kind)}[/bold] {name(artifact.path)}"
    if m.kind in _MEASURED_KINDS:
        yield from _metrics(artifact)
        yield ""
    for pair in map(mapping, sequence(artifact.summary.get("pairs")) if m.kind == "comparison" else ()):
        yield name(f"{text(pair.get('first'))} / {text(pair.get('second'))}: {text(pair.get('verdict'))}")
    if m.kind == "export":
        yield from (*_exported(artifact.summary), "")
    if m.kind == "matrix":
        yield from (_cells(artifact.summary), "")
    yield f"created by {name(m.command) or 'fer ' + name(m.stage)}"
    plugins = "".join(f", plugin {package} {version}".rstrip() for package, version in m.plugins.items())
    when = f", {m.started} to {m.ended}, on {m.device}" if m.ended else ""  # a checkpoint has no times
    yield f"fercli {name(m.fercli + plugins + when)}"
    yield f"digest {name(m.digest[:16])}"
    options = ", ".join(f"{k}={json.dumps(v)}" for k, v in m.options.items() if v not in (None, False, "", {}))
    if options:
        yield f"options {name(options)}"


def _metrics(artifact: Artifact) -> Iterator[Any]:
    """Yield the metrics of a run or an evaluation: model, data, values."""
    metrics, summary = key_metrics(artifact), artifact.summary
    yield from filter(None, (_model_line(metrics, artifact), _data_line(metrics, summary)))
    if metrics.accuracy is not None:
        bounds = "" if metrics.interval is None else " \\[{:.2%}, {:.2%}]".format(*metrics.interval)
        yield f"accuracy [bold]{metrics.accuracy:.2%}[/bold]{bounds}"
    averages = [
        f"{title} {form.format(value)}"
        for title, form, value in (
            ("macro F1", "{:.3f}", metrics.macro_f1),
            ("balanced accuracy", "{:.2%}", number(summary.get("balanced_accuracy"))),
            ("ROC AUC", "{:.3f}", number(summary.get("roc_auc"))),
        )
        if value is not None
    ]
    if averages:
        emotions = len(artifact.manifest.emotions)
        yield ", ".join(averages) + format_averaged_over(metrics.averaged_over or emotions, emotions)
    leaks = mapping(summary.get("without_leaks"))
    if (alone := number(leaks.get("accuracy"))) is not None:
        yield f"without images trained on: accuracy {alone:.2%}, n = {non_negative_int(leaks.get('n')) or 0:,}"
    if by_emotion := mapping(summary.get("per_class")):
        yield from ("", _by_emotion(by_emotion))
    if members := [mapping(member) for member in sequence(summary.get("members"))]:
        yield from ("", _members(members))


def _model_line(metrics: KeyMetrics, artifact: Artifact) -> str:
    summary = artifact.summary
    seeds = ", ".join(map(str, metrics.seeds))
    epoch = "" if metrics.best_epoch is None else f"epoch {metrics.best_epoch}"
    if epoch and metrics.epochs is not None:
        epoch += f" of {metrics.epochs}"
    selection = text(summary.get("selection"))
    if epoch and epoch not in selection:
        selection = f"{epoch} ({selection})" if selection else epoch
    method = text(summary.get("method"))
    parts = [
        f"ensemble ({method}){' of ' if metrics.model else ''}{metrics.model}" if method else metrics.model,
        f"seed{'s' if len(metrics.seeds) > 1 else ''} {seeds}" if seeds else "",
        selection,
    ]
    return name(", ".join(filter(None, parts)))


def _data_line(metrics: KeyMetrics, summary: Mapping[str, Any]) -> str:
    if not metrics.split:
        return ""
    data = metrics.data
    origin = ", from ".join(filter(None, (f"dataset {data.dataset}" if data.dataset else "", data.source)))
    pack = f" of pack {data.pack}" if data.pack else ""
    parts = [
        f"{metrics.split}{pack}" + (f" ({origin})" if origin else ""),
        "" if metrics.n is None else f"n = {metrics.n:,}",
        f"test-time augmentation {tta}" if (tta := text(summary.get("tta"))) else "",
    ]
    return name(", ".join(filter(None, parts)))


def _by_emotion(metrics: dict[str, Any]) -> Any:
    rows = table("emotion", "precision", "recall", "specificity", "F1", "n")
    for emotion, entry in metrics.items():
        own = mapping(entry)
        ratios = (format_ratio(number(own.get(key))) for key in ("precision", "recall", "specificity", "f1"))
        rows.add_row(name(emotion), *ratios, f"{non_negative_int(own.get('support')) or 0:,}")
    return rows


def _exported(summary: Mapping[str, Any]) -> Iterator[Any]:
    """Yield what an exported file is, and how much it differs from its checkpoint."""
    yield name(f"{text(summary.get('file'))}: {text(summary.get('architecture'))}, {text(summary.get('precision'))}")
    for row in map(mapping, sequence(summary.get("parity"))):
        largest, agreement = number(row.get("largest")), number(row.get("agreement"))
        if largest is not None and agreement is not None:
            yield name(f"{text(row.get('faces'))}: probabilities within {largest:.2g}, same answer {agreement:.1%}")


def _cells(summary: Mapping[str, Any]) -> Any:
    """Return the accuracies of a matrix, a row for each model on each pack."""
    rows = table("model", "pack", "accuracy", "95 % interval", "macro F1", "n")
    for cell in map(mapping, sequence(summary.get("cells"))):
        accuracy, bounds = number(cell.get("accuracy")), interval(cell.get("accuracy_interval"))
        rows.add_row(
            name(text(cell.get("checkpoint"))),
            name(text(cell.get("pack"))),
            "" if accuracy is None else f"{accuracy:.2%}",
            "" if bounds is None else "{:.2%}, {:.2%}".format(*bounds),
            format_ratio(number(cell.get("macro_f1"))),
            f"{non_negative_int(cell.get('n')) or 0:,}",
        )
    return rows


def _members(members: list[dict[str, Any]]) -> Any:
    rows = table("member", "model", "weight", "validation", "accuracy", "95 % interval")
    for member in members:
        known, own = number(member.get("validation_accuracy")), number(member.get("accuracy"))
        bounds = interval(member.get("accuracy_interval"))
        rows.add_row(
            name(text(member.get("checkpoint"))) + ("" if member.get("selected") else " (left out)"),
            name(text(member.get("architecture"))),
            format_ratio(number(member.get("weight"))),
            "unknown" if known is None else f"{known:.2%}",
            "" if own is None else f"{own:.2%}",
            "" if bounds is None else "{:.2%}, {:.2%}".format(*bounds),
        )
    return rows


def _tree(artifact: Artifact, line: list[Ancestor]) -> Tree:
    """Return the lineage as a tree, with the artifact at its root."""
    tree = Tree(f"lineage of {name(display_name(artifact.path))}", guide_style="dim")
    branches = {0: tree}
    for one in line:
        text = f"{name(one.kind)} {name(one.name)} [dim]{name(one.input.digest[:12])}[/dim]"
        notes = [one.role, _STATES.get(one.state, ""), "above" if one.repeated else ""]
        if joined := ", ".join(filter(None, notes)):
            text += f" ({name(joined)})"
        branches[one.depth] = branches[one.depth - 1].add(text)
    return tree


def _entry(one: Ancestor) -> dict[str, Any]:
    return {
        "depth": one.depth,
        "name": one.input.name,
        "kind": one.kind,
        "title": one.name,
        "path": one.input.path if is_address(one.input.path) else str(one.path),
        "digest": one.input.digest,
        "state": one.state,
        "repeated": one.repeated,
    }
