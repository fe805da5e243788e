"""fercli: complete facial emotion recognition pipelines, from raw data to an honestly evaluated model.

One function per stage, loaded on first use. Each takes the stage's options as keywords, returns the artifact that it
wrote (or found up to date) with a typed summary, and raises `fercli.errors.FerError` with a one-line message:

    import fercli

    faces = fercli.import_dataset("fer2013.csv", "faces")
    cleaned = fercli.clean(faces.path, "cleaned")
    pack = fercli.pack(cleaned.path, "pack")
    run = fercli.train(pack.path, "run", model="quick")
    evaluation = fercli.evaluate(run.path, pack.path, "evaluation", tta="flip")
    print(evaluation.summary.accuracy, evaluation.summary.accuracy_interval)

To use a trained model, one of your own or of fercli's:

    model = fercli.load("ferplus")
    print(model.predict("photo.jpg")[0].emotion)

Summaries are also mappings, with the keys that `--json` prints: `run.summary["validation"]["accuracy"]`. In a notebook,
and if stderr is a terminal, a progress bar is shown; `progress=False` disables it.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from fercli._version import __version__ as __version__

__all__ = [
    "balance",
    "clean",
    "compare",
    "crossvalidate",
    "detect",
    "ensemble",
    "evaluate",
    "explain",
    "export",
    "import_dataset",
    "load",
    "matrix",
    "pack",
    "predict",
    "sample",
    "train",
    "tune",
]

_RESULTS = (
    "Comparison",
    "CrossValidation",
    "Dataset",
    "Evaluation",
    "Explanation",
    "Export",
    "Matrix",
    "Pack",
    "Photographs",
    "Plan",
    "Report",
    "Result",
    "Run",
    "Study",
)
_PREDICTIONS = {
    "Model": "model",
    "PredictedFace": "predicted",
    "PredictedFaces": "predicted",
    "PredictionStream": "stage",
    "Predictions": "predictions",
    "load": "model",
}
"""Names by their module in `fercli.stages.predict`."""


def __getattr__(name: str) -> Any:
    """Create a public function, or import a result type, on first use (PEP 562)."""
    found: Any
    if name in _PREDICTIONS:
        found = getattr(import_module(f"fercli.stages.predict.{_PREDICTIONS[name]}"), name)
    elif name in __all__:
        from fercli._api import make

        found = make(name)
    elif name in _RESULTS:
        from fercli import results

        found = getattr(results, name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_RESULTS, *_PREDICTIONS})
