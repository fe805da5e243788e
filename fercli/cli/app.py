"""The command tree, and one-line errors for invalid calls."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Annotated, Any

import typer

from fercli._version import __version__
from fercli.cli import completion, failures
from fercli.cli.commands import COMMANDS
from fercli.errors import did_you_mean

HELP = """Facial emotion recognition pipelines: each stage reads artifacts and writes one.

Example: fer import fer2013.csv faces && fer clean faces cleaned && fer pack cleaned pack && fer train pack run
"""


def make_app(arguments: list[str]) -> typer.Typer:
    """Build the command tree for one call.

    Only commands named in the arguments are imported; the others only appear with their help line.
    """
    named = [name for name in COMMANDS if name in arguments]
    # Rich takes twice as long to import as everything else, so `fer --help` is plain and fast.
    app = typer.Typer(
        no_args_is_help=True,
        rich_markup_mode="rich" if named else None,
        pretty_exceptions_enable=False,
    )
    app.callback(help=HELP)(_root)
    for name, (module, line) in COMMANDS.items():
        app.command(name, short_help=line)(command(module) if name in named else _placeholder)
    return app


def run(arguments: list[str]) -> int:
    """Run `fer` and return its exit code."""
    if completion.requested():
        completion.answer(lambda words: make_app(words)(prog_name="fer"))
    try:
        code = make_app(arguments)(arguments, prog_name="fer", standalone_mode=False)
    except typer.Abort:
        return 1
    except Exception as error:
        # The base class of Typer's usage errors is not public.
        if not isinstance(error, typer.BadParameter.__mro__[1]):
            raise
        return _report_usage_error(error)
    return code if isinstance(code, int) else 0


def _report_usage_error(error: Any) -> int:
    """Report a usage error of Typer; return the exit code."""
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
        return 2
    message = error.format_message().rstrip(".")
    if message.startswith("No such command"):
        failures.CALL.command = ""
        word = message.partition("'")[2].rpartition("'")[0].partition("'. Did")[0]
        message = did_you_mean("command", word, list(COMMANDS), "fer --help lists all")
    else:
        where = f"fer {failures.CALL.command}".strip()
        message = f"{message[:1].lower()}{message[1:]}; {where} --help lists the options"
    failures.report(message, "UsageError", 2)
    return 2


def _version(value: bool) -> None:
    if value:
        typer.echo(f"fer {__version__}")
        raise typer.Exit()


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del version  # handled by its callback


def command(module: str) -> Callable[..., Any]:
    """Import a command's module and return its function."""
    function: Callable[..., Any] = import_module(f"fercli.cli.{module}").command
    return function


def _placeholder() -> None:
    """Placeholder for commands that the arguments do not name."""
