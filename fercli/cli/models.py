"""`fer models`."""

from __future__ import annotations

from typing import Any

from fercli.cli.options import Debug, Json
from fercli.cli.output import Output, guarded, table
from fercli.models.registry import MODELS, ModelSpec
from fercli.recipes import load_recipe


def command(json: Json = False, debug: Debug = False) -> None:
    """List the models: parameters for seven emotions, input size, paper, and what its authors claim.

    Example: [bold]fer models --json[/bold]
    """
    output = Output(json=json)
    with guarded(debug, "models"):
        rows = [_entry(spec) for spec in MODELS]
        if json:
            output.json(rows)
            return
        shown = table("model", "family", "parameters", "input", "paper", "claim")
        for number in (1, 4, 5):
            shown.columns[number].justify = "left"
        for row in rows:
            size = f"{row['input_size']} px"
            shown.add_row(row["name"], row["family"], f"{row['parameters']:,}", size, row["paper"], _claim(row))
        output.print(shown)


def _entry(spec: ModelSpec) -> dict[str, Any]:
    claim = load_recipe(spec.name).claim
    return {
        "name": spec.name,
        "family": spec.family,
        "paper": spec.paper,
        "parameters": spec.parameters,
        "input_size": spec.input_size,
        "claim": claim.model_dump() if claim else None,
    }


def _claim(row: dict[str, Any]) -> str:
    claim = row["claim"]
    return f"{claim['accuracy']:g} % on {claim['dataset']}" if claim else ""
