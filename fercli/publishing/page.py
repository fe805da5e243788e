"""An evaluation's page for others: no faces, since most datasets forbid to publish them, and no paths."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fercli.artifacts import open_artifact
from fercli.artifacts.lineage import ancestors
from fercli.evaluation.files import plots_of
from fercli.evaluation.reading import read_predictions
from fercli.evaluation.summary import EvaluationSummary
from fercli.report.pages import EvaluationPage, LineageItem, evaluation_page
from fercli.report.plots import confusion_plot
from fercli.sanitize import without_folders


def public_page(evaluation: Path, model: str, data: str, summary: EvaluationSummary) -> str:
    """Return an evaluation's page as HTML: its metrics and plots, without misclassified faces and contact sheets.

    Args:
        evaluation: The evaluation.
        model: What the model is called.
        data: What it was evaluated on.
        summary: The evaluation's summary.

    Raises:
        DataError: its predictions are missing or were modified.
    """
    artifact = open_artifact(evaluation, "evaluation")
    predictions = read_predictions(artifact)
    emotions = list(predictions.emotions)
    low, high = summary.accuracy_interval
    heading = f"{model} on {data}, n = {summary.n:,}\n"
    confusion = confusion_plot(
        np.array(summary.confusion, np.int64),
        emotions,
        f"{heading}accuracy {summary.accuracy:.2%} (95 % interval {low:.2%} to {high:.2%})",
    )
    m = artifact.manifest
    page = EvaluationPage(
        title=f"{model} on {data}",
        summary=summary,
        confusion_picture=confusion,
        **plots_of(summary, predictions.labels, predictions.probabilities),
        lineage=tuple(
            LineageItem(
                one.kind,
                one.name,
                one.input.digest,
                without_folders(one.manifest.command) if one.manifest else "",
                one.manifest.started if one.manifest else "",
                one.manifest.ended if one.manifest else "",
            )
            for one in ancestors(artifact)
            if not one.repeated
        ),
        command=without_folders(m.command),
        version=m.fercli,
        device=m.device,
        ended=m.ended,
        notes=("Pictures of faces are left out here; the evaluation's own page has them.",),
    )
    return evaluation_page(page)
