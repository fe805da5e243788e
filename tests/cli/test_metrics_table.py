"""The metrics table: empty cells of absent emotions, and a note on averages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rich.console import Console

from fercli.artifacts import Artifact, Manifest
from fercli.cli.metrics_table import format_accuracy, show
from fercli.evaluation.summary import summarise


def render_table(labels: list[int], classes: int) -> str:
    emotions = ["happy", "sad", "neutral"][:classes]
    summary = summarise(np.array(labels), np.eye(classes)[labels], emotions, split="test", tta="none", selection="best")
    console = Console(width=100)
    with console.capture() as captured:
        for part in show(Artifact(Path("e"), Manifest(kind="evaluation", stage="evaluate", summary=dict(summary)))):
            console.print(part)
    return captured.get()


def test_absent_emotion_has_empty_cells() -> None:
    text = render_table([0, 1, 1], 3)
    row = next(line for line in text.splitlines() if line.startswith("neutral"))
    assert row.split() == ["neutral", "1.000", "0"]
    assert "macro F1 1.000, ROC AUC 1.000 (over the 2 of 3 emotions that occur)" in " ".join(text.split())
    assert "that occur" not in render_table([0, 1], 2)


def test_accuracy_of_no_images_is_undefined() -> None:
    assert format_accuracy({"accuracy": None, "accuracy_interval": [0.0, 1.0]}) == "undefined"
