"""Command-line options, made from a stage's config: its fields, their descriptions and defaults are written once."""

from __future__ import annotations

import inspect
import tomllib
import types
from collections.abc import Callable
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
from fercli.errors import UsageError, did_you_mean
from fercli.files import read_bytes
from fercli.stages.base import Cli, StageConfig, cli_of

Json = Annotated[
    bool,
    typer.Option("--json", help="Print JSON on stdout, and nothing else: one object, or the list of what there is."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors and the path of what was made.")]
QuietList = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors, and what --json prints.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Config = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE.toml", help="Options from a file; the command line goes over it."),
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
) -> Callable[..., None]:
    """Return the typer command of a stage.

    Args:
        config: The stage's config; its fields become arguments and options.
        stage: The public function of `fercli` that runs it: keyword options and `progress` in, artifact out.
        show: Returns what people see of the artifact, as rich renderables.
        text: The help text, with a line that can be pasted.
        panels: Heading under which help lists an option, by field.
        deliver: Prints the result instead, where it is no artifact.
    """

    def command(**values: Any) -> None:
        common = {name: values.pop(name) for name in COMMON}
        output = Output(json=common["json"], quiet=common["quiet"])
        with guarded(common["debug"], config.stage):
            _take_flags(values)
            given = {name: value for name, value in values.items() if value not in (None, [])}
            options = {**_from_file(common["config"], config), **given}
            if common["config"] is not None and options.get("out"):
                check_disjoint(Path(str(options["out"])), common["config"])
            with output.progress(config.stage) as progress:
                _load(config)
                progress.stop()  # of loading
                interrupts.work()
                result = stage(progress=progress, **options)
            deliver(output, result) if deliver else output.artifact(result, show)

    parameters = [_parameter(config, name, field, panels or {}) for name, field in config.model_fields.items()]
    parameters[:0] = [_flag_besides(parameter) for parameter in parameters if cli_of(config, parameter.name).flag]
    parameters.sort(key=lambda parameter: not _is_argument(config, parameter.name))
    for name, annotation in COMMON.items():
        default = None if name == "config" else False
        parameters.append(
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        )
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    # Lines as the source wraps them would be wrapped once more by a narrow terminal.
    command.__doc__ = "\n\n".join(" ".join(part.split()) for part in inspect.cleandoc(text).split("\n\n"))
    return command


def _load(config: type[StageConfig]) -> None:
    """Import what the stage is made of, while an interruption has nothing to clean up."""
    room, _, file = config.__module__.rpartition(".")
    if file == "config":
        import_module(f"{room}.stage")


def _is_argument(config: type[StageConfig], name: str) -> bool:
    return name in config.model_fields and cli_of(config, name).argument


def _parameter(config: type[StageConfig], name: str, field: FieldInfo, panels: dict[str, str]) -> inspect.Parameter:
    """Turn one field into a typer parameter. Its default is always None, so that what was not given is told apart.

    A `tuple[X, ...]` takes several values: as an argument all that stand there, as an option one each time.
    """
    cli, kind = cli_of(config, name), _plain_type(_input_type(field))
    text, metavar = field.description or "", cli.metavar or None
    if get_origin(kind) is tuple:
        item = _plain_type(get_args(kind)[0])
        kind = list[item]  # type: ignore[valid-type]
        metavar = (metavar or f"<{item.__name__.lower()}>").rstrip("….")  # typer writes dots of its own
    choices: tuple[Any, ...] = ()
    if get_origin(kind) is Literal:
        choices = get_args(kind)
        text = f"{text.rstrip('.')}: {', '.join(map(str, choices))}."
        kind = str
    extra: dict[str, Any] = {"help": text + _default(field, name in panels), "metavar": metavar}
    if completes := completion.of_field(name, choices, metavar or ""):
        extra["autocompletion"] = completes
    info: Any
    if cli.argument:
        info = typer.Argument(**extra, show_default=False)
    else:
        flag = "--" + name.replace("_", "-")
        if kind is bool:
            if field.default is not False or name in panels:  # a recipe may have turned it on
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


def _flag_besides(parameter: inspect.Parameter) -> inspect.Parameter:
    """Return the flag of an argument that may be given by flag too; `_take_flags` puts its value where it belongs."""
    kind, info = get_args(parameter.annotation)
    option = typer.Option(f"--{parameter.name}", help=info.help, metavar=info.metavar, show_default=False)
    return parameter.replace(name=parameter.name + _FLAG, annotation=Annotated[kind, option])


def _take_flags(values: dict[str, Any]) -> None:
    """Let what was given by the flag of an argument stand for the argument."""
    for flag in [name for name in values if name.endswith(_FLAG)]:
        name, value = flag.removesuffix(_FLAG), values.pop(flag)
        if value is not None:
            if values[name] is not None:
                raise UsageError(f"{name}: given twice, as '{values[name]}' and as --{name} '{value}'; keep one")
            values[name] = value


def _plain_type(annotation: Any) -> Any:
    """Return the type of an optional field's value."""
    if get_origin(annotation) in (Union, types.UnionType):
        return next(part for part in get_args(annotation) if part is not types.NoneType)
    return annotation


def _input_type(field: FieldInfo) -> Any:
    """Return the type of what a call gives for a field: its own, unless its validator parses another one."""
    for item in field.metadata:
        if isinstance(item, BeforeValidator) and item.json_schema_input_type is not PydanticUndefined:
            return item.json_schema_input_type
    return field.annotation


def _default(field: FieldInfo, from_recipe: bool) -> str:
    value = field.get_default()
    if from_recipe or field.is_required() or value in (None, False, (), frozenset()):
        return ""
    return f" [dim]\\[default: {'yes' if value is True else value}][/dim]"


def _from_file(file: Path | None, config: type[StageConfig]) -> dict[str, Any]:
    """Read options from a TOML file: at its top, or in a table named after the stage."""
    from fercli.cli.commands import COMMANDS

    if file is None:
        return {}
    try:
        table = tomllib.loads(read_bytes(file).decode())
    except RecursionError as error:
        raise UsageError(f"--config {file}: nested too deep for a file of options") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"--config {file}: not a text in UTF-8") from error
    except (OSError, ValueError) as error:  # what is no TOML, and a number of thousands of digits
        told = str(getattr(error, "strerror", None) or error)[:200].partition("; use sys.")[0]
        raise UsageError(f"--config {file}: {told}") from error
    own = table.pop(config.stage, {})
    if not isinstance(own, dict):
        raise UsageError(f"--config {file}: {config.stage}: wanted as a table, [{config.stage}]")
    # A file may hold tables of several stages; what stands at its top is for this one.
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
            told = did_you_mean("option", name.replace("_", "-")[:80], known, f"fer {config.stage} --help lists them")
            raise UsageError(f"--config {file}: {told}")
    return options


__all__ = ["COMMON", "SETTINGS_PANEL", "Cli", "Debug", "Json", "Quiet", "QuietList", "stage_command"]
