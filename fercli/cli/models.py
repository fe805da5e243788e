"""`fer models`."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from fercli.cli import completion
from fercli.cli.options import Debug, Json, QuietList
from fercli.cli.output import Output, guarded, table
from fercli.cli.pretrained import pretrained_card, pretrained_entry, pretrained_table
from fercli.errors import UsageError
from fercli.models.naming import ACTIVATIONS, ATTENTIONS, BACKBONES, impossible
from fercli.models.options import option_names
from fercli.models.registry import MODELS, REGISTRY, find_model
from fercli.models.spec import ModelSpec
from fercli.models.table import TABLE
from fercli.pretrained import pretrained_names
from fercli.recipes import Claim, load_recipe, recipe_settings


def command(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="MODEL", help="Models to show in detail.", autocompletion=completion.models),
    ] = None,
    pretrained: Annotated[
        bool, typer.Option("--pretrained", help="List the trained models that come with fercli instead.")
    ] = False,
    json: Json = False,
    quiet: QuietList = False,
    debug: Debug = False,
) -> None:
    """List the models: parameters for seven emotions, input size, paper, and the accuracy its authors claim.

    Names in the second table are combinations, <backbone>[-<attention>][-<activation>]; those with an activation are
    from the Attention + ELU paper. timm/<name> is any classifier of timm. For models given by name, also list their
    options, recipe and published claims. Those of --pretrained are ready to use; their names show their cards.

    Example: [bold]fer models resnet50-cbam[/bold]
    """
    output = Output(json=json, quiet=quiet)
    with guarded(debug, "models"):
        ready = pretrained_names() if pretrained else [name for name in names or () if name in pretrained_names()]
        if pretrained and names:
            raise UsageError("--pretrained: lists all; omit it to show one by name")
        chosen = [find_model(name, from_call=True) for name in names or () if name not in ready]
        plugins, problems = ({}, []) if chosen or ready else REGISTRY.plugins()
        if json:
            specs = chosen or (() if ready else (*MODELS, *plugins.values()))
            output.json([*map(pretrained_entry, ready), *map(_entry, specs)])
        elif pretrained:
            output.print(
                pretrained_table(), "\nfer models NAME shows a model's card; fer predict NAME photo.jpg uses it"
            )
        elif ready:
            output.print(*(pretrained_card(name, output.is_terminal) for name in ready), *map(_details, chosen))
        elif chosen:
            for number, spec in enumerate(chosen):
                if number:
                    output.print("")
                output.print(_details(spec))
        else:
            output.print(_named_models(TABLE))
            output.print(
                "\n<backbone>\\[-<attention>]\\[-<activation>], such as resnetv2-101-eca-elu; models with an "
                f"activation ({', '.join(ACTIVATIONS[1:])}) have the smaller input:"
            )
            output.print(_combined_models())
            output.print("\ntimm/<name>: any classifier of timm, unchanged")
            output.print("probe/<name>: the probe of any encoder of timm; also probe with --encoder timm/<name>")
            if plugins:
                output.print("\nfrom installed packages:", _named_models(plugins.values()))
            output.print(*map(escape, problems))


def _named_models(specs: Collection[ModelSpec]) -> Table:
    """Return the table of models with individual names."""
    shown = table("model", "parameters", "px", "paper", "claim")
    _align_left(shown, 3, 4)
    shown.columns[0].min_width = max(len(spec.name) for spec in specs)  # names must not be truncated
    for spec in specs:
        parameters = f"{spec.parameters:,}" if spec.parameters else ""
        shown.add_row(spec.name, parameters, str(spec.input_size), spec.paper, _claim(spec))
    return shown


def _combined_models() -> Table:
    """Return the table of backbones for combined names; the best claim shows the rest of the model's name."""
    shown = table("backbone", "parameters", "px", "attention", "best claim on FER2013")
    _align_left(shown, 3, 4)
    for backbone in BACKBONES:
        plain, small = find_model(backbone.name), find_model(f"{backbone.name}-elu")
        both = [plain.parameters, *([small.parameters] if small.parameters != plain.parameters else [])]
        shown.add_row(
            backbone.name,
            ", ".join(f"{count / 1e6:.2f} M" for count in both),
            f"{plain.input_size}, {small.input_size}",
            " ".join(a for a in ATTENTIONS if a and not impossible(backbone, a)),
            _best_claim(backbone.name),
        )
    return shown


