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
    """Yield the counts, and what was skipped."""
    yield counts_table(artifact.manifest.counts)
    for reason, names in artifact.manifest.skipped.items():
        yield f"skipped {len(names):,}: {name(reason)}"


def _formats(output: Output) -> None:
    """Print what can be imported."""
    found, problems = REGISTRY.plugins()
    readers = {**REGISTRY.own, **found}
    if output.as_json:
        output.json(
            [
                {"format": name, "title": r.title, "wants": r.wants, "published": r.published}
                for name, r in readers.items()
            ]
        )
        return
    shown = table("format", "wants", "published")
    shown.columns[0].no_wrap = True
    shown.columns[1].justify = "left"
    shown.columns[2].min_width = max(len(f"validation {3589:,}"), len("published"))
    for format_name, reader in readers.items():
        counts = [f"{split} {number:,}".strip() for split, number in reader.published.items()]
        shown.add_row(format_name, f"[bold]{reader.title}[/bold]: {reader.wants}", "\n".join(counts))
        shown.add_section()
    output.print(shown, *map(name, problems))


def _with_list(run: Any) -> Any:
    """Return the command with `--list`, which needs no SOURCE."""
    signature = inspect.signature(run)
    flag = typer.Option("--list", help="List the formats and what each wants; needs no SOURCE.")
    added = inspect.Parameter("list", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Annotated[bool, flag])

    def command(**values: Any) -> None:
        if values.pop("list"):
            with guarded(values["debug"], ImportConfig.stage):
                _formats(Output(json=values["json"]))
            return
        with guarded(values["debug"], ImportConfig.stage):
            if values["source"] is None:
                raise UsageError("name a SOURCE; fer import --list tells what can be read")
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
        """Make a data set of a published one (--list names them) or of folders of pictures by emotion.

        Published splits are kept, and missing ones cut: validation from train, or 80/10/10 by emotion where there are
        none; a person's images stay together. What is left out is counted, listed, and told.

        Example: [bold]fer import fer2013.csv faces[/bold]
        """,
    )
)
