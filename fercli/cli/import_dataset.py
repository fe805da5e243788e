"""`fer import`."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Annotated, Any

import typer

import fercli
from fercli.artifacts import Artifact
from fercli.cli.options import stage_command
from fercli.cli.output import Output, counts_table, guarded, name, table
from fercli.datasets.readers import REGISTRY
from fercli.errors import UsageError
from fercli.stages.import_dataset.config import ImportConfig


def show(artifact: Artifact) -> Iterator[Any]:
    """Yield the counts; the stage itself logs what it skipped."""
    yield counts_table(artifact.manifest.counts)


def _formats(output: Output) -> None:
    """Print the supported formats."""
    found, problems = REGISTRY.plugins()
    readers = {**REGISTRY.own, **found}
    if output.as_json:
        output.json(
            [
                {"format": name, "title": r.title, "expects": r.expects, "published": r.published}
                for name, r in readers.items()
            ]
        )
        return
    shown = table("format", "expects", "published")
    shown.columns[0].no_wrap = True
    shown.columns[1].justify = "left"
    shown.columns[2].min_width = max(len(f"validation {3589:,}"), len("published"))
    for format_name, reader in readers.items():
        counts = [f"{split} {number:,}".strip() for split, number in reader.published.items()]
        shown.add_row(format_name, f"[bold]{reader.title}[/bold]: {reader.expects}", "\n".join(counts))
        shown.add_section()
    output.print(shown, *map(name, problems))


def _with_list(run: Any) -> Any:
    """Add the option `--list`, which needs no SOURCE, to the command."""
    signature = inspect.signature(run)
    flag = typer.Option("--list", help="List the supported formats and exit.")
    added = inspect.Parameter("list", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Annotated[bool, flag])

    def command(**values: Any) -> None:
        if values.pop("list"):
            with guarded(values["debug"], ImportConfig.stage):
                _formats(Output(json=values["json"]))
            return
        with guarded(values["debug"], ImportConfig.stage):
            if values["source"] is None:
                raise UsageError("no SOURCE given; fer import --list shows the supported formats")
        run(**values)

    source, *others = signature.parameters.values()
    parameters = [source.replace(default=None), *others, added]
    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    command.__doc__ = run.__doc__
    return command


command = _with_list(
    stage_command(
        ImportConfig,
        fercli.import_dataset,
        show,
        """Import a published dataset (see --list), or folders of images by emotion.

        Published splits are kept and missing ones are created: validation from train, or 80/10/10 by emotion if there
        are none; the images of a person stay in one split. Skipped files are counted and listed in the manifest.

        Example: [bold]fer import fer2013.csv faces[/bold]
        """,
    )
)
