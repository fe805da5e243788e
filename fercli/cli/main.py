"""The entry of `fer`, and the table of its commands."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Annotated, Any

import typer

from fercli import __version__

COMMANDS: dict[str, tuple[str, str]] = {
    "sample": ("sample", "Draw photographs with faces, for those who have no data."),
    "import": ("import_dataset", "Make a data set of a published one or of folders of pictures."),
    "detect": ("detect", "Find the faces in photographs and cut them out."),
    "clean": ("clean", "Find duplicates and conflicts; take leaking copies out."),
    "balance": ("balance", "Fill small classes up, or plan what to generate for them."),
    "pack": ("pack", "Write a data set as one file that trains fast."),
    "train": ("train", "Train a model by its recipe, chosen on validation alone."),
    "evaluate": ("evaluate", "Measure a checkpoint on a split: figures, intervals, a page."),
    "ensemble": ("ensemble", "Measure several checkpoints together, beside the best of them."),
    "explain": ("explain", "Show where a model looks: heat maps, weights."),
    "predict": ("predict", "Tell the emotions in photographs, videos or before a webcam."),
    "show": ("show", "Tell what an artifact is, its counts and its lineage."),
    "models": ("models", "List the models: size, input, paper, claim."),
    "weights": ("weights", "List and fetch the weights of the detectors."),
}
"""Name of each command, its module in fercli.cli, and its line in `fer --help`."""

HELP = """Whole facial emotion recognition pipelines, one artifact a stage.

Example: fer import fer2013.csv faces && fer clean faces cleaned && fer pack cleaned pack && fer train pack run
"""


def make_app(arguments: list[str]) -> typer.Typer:
    """Build the command tree for one call.

    Only a command that the call names is imported; of the others its line in the help is enough.
    """
    named = [name for name in COMMANDS if name in arguments]
    # Rich's help takes twice as long to import as all else: the first look at `fer` is plain, and at once.
    app = typer.Typer(
        no_args_is_help=True,
        rich_markup_mode="rich" if named else None,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback(help=HELP)(_root)
    for name, (module, line) in COMMANDS.items():
        app.command(name, short_help=line)(command(module) if name in named else _unnamed)
    return app


def _version(value: bool) -> None:
    if value:
        typer.echo(f"fer {__version__}")
        raise typer.Exit()


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del version  # its callback has answered


def command(module: str) -> Callable[..., Any]:
    """Import a command's module and return its function."""
    function: Callable[..., Any] = import_module(f"fercli.cli.{module}").command
    return function


def _unnamed() -> None:
    """Stand for a command that this call does not name."""


def main() -> None:
    """Run `fer` on the process's arguments."""
    # An end by SIGTERM (a scheduler's) is an interruption like Ctrl-C: the partial stays, and the line says so.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # What OpenCV and its codecs have to say of a broken file, fer says in a line of its own. They ask only the
    # environment, before they are loaded.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    # Names of files are data of any encoding: writing one must not be what fails.
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    make_app(sys.argv[1:])(prog_name="fer")
