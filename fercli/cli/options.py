"""Command-line options, generated from the fields, descriptions and defaults of a stage's config."""

from __future__ import annotations

import inspect
import os
import tomllib
import types
from collections.abc import Callable, Collection
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic import BeforeValidator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from fercli.artifacts.staging import check_disjoint
from fercli.cli import completion, interrupts
from fercli.cli.output import Output, guarded
from fercli.environment import under_torchrun
from fercli.errors import UsageError, did_you_mean
from fercli.files import read_bytes
from fercli.stages.base import Cli, StageConfig, cli_of

Json = Annotated[
    bool,
    typer.Option("--json", help="Print the result as JSON on stdout."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only errors and the path of the result.")]
QuietList = Annotated[bool, typer.Option("--quiet", "-q", help="Print only errors and, with --json, the result.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Config = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE.toml", help="Read options from a file; the command line takes precedence."),
]
COMMON: dict[str, Any] = {"config": Config, "json": Json, "quiet": Quiet, "debug": Debug}
_FLAG = "__flag"
SETTINGS_PANEL = "Training settings (default: the model's recipe)"


def stage_command(
    config: type[StageConfig],
    stage: Callable[..., Any],
    show: Callable[[Any], Any],
    text: str,
    panels: dict[str, str] | None = None,
    deliver: Callable[[Output, Any], None] | None = None,
    last: Collection[str] = (),
) -> Callable[..., None]:
    """Return the Typer command of a stage.

    Args:
        config: The stage's config; its fields become arguments and options.
        stage: The public function of `fercli` that runs it: takes the options and `progress`, returns an artifact.
        show: Yields rich renderables that summarise the artifact.
        text: The help text, with an example.
        panels: Help panels of options, by field.
        deliver: Prints the result, if it is not an artifact.
        last: Fields whose options are listed after all others.
    """

    def command(**values: Any) -> None:
        common = {name: values.pop(name) for name in COMMON}
        # Under torchrun every process makes the same call, and the first one reports it.
        follows = config.stage == "train" and under_torchrun() and os.environ["RANK"] != "0"
        output = Output(json=common["json"], quiet=common["quiet"] or follows)
        with guarded(common["debug"], config.stage):
            _merge_flags(values)
            given = {name: value for name, value in values.items() if value not in (None, [])}
            options = {**_from_file(common["config"], config), **given}
            if common["config"] is not None and options.get("out"):
                check_disjoint(Path(str(options["out"])), common["config"])
            with output.progress(config.stage) as progress:
                _load(config)
                progress.stop()  # end the task "loading"
                interrupts.begin_work()
                result = stage(progress=progress, **options)
            if not follows:
                deliver(output, result) if deliver else output.artifact(result, show)

    parameters = [_parameter(config, name, field, panels or {}) for name, field in config.model_fields.items()]
    parameters.sort(key=lambda parameter: parameter.name in last)
    parameters[:0] = [_flag_for_argument(parameter) for parameter in parameters if cli_of(config, parameter.name).flag]
    parameters.sort(key=lambda parameter: not _is_argument(config, parameter.name))
    for name, annotation in COMMON.items():
        default = None if name == "config" else False
        parameters.append(
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        )
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    # Join the lines of each paragraph, so that narrow terminals wrap them only once.
    command.__doc__ = "\n\n".join(" ".join(part.split()) for part in inspect.cleandoc(text).split("\n\n"))
    return command


def _load(config: type[StageConfig]) -> None:
    """Import the stage's modules while an interruption requires no clean-up."""
    package, _, module = config.__module__.rpartition(".")
    if module == "config":
        import_module(f"{package}.stage")


def _is_argument(config: type[StageConfig], name: str) -> bool:
    return name in config.model_fields and cli_of(config, name).argument


def _parameter(config: type[StageConfig], name: str, field: FieldInfo, panels: dict[str, str]) -> inspect.Parameter:
    """Turn a field into a Typer parameter. Its default is always None, to detect options that were not given.

    A `tuple[X, ...]` takes several values: positional ones, or one for each occurrence of an option.
    """
    cli, kind = cli_of(config, name), _value_type(_input_type(field))
    text, metavar = field.description or "", cli.metavar or None
    if get_origin(kind) is tuple:
        item = _value_type(get_args(kind)[0])
        kind = list[item]  # type: ignore[valid-type]
        metavar = (metavar or f"<{item.__name__.lower()}>").rstrip("….")  # Typer adds dots
    choices: tuple[Any, ...] = ()
    if get_origin(kind) is Literal:
        choices = get_args(kind)
        text = f"{text.rstrip('.')}: {', '.join(map(str, choices))}."
        kind = str
    extra: dict[str, Any] = {"help": text + _default(field, name in panels), "metavar": metavar}
    if completes := completion.of_field(name, choices):
        extra["autocompletion"] = completes
    info: Any
    if cli.argument:
        info = typer.Argument(**extra, show_default=False)
    else:
        flag = "--" + name.replace("_", "-")
        if kind is bool:
            if field.default is not False or name in panels:  # a recipe may turn it on
                flag = f"{flag}/--no-{name.replace('_', '-')}"
            extra.pop("metavar")
        info = typer.Option(flag, **extra, show_default=False, rich_help_panel=panels.get(name))
    required = field.is_required() and cli.argument
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if required else None,
        annotation=Annotated[kind if required else kind | None, info],
    )


def _flag_for_argument(parameter: inspect.Parameter) -> inspect.Parameter:
    """Return the option form of a positional argument; `_merge_flags` moves its value to the argument."""
    kind, info = get_args(parameter.annotation)
    option = typer.Option(f"--{parameter.name}", help=info.help, metavar=info.metavar, show_default=False)
    return parameter.replace(name=parameter.name + _FLAG, annotation=Annotated[kind, option])


def _merge_flags(values: dict[str, Any]) -> None:
    """Move the values of options that stand for positional arguments to those."""
    for flag in [name for name in values if name.endswith(_FLAG)]:
        name, value = flag.removesuffix(_FLAG), values.pop(flag)
        if value is not None:
            if values[name] is not None:
                raise UsageError(f"{name}: given twice, as '{values[name]}' and as --{name} '{value}'; keep one")
            values[name] = value


def _value_type(annotation: Any) -> Any:
    """Return the type of a field without None."""
    if get_origin(annotation) in (Union, types.UnionType):
        return next(part for part in get_args(annotation) if part is not types.NoneType)
    return annotation


def _input_type(field: FieldInfo) -> Any:
    """Return the input type of a field: its own, unless its validator parses another."""
    for item in field.metadata:
        if isinstance(item, BeforeValidator) and item.json_schema_input_type is not PydanticUndefined:
            return item.json_schema_input_type
    return field.annotation


def _default(field: FieldInfo, from_recipe: bool) -> str:
    value = field.get_default()
    if from_recipe or field.is_required() or value in (None, False, "", (), frozenset()):
        return ""
    shown = "yes" if value is True else ", ".join(map(str, value)) if isinstance(value, tuple) else value
    return f" [dim]\\[default: {shown}][/dim]"


def _from_file(file: Path | None, config: type[StageConfig]) -> dict[str, Any]:
    """Read options from a TOML file: from its top level, or from a table named after the stage."""
    from fercli.cli.commands import COMMANDS

    if file is None:
        return {}
    try:
        table = tomllib.loads(read_bytes(file).decode())
    except RecursionError as error:
        raise UsageError(f"--config {file}: nested too deeply") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"--config {file}: not UTF-8 text") from error
    except (OSError, ValueError) as error:  # invalid TOML, or a number with thousands of digits
        reason = str(getattr(error, "strerror", None) or error)[:200].partition("; use sys.")[0]
        raise UsageError(f"--config {file}: {reason}") from error
    own = table.pop(config.stage, {})
    if not isinstance(own, dict):
        raise UsageError(f"--config {file}: {config.stage}: expected a table, [{config.stage}]")
    # A file may have tables for several stages; top-level options apply to this one.
    top = {}
    for name, value in table.items():
        if not isinstance(value, dict) or name.replace("-", "_") in config.model_fields:
            top[name] = value
        elif name not in COMMANDS:
            raise UsageError(
                f"--config {file}: {did_you_mean('stage', name[:80], list(dict.fromkeys([config.stage, *COMMANDS])))}"
            )
    options = {name.replace("-", "_"): value for name, value in {**top, **own}.items()}
    for name in options:
        if name not in config.model_fields:
            known = [one.replace("_", "-") for one in config.model_fields]
            message = did_you_mean(
                "option", name.replace("_", "-")[:80], known, f"fer {config.stage} --help lists them"
            )
            raise UsageError(f"--config {file}: {message}")
    return options


__all__ = ["COMMON", "SETTINGS_PANEL", "Cli", "Debug", "Json", "Quiet", "QuietList", "stage_command"]
