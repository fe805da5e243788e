"""`fer models`."""

from __future__ import annotations

from typing import Any

from fercli.cli.options import Debug, Json
from fercli.cli.output import Output, guarded, table
from fercli.models.naming import ACTIVATIONS, ATTENTIONS, BACKBONES, impossible
from fercli.models.registry import MODELS, find_model
from fercli.models.spec import ModelSpec
from fercli.models.table import TABLE
from fercli.recipes import Claim, load_recipe


def command(json: Json = False, debug: Debug = False) -> None:
    """List the models: parameters for seven emotions, input size, paper, and what its authors claim.

    Names of the second table are put together, <backbone>[-<attention>][-<activation>]: those with an activation are
    the Attention + ELU paper's. Besides, timm/<name> takes any classifier of timm.

    Example: [bold]fer models --json[/bold]
    """
    output = Output(json=json)
    with guarded(debug, "models"):
        if json:
            output.json([_entry(spec) for spec in MODELS])
            return
        shown = table("model", "parameters", "input", "paper", "claim")
        for number in (3, 4):
            shown.columns[number].justify = "left"
        for spec in TABLE:
            shown.add_row(spec.name, f"{spec.parameters:,}", f"{spec.input_size} px", spec.paper, _claim(spec.name))
        output.print(shown)
        output.print("\n<backbone>\\[-<attention>]\\[-<activation>], as vgg19-cbam or resnetv2-101-eca-elu:")
        shown = table("backbone", "parameters", "input", "attention", "activation", "best claim")
        for number in (3, 4, 5):
            shown.columns[number].justify = "left"
        for backbone in BACKBONES:
            plain = find_model(backbone.name)
            small = find_model(f"{backbone.name}-elu")
            attentions = [a for a in ATTENTIONS if a and not impossible(backbone, a)]
            shown.add_row(
                backbone.name,
                f"{plain.parameters:,}",
                f"{plain.input_size}/{small.input_size} px",
                " ".join(attentions),
                " ".join(ACTIVATIONS[1:]),
                _best_claim(backbone.name),
            )
        output.print(shown)
        output.print("\ntimm/<name>: any classifier of timm, as it is")


def _entry(spec: ModelSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "family": spec.family,
        "paper": spec.paper,
        "parameters": spec.parameters,
        "input_size": spec.input_size,
        "recipe": spec.recipe_file,
        "options": {name: list(values) for name, values in spec.options.items()},
        "claims": [claim.model_dump() for claim in _claims(spec.name)],
    }


def _claims(name: str) -> list[Claim]:
    return load_recipe(find_model(name).recipe_file).claims_of(name)


def _claim(name: str) -> str:
    claims = _claims(name)
    return f"{claims[0].accuracy:g} % on {claims[0].dataset}" if claims else ""


def _best_claim(backbone: str) -> str:
    """Return the highest claim on FER2013 among a backbone's models, with the model's name."""
    found = [
        (claim.accuracy, spec.name)
        for spec in MODELS
        if spec.arguments.get("backbone") == backbone
        for claim in _claims(spec.name)
        if claim.dataset == "FER2013"
    ]
    return "{1} {0:g} %".format(*max(found)) if found else ""