def _details(spec: ModelSpec) -> Table:
    """Return the details of a model as a two-column table."""
    recipe = load_recipe(spec.recipe_file)
    rows = [
        ("model", spec.name),
        ("paper", _paper(spec)),
        ("parameters", f"{spec.parameters:,} for seven emotions" if spec.parameters else "unknown"),
        ("input", f"{spec.input_size} px (at least {spec.smallest} px), {'grey' if spec.channels == 1 else 'RGB'}"),
        *((_flag(option), ", ".join(values)) for option, values in spec.options.items()),
        *([("imagenet", f"--weights imagenet: timm's {spec.imagenet}")] if spec.imagenet else []),
        ("recipe", f"{spec.recipe_name}.toml, from {recipe.source}"),
        ("", ", ".join(f"{name.replace('_', '-')} {_format_setting(v)}" for name, v in _settings(spec))),
        *(("claim", _format_claim(claim)) for claim in recipe.claims_of(spec.name)),
    ]
    shown = Table.grid(padding=(0, 2))
    shown.add_column(style="dim", no_wrap=True)
    shown.add_column()
    for name, text in rows:
        shown.add_row(name, escape(text))
    return shown


def _flag(option: str) -> str:
    """Return a model-specific option as given on the command line: those of fercli's models have flags."""
    flag = option.replace("_", "-")
    return f"--{flag}" if option in option_names() else f"--option {flag}"


def _paper(spec: ModelSpec) -> str:
    """Return a model's paper, with a note if the model only follows its scheme."""
    combined = "backbone" in spec.arguments and spec not in TABLE
    return f"{spec.paper} (by its scheme, but not in the paper)" if combined and not _claims(spec) else spec.paper


def _settings(spec: ModelSpec) -> Iterable[tuple[str, Any]]:
    return recipe_settings(spec.recipe_file).items()


def _format_setting(value: Any) -> str:
    if isinstance(value, list):
        return "; ".join(map(_format_setting, value))
    if isinstance(value, dict):
        return ",".join(f"{name.replace('_', '-')}={_format_setting(v)}" for name, v in value.items())
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _format_claim(claim: Claim) -> str:
    text = f"{claim.accuracy:g} % on {claim.dataset}, {claim.split} ({claim.source}): {claim.protocol}"
    return f"{text}. {claim.note}" if claim.note else text


def _align_left(shown: Table, *columns: int) -> None:
    for column in columns:
        shown.columns[column].justify = "left"


def _entry(spec: ModelSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "family": spec.family,
        "paper": spec.paper,
        "parameters": spec.parameters,
        "input_size": spec.input_size,
        "smallest": spec.smallest,
        "channels": spec.channels,
        "imagenet": spec.imagenet or None,
        "reduced": bool(spec.reduced),
        "recipe": spec.recipe_name,
        "settings": dict(_settings(spec)),
        "options": {name: list(values) for name, values in spec.options.items()},
        "claims": [claim.model_dump() for claim in _claims(spec)],
    }


def _claims(spec: ModelSpec) -> list[Claim]:
    return load_recipe(spec.recipe_file).claims_of(spec.name)


def _claim(spec: ModelSpec) -> str:
    claims = _claims(spec)
    return f"{claims[0].accuracy:g} %, {claims[0].dataset}" if claims else ""


def _best_claim(backbone: str) -> str:
    """Return the highest claim on FER2013 among a backbone's models, with the rest of the model's name."""
    found = [
        (claim.accuracy, spec.name)
        for spec in MODELS
        if spec.arguments.get("backbone") == backbone
        for claim in _claims(spec)
        if claim.dataset == "FER2013"
    ]
    if not found:
        return ""
    accuracy, name = max(found)
    return f"{accuracy:g} %, {name.removeprefix(backbone) or 'plain'}"
