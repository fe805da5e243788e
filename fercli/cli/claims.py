"""`fer claims`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from fercli.cli import completion
from fercli.cli.options import Debug, Json, QuietList
from fercli.cli.output import Output, guarded, table
from fercli.models.registry import MODELS, find_model
from fercli.models.spec import ModelSpec
from fercli.recipes import Claim, load_recipe
from fercli.recipes.measured import Measured, measured_of


def command(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="MODEL", help="Models to show in detail.", autocompletion=completion.models),
    ] = None,
    json: Json = False,
    quiet: QuietList = False,
    debug: Debug = False,
) -> None:
    """List what the papers claim for their models, and what was measured with fercli.

    With a model, also list the protocol of each claim, what is known against it, and the command that measured ours.

    Example: [bold]fer claims resemotenet[/bold]
    """
    output = Output(json=json, quiet=quiet)
    with guarded(debug, "claims"):
        chosen = [find_model(name, from_call=True) for name in names or ()] or list(MODELS)
        if json:
            output.json([_entry(spec) for spec in chosen])
        elif names:
            for number, spec in enumerate(chosen):
                output.print(*([""] if number else []), _details(spec))
        else:
            output.print(
                _overview(chosen), "\nIntervals are at 95 %. fer claims MODEL: protocols, what is known, commands"
            )


def _overview(specs: Sequence[ModelSpec]) -> Table:
    """Return a row for each model that has a claim or was measured."""
    shown = table("model", "dataset", "paper says", "measured", "n")
    for column in (1, 3):
        shown.columns[column].justify = "left"
    for spec in specs:
        for dataset, claim, own in _pairs(spec):
            ours = (_figure(own), f"{own.n:,}") if own else ("not measured", "")
            shown.add_row(spec.name, dataset, f"{claim.accuracy:g} %" if claim else "", *ours)
    return shown


def _pairs(spec: ModelSpec) -> Iterator[tuple[str, Claim | None, Measured | None]]:
    """Yield each dataset with a model's first claim and first figure on it."""
    claims, measured = _claims(spec), measured_of(spec.name)
    for dataset in dict.fromkeys([*(claim.dataset for claim in claims), *(own.dataset for own in measured)]):
        yield (
            dataset,
            next((claim for claim in claims if claim.dataset == dataset), None),
            next((own for own in measured if own.dataset == dataset), None),
        )


def _details(spec: ModelSpec) -> Table:
    """Return a model's claims and figures as a two-column table."""
    shown = Table.grid(padding=(0, 2))
    shown.add_column(style="dim", no_wrap=True)
    shown.add_column()
    shown.add_row("model", f"{escape(spec.name)}, {escape(spec.paper)}")
    for claim in _claims(spec):
        shown.add_row("", "")
        shown.add_row("the paper says", f"[bold]{claim.accuracy:g} %[/bold] on {escape(claim.dataset)}, {claim.split}")
        shown.add_row("source", escape(claim.source))
        shown.add_row("protocol", escape(claim.protocol))
        if claim.note:
            shown.add_row("known", escape(claim.note))
    for own in measured_of(spec.name):
        shown.add_row("", "")
        shown.add_row("measured", f"[bold]{escape(_figure(own))}[/bold] on {escape(own.dataset)}, {own.split}")
        seeds = "one seed" if own.seeds == 1 else f"{own.seeds} seeds"
        macro_f1 = "" if own.macro_f1 is None else f"macro F1 {own.macro_f1:.3f}, "
        shown.add_row("", f"{macro_f1}n = {own.n:,}, {seeds}")
        shown.add_row("protocol", escape(own.protocol))
        shown.add_row("command", escape(own.command))
        if own.digest:
            shown.add_row("run", own.digest[:12])
    if not measured_of(spec.name):
        shown.add_row("", "")
        shown.add_row("measured", "not measured")
    return shown


def _figure(own: Measured) -> str:
    low, high = own.interval
    return f"{own.accuracy:.2f} % [{low:.2f}, {high:.2f}]"


def _claims(spec: ModelSpec) -> list[Claim]:
    return load_recipe(spec.recipe_file).claims_of(spec.name)


def _entry(spec: ModelSpec) -> dict[str, Any]:
    return {
        "model": spec.name,
        "paper": spec.paper,
        "claims": [claim.model_dump() for claim in _claims(spec)],
        "measured": [own.model_dump(mode="json") for own in measured_of(spec.name)],
    }
