"""Write the reference's pages from the code: commands' help, options of configs, models, readers, detectors.

A Sphinx extension. The pages go to docs/reference/generated/, which git ignores, so that they never differ from the
code that they describe.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from inspect import isclass
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import fercli
import fercli.stages
from fercli import results
from fercli._functions import FUNCTIONS
from fercli.artifacts.summary import Summary
from fercli.cli.commands import COMMANDS
from fercli.datasets.readers import READERS
from fercli.faces.detectors import DETECTORS
from fercli.models.registry import MODELS
from fercli.recipes import Settings
from fercli.stages.base import StageConfig, cli_of

GENERATED = Path(__file__).parent / "reference" / "generated"
CLASSES = {
    "artifacts": ("fercli.artifacts.Artifact", "fercli.artifacts.Manifest", "fercli.artifacts.Input"),
    "predictions": ("fercli.stages.predict.rows.Row",),
    "errors": (
        "fercli.errors.FerError", "fercli.errors.UsageError", "fercli.errors.DataError", "fercli.errors.ImageError",
        "fercli.errors.LeakError",
    ),
    "progress": ("fercli.progress.Progress",),
}  # fmt: skip
"""Classes that the functions take, return or raise, by subject."""


def configs() -> dict[str, type[StageConfig]]:
    """Return every stage's config by the stage's name, in the order of `fer --help`."""
    found = {config.stage: config for config in (function.load() for function in FUNCTIONS.values())}
    return {name: found[name] for name in [*COMMANDS, *found] if name in found}


def function_of(config: type[StageConfig]) -> str:
    """Return the name of the public function that runs a config's stage."""
    return config.__module__.split(".")[2]


def public_classes() -> list[str]:
    """Return the full names of the classes that the public functions return."""
    found = [getattr(fercli, name) for name in dir(fercli) if not name.startswith("_")]
    names = [f"{cls.__module__}.{cls.__qualname__}" for cls in found if isclass(cls)]
    return [name for name in names if name.startswith("fercli.")]


def summary_classes() -> list[str]:
    """Return the full names of the classes of summaries, each before those that it is made of."""

    def within(kind: Any) -> Iterator[str]:
        if isclass(kind) and issubclass(kind, Summary):
            yield f"{kind.__module__}.{kind.__qualname__}"
            for field in kind.model_fields.values():
                yield from within(field.annotation)
        for part in get_args(kind):
            yield from within(part)

    return [name for kind in vars(results).values() for name in within(kind)]


def type_text(kind: Any) -> str:
    """Return a type as a table's cell shows it: the allowed values, or what kind of value it is."""
    origin = get_origin(kind)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in get_args(kind))
    if origin in (Union, UnionType):
        return " or ".join(type_text(part) for part in get_args(kind) if part is not type(None))
    if origin is not None:
        inner = [type_text(part) for part in get_args(kind) if part is not Ellipsis]
        return f"several: {inner[0]}" if origin is tuple else f"{origin.__name__} of {', '.join(inner)}"
    return {"str": "text", "bool": "yes or no", "int": "integer", "float": "number", "Path": "path"}.get(
        getattr(kind, "__name__", str(kind)), str(getattr(kind, "__name__", kind))
    )


def bounds(metadata: Iterable[Any]) -> str:
    """Return a field's limits, as `≥ 0, < 1`."""
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    return ", ".join(
        f"{sign} {getattr(item, name)}"
        for item in metadata
        for name, sign in signs.items()
        if getattr(item, name, None) is not None
    )


def cell(text: object) -> str:
    """Return text that stays in its cell of a Markdown table, and is no HTML."""
    escapes = {"|": "\\|", "\n": " ", "<": "&lt;", "*": "\\*", "[^": "\\[^"}
    shown = str(text)
    for plain, escaped in escapes.items():
        shown = shown.replace(plain, escaped)
    return shown


def table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    names = list(header)
    yield f"| {' | '.join(names)} |"
    yield f"|{'---|' * len(names)}"
    for row in rows:
        yield f"| {' | '.join(cell(value) for value in row)} |"
    yield ""


def options_table(config: type[StageConfig]) -> Iterator[str]:
    """Yield the table of a config's options."""
    rows = []
    for name, field in config.model_fields.items():
        limits = bounds(field.metadata)
        kind = type_text(field.annotation) + (f" ({limits})" if limits else "")
        if field.is_required() and not (issubclass(config, Settings) and name in Settings.model_fields):
            default = "required"
        elif issubclass(config, Settings) and name in Settings.model_fields:
            default = "the recipe's"
        else:
            default = "" if field.default in (None, ()) else f"`{field.default}`"
        flag = "" if cli_of(config, name).argument else f"`--{name.replace('_', '-')}`"
        rows.append((f"`{name}`", flag, kind, default, field.description or ""))
    yield from table(("option", "flag", "value", "default", "meaning"), rows)


def autodoc(directive: str, name: str, *options: str) -> Iterator[str]:
    """Yield an autodoc directive within Markdown."""
    yield from ("```{eval-rst}", f".. {directive}:: {name}", *(f"   :{option}:" for option in options), "```", "")


