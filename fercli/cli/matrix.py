"""`fer matrix`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import fercli
from fercli.artifacts import Artifact
from fercli.cli.options import stage_command
from fercli.cli.output import name, table
from fercli.stages.matrix.config import MatrixConfig


def show(artifact: Artifact) -> Iterator[Any]:
    """Yield the accuracies, models by packs, and what limits their comparison."""
    s = artifact.summary
    yield f"accuracy and 95 % interval, {s['split']}, test-time augmentation {s['tta']}"
    rows = table("model", *(name(pack) for pack in s["packs"]))
    width = len(s["packs"])
    for number, checkpoint in enumerate(s["checkpoints"]):
        rows.add_row(name(checkpoint), *(_cell(cell) for cell in s["cells"][number * width : (number + 1) * width]))
    yield rows
    if any(cell["trained_on"] or cell["seen"] for cell in s["cells"]):
        yield "* trained on images of this pack"
    for cell in s["cells"]:
        where = f"{name(cell['checkpoint'])} on {name(cell['pack'])}"
        if cell["left_out"]:
            yield f"{where}: {cell['left_out']:,} images of emotions that it does not know left out, n = {cell['n']:,}"
        if cell["seen"]:
            unseen = cell["unseen_accuracy"]
            without = "" if unseen is None else f", {unseen:.2%} without them"
            yield f"{where}: trained on {cell['seen']:,} of the {cell['n']:,} {s['split']} images{without}"


def _cell(cell: dict[str, Any]) -> str:
    if cell["accuracy"] is None:
        return "no images"
    low, high = cell["accuracy_interval"]
    mark = "*" if cell["trained_on"] or cell["seen"] else " "
    return f"{cell['accuracy']:.1%}{mark} \\[{100 * low:.1f}, {100 * high:.1f}]"


command = stage_command(
    MatrixConfig,
    fercli.matrix,
    show,
    """Evaluate several models on several packs: how well each recognises the faces of other datasets.

    Models and packs are told apart by what they are. Images of emotions that a model does not know are left out and
    counted; models that were trained on images of a pack are marked.

    Example: [bold]fer matrix run-0 run-1 packs/* --out matrix[/bold]
    """,
)
