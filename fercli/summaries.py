"""The type of each stage's summary. The models are defined by the stages that create the artifacts."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from fercli.evaluation.summary import EnsembleSummary, EvaluationSummary
from fercli.packs.summary import PackSummary
from fercli.runs import RunSummary
from fercli.stages.balance.summary import BalanceSummary
from fercli.stages.clean.summary import CleanSummary
from fercli.stages.compare.summary import ComparisonSummary
from fercli.stages.crossvalidate.summary import CrossValidationSummary
from fercli.stages.detect.summary import DetectSummary
from fercli.stages.explain.summary import HeatmapSummary, WeightsSummary
from fercli.stages.export.summary import ExportSummary
from fercli.stages.import_dataset.summary import ImportSummary
from fercli.stages.matrix.summary import MatrixSummary
from fercli.stages.sample.summary import PhotographsSummary
from fercli.stages.tune.summary import StudySummary

SUMMARIES: dict[str, TypeAdapter[Any]] = {
    "sample": TypeAdapter(PhotographsSummary),
    "import": TypeAdapter(ImportSummary),
    "detect": TypeAdapter(DetectSummary),
    "clean": TypeAdapter(CleanSummary),
    "balance": TypeAdapter(BalanceSummary),
    "pack": TypeAdapter(PackSummary),
    "train": TypeAdapter(RunSummary),
    "tune": TypeAdapter(StudySummary),
    "crossvalidate": TypeAdapter(CrossValidationSummary),
    "evaluate": TypeAdapter(EvaluationSummary),
    "matrix": TypeAdapter(MatrixSummary),
    "ensemble": TypeAdapter(EnsembleSummary),
    "compare": TypeAdapter(ComparisonSummary),
    "export": TypeAdapter(ExportSummary),
    "explain": TypeAdapter(HeatmapSummary | WeightsSummary),
}
"""Summary types by stage."""