def help_of(command: str) -> str:
    """Return what `fer COMMAND --help` prints on a terminal of 100 columns, without colour."""
    environment = {**os.environ, "COLUMNS": "100", "TERMINAL_WIDTH": "100", "NO_COLOR": "1", "TERM": "dumb"}
    call = [sys.executable, "-m", "fercli", *([command] if command else []), "--help"]
    done = subprocess.run(call, env=environment, capture_output=True, text=True, check=True)
    return "\n".join(line.rstrip() for line in done.stdout.strip("\n").splitlines())


def command_page(command: str) -> Iterator[str]:
    """Yield the page of one command: its function, its options, its help."""
    yield from (f"# fer {command}", "", COMMANDS[command][1], "", "```text", help_of(command), "```", "")
    if config := configs().get(command):
        function = function_of(config)
        yield from ("## From Python", "")
        yield from autodoc("autofunction", f"fercli.{function}")
        yield from ("## Options", "", f"The fields of `{config.__module__}.{config.__qualname__}`.", "")
        yield from options_table(config)


def python_page() -> Iterator[str]:
    """Yield the page of the public functions and of the classes that go with them."""
    yield from ("# Python API", "")
    yield from (
        "`import fercli` offers one function a stage, each loaded on first use. All take the stage's options as",
        "keywords (their page lists them), return what they wrote or found up to date, and raise",
        "`fercli.errors.FerError`. [The quickstart](../../quickstart.md) has an example.",
        "",
    )
    yield from table(
        ("function", "returns", "page"),
        [
            ("`fercli.load`", "`Model`", "below"),
            *(
                (
                    f"`fercli.{function_of(config)}`",
                    f"`{FUNCTIONS[function_of(config)].returns}`",
                    f"[fer {name}]({page_of(name)}.md)",
                )
                for name, config in configs().items()
            ),
        ],
    )
    yield from ("## A trained model", "")
    yield from autodoc("autofunction", "fercli.load")
    shown: set[str] = set()
    for title, names in {"results": public_classes(), "summaries": summary_classes(), **CLASSES}.items():
        yield from (f"## {title.capitalize()}", "")
        for name in dict.fromkeys(names):
            if name not in shown:
                yield from autodoc("autoclass", name, "members")
        shown.update(names)


def models_page() -> Iterator[str]:
    """Yield the page of the models."""
    yield from ("# Models", "", "`fer models NAME` shows a model's recipe and what is known about its claim.", "")
    rows = [(f"`{m.name}`", m.paper, f"{m.parameters:,}", m.input_size, m.channels, m.recipe_file) for m in MODELS]
    yield from table(("model", "paper", "parameters", "input, px", "channels", "recipe"), rows)
    yield from ("Any classifier of timm goes by `timm/<name>`.", "", "## From Python", "")
    for function in ("find_model", "create_model"):
        yield from autodoc("autofunction", f"fercli.models.registry.{function}")
    yield from autodoc("autoclass", "fercli.models.spec.ModelSpec", "members")
    yield from ("## Training settings", "", "What recipes and `fer train` can set.", "")
    yield from autodoc("autoclass", "fercli.recipes.Recipe", "members")


def readers_page() -> Iterator[str]:
    """Yield the page of the layouts that import reads."""
    yield from ("# Layouts that import reads", "")
    yield from ("The first that matches a source reads it; `--format` names one.", "")
    rows = []
    for reader in READERS:
        counts = ", ".join(f"{split or 'all'} {count:,}" for split, count in reader.published.items())
        rows.append((f"`{reader.name}`", reader.title, reader.expects, counts))
    yield from table(("format", "dataset", "what the source holds", "published images"), rows)
    yield from ("## From Python", "")
    for name in ("Reader", "Item", "ImportOptions"):
        yield from autodoc("autoclass", f"fercli.datasets.readers.base.{name}", "members")


def detectors_page() -> Iterator[str]:
    """Yield the page of the detectors."""
    yield from ("# Detectors", "", "`fer weights` lists the weights that fercli can fetch.", "")
    eyes = {True: "yes", False: "no", None: "by its weights"}
    rows = [(f"`{d.name}`", eyes[d.landmarks], d.weights or "") for d in DETECTORS]
    yield from table(("detector", "landmarks", "weights"), rows)
    yield from ("## From Python", "")
    yield from autodoc("autofunction", "fercli.faces.detectors.create_detector")
    for name in ("Detector", "Face"):
        yield from autodoc("autoclass", f"fercli.faces.base.{name}", "members")


SUBJECTS = {"python": python_page, "models": models_page, "readers": readers_page, "detectors": detectors_page}
"""The pages that are of no command."""


def page_of(command: str) -> str:
    """Return the stem of a command's page; `models` is the name of another page already."""
    return f"fer-{command}" if command in SUBJECTS else command


def stems() -> set[str]:
    """Return the stems of all pages' files."""
    return {*SUBJECTS, *map(page_of, COMMANDS)}


def write(_app: Any = None) -> None:
    """Write all pages; those of what no longer exists are removed."""
    GENERATED.mkdir(parents=True, exist_ok=True)
    pages = {stem: page() for stem, page in SUBJECTS.items()}
    pages |= {page_of(command): command_page(command) for command in COMMANDS}
    new = {f"{stem}.md": "\n".join(lines) for stem, lines in pages.items()}
    for old in GENERATED.glob("*.md"):
        if old.name not in new:
            old.unlink()
    for name, text in new.items():
        (GENERATED / name).write_text(text + "\n", "utf-8")


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True}
