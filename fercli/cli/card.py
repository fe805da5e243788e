"""`fer card`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markdown import Markdown
from rich.text import Text

from fercli.artifacts import write_text
from fercli.cli.options import Debug
from fercli.cli.output import Output, guarded
from fercli.errors import DataError


def command(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL",
            help="A run, a checkpoint, an exported model, a model of fer models --pretrained, or one on the hub.",
        ),
    ],
    evaluations: Annotated[
        list[Path] | None,
        typer.Argument(metavar="EVALUATION", help="Evaluations of it, whose figures the card shows."),
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the card into this file.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
    debug: Debug = False,
) -> None:
    """Write a model's card, in Markdown: how to use it, its figures, how it was made, terms of the data, limits.

    Figures come from the evaluations; the first is also shown by emotion, one with --by also by group.

    Example: [bold]fer card run evaluation --out CARD.md[/bold]
    """
    with guarded(debug, "card"):
        from fercli.evaluation.card import model_card  # slow to import: torch

        text = model_card(model, evaluations or ())
        if out is not None:
            if out.exists() and not overwrite:
                raise DataError(f"{out}: already exists; choose another file, or replace it with --overwrite")
            try:
                write_text(out, text)
            except OSError as error:
                raise DataError(f"{out}: cannot be written: {error.strerror or error}") from error
            typer.echo(f"wrote {out}")
        else:
            Output().print(Markdown(text) if sys.stdout.isatty() else Text(text.rstrip("\n")))
