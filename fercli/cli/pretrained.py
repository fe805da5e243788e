"""The models that come with fercli, for `fer models`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from rich.markdown import Markdown
from rich.table import Table
from rich.text import Text

from fercli.cli.output import table
from fercli.pretrained import HOME, pretrained_names, read_card, read_figures


def pretrained_table() -> Table:
    """Return the table of the models, with the first figure of each card."""
    shown = table("model", "emotions", "MB", "accuracy", "macro F1", "n", "on")
    shown.columns[6].justify = "left"
    for name in pretrained_names():
        metadata, first = _metadata(name), read_figures(name)[0]
        size = sum(path.stat().st_size for path in (HOME / name).iterdir()) / 1e6
        emotions = str(len(metadata["emotions"]))
        figures = (f"{first.accuracy:.1%}", f"{first.macro_f1:.3f}", f"{first.n:,}", first.data)
        shown.add_row(name, emotions, f"{size:.1f}", *figures)
    return shown


def pretrained_card(name: str, rendered: bool) -> Markdown | Text:
    """Return a model's card, rendered for a terminal, or as its Markdown text."""
    return Markdown(read_card(name)) if rendered else Text(read_card(name))


def pretrained_entry(name: str) -> dict[str, Any]:
    """Return a model as a JSON object."""
    metadata = _metadata(name)
    return {
        "name": name,
        "path": str(HOME / name),
        **{key: metadata[key] for key in ("architecture", "emotions", "temperature", "training_data")},
        "figures": [asdict(figure) for figure in read_figures(name)],
        "card": read_card(name),
    }


def _metadata(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((HOME / name / "model.json").read_text("utf-8"))
    return found
