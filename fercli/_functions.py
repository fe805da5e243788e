"""The table of public functions. `fercli._api` makes them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

from fercli.stages.base import StageConfig


@dataclass(frozen=True)
class Function:
    """A public function.

    Attributes:
        config: Its stage's config, as "stage package:class".
        positional: The fields that may be passed by position.
        returns: Its return type, as written in the stub.
        doc: Its docstring, up to the arguments.
        cases: Overloads: a parameter, its type, whether the default is of this type, and the return type.
    """

    config: str
    positional: tuple[str, ...]
    returns: str
    doc: str
    cases: tuple[tuple[str, str, bool, str], ...] = ()

    def load(self) -> type[StageConfig]:
        """Import the config."""
        stage, _, name = self.config.partition(":")
        config: type[StageConfig] = getattr(import_module(f"fercli.stages.{stage}.config"), name)
        return config


FUNCTIONS = {
    "sample": Function(
        "sample:SampleConfig",
        ("out",),
        "Photographs",
        "Generate synthetic photographs of faces with the seven emotions, to try fercli without data.",
    ),
    "import_dataset": Function(
        "import_dataset:ImportConfig",
        ("source", "out"),
        "Dataset[ImportSummary]",
        "Import a published dataset or folders of images as a dataset.",
    ),
    "detect": Function(
        "detect:DetectConfig",
        ("photographs", "out"),
        "Dataset[DetectSummary]",
        "Detect the faces in photographs and videos, and crop them to squares of one size.",
    ),
    "clean": Function(
        "clean:CleanConfig",
        ("dataset", "out"),
        "Dataset[CleanSummary] | Report",
        "Find duplicates, label conflicts and constant images; write a dataset without leaking copies.",
        cases=(
            ("report_only", "Literal[False]", True, "Dataset[CleanSummary]"),
            ("report_only", "Literal[True]", False, "Report"),
        ),
    ),
    "balance": Function(
        "balance:BalanceConfig",
        ("dataset", "out"),
        "Dataset[BalanceSummary] | Plan",
        "Fill up the small classes of a dataset by augmentation or generation, or plan what to generate.",
        cases=(
            ("dataset", "None", True, "Plan"),
            ("dataset", "StrPath", False, "Dataset[BalanceSummary]"),
        ),
    ),
    "pack": Function(
        "pack:PackConfig",
        ("dataset", "out"),
        "Pack",
        "Pack a dataset into one HDF5 file for fast training.",
    ),
    "train": Function(
        "train:TrainConfig",
        ("pack", "out"),
        "Run",
        "Train a model by its recipe; the best epoch is selected on validation only.",
    ),
    "tune": Function(
        "tune:TuneConfig",
        ("pack", "out"),
        "Study",
        "Search for a model's hyperparameters; trials are chosen by one half of validation only.",
    ),
    "crossvalidate": Function(
        "crossvalidate:CrossvalidateConfig",
        ("dataset", "out"),
        "CrossValidation",
        "Train and test a model on every fold of a dataset, each fold held out from one run.",
    ),
    "evaluate": Function(
        "evaluate:EvaluateConfig",
        ("checkpoint", "pack", "out"),
        "Evaluation[EvaluationSummary]",
        "Evaluate a checkpoint, or published weights, on a split of a pack.",
    ),
    "matrix": Function(
        "matrix:MatrixConfig",
        ("inputs", "out"),
        "Matrix",
        "Evaluate several checkpoints on a split of several packs, told apart by their kinds.",
    ),
    "ensemble": Function(
        "ensemble:EnsembleConfig",
        ("checkpoints", "out"),
        "Evaluation[EnsembleSummary]",
        "Evaluate an ensemble of checkpoints on a split of a pack, against its best member.",
    ),
    "compare": Function(
        "compare:CompareConfig",
        ("sides", "out"),
        "Comparison",
        "Compare evaluations, runs, cross-validations, or groups of them, by the test that fits them.",
    ),
    "explain": Function(
        "explain:ExplainConfig",
        ("checkpoint", "images", "out"),
        "Explanation[HeatmapSummary] | Explanation[WeightsSummary]",
        'Explain a model by Grad-CAM heat maps of faces, or by the weights of its last layers (`method="weights"`).',
        cases=(
            ("method", 'Literal["gradcam"]', True, "Explanation[HeatmapSummary]"),
            ("method", 'Literal["weights"]', False, "Explanation[WeightsSummary]"),
        ),
    ),
    "export": Function(
        "export:ExportConfig",
        ("checkpoint", "out"),
        "Export",
        "Export a checkpoint as a file that runs without fercli, and check that it gives the same probabilities.",
    ),
    "predict": Function(
        "predict:PredictConfig",
        ("checkpoint", "source"),
        "Predictions | PredictionStream",
        "Predict the emotions of the faces in a photograph, a video, a folder of them, or a webcam stream.\n\n"
        'for row in fercli.predict("run", "photographs").rows: ...          # all rows at the end\n'
        'for row in fercli.predict("run", "webcam", stream=True): ...       # each row as soon as available',
        cases=(
            ("stream", "Literal[False]", True, "Predictions"),
            ("stream", "Literal[True]", False, "PredictionStream"),
        ),
    ),
}
