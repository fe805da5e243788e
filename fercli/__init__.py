"""fercli: whole facial emotion recognition pipelines, from raw data to an honestly evaluated model.

One function a stage, each loaded on first use. All take the stage's options as keywords, return the artifact they
wrote (or found up to date), and raise `fercli.errors.FerError` in one line:

    import fercli

    faces = fercli.import_dataset("fer2013.csv", "faces")
    cleaned = fercli.clean(faces.path, "cleaned")
    pack = fercli.pack(cleaned.path, "pack")
    run = fercli.train(pack.path, "run", model="quick")
    evaluation = fercli.evaluate(run.path, pack.path, "evaluation", tta="flip")
    print(evaluation.summary["accuracy"], evaluation.summary["accuracy_interval"])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, overload

from fercli._version import __version__ as __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from os import PathLike

    from fercli.artifacts import Artifact
    from fercli.progress import Progress
    from fercli.stages.predict.stage import Predictions, PredictionStream

__all__ = [
    "balance",
    "clean",
    "detect",
    "ensemble",
    "evaluate",
    "explain",
    "import_dataset",
    "pack",
    "predict",
    "sample",
    "train",
]


def sample(out: str | PathLike[str] | None = None, *, progress: Progress | None = None, **options: Any) -> Artifact:
    """Draw photographs with faces that show the seven emotions: data for those who have none.

    Args:
        out: Where the photographs go; by default under `artifacts/`.
        progress: A listener.
        options: Fields of `fercli.stages.sample.config.SampleConfig`, such as `images`, `seed`.
    """
    from fercli.progress import SILENT
    from fercli.stages.sample.config import SampleConfig
    from fercli.stages.sample.stage import sample as run

    return run(SampleConfig.of(out=out, **options), progress or SILENT)


def import_dataset(
    source: str | PathLike[str],
    out: str | PathLike[str] | None = None,
    *,
    progress: Progress | None = None,
    **options: Any,
) -> Artifact:
    """Make a data set of a published one, or of folders of pictures.

    Args:
        source: A published data set's table or folder, found by looking (`fer import --list` tells what each format
            wants), or a folder of pictures by emotion.
        out: Where the data set goes; by default under `artifacts/`.
        progress: A listener.
        options: Fields of `fercli.stages.import_dataset.config.ImportConfig`, such as `format`, `classes` (7, or 8 with
            contempt), `votes` (majority or soft), `map` (`"anger=angry,laugh=happy"`) and `folds`.
    """
    from fercli.progress import SILENT
    from fercli.stages.import_dataset.config import ImportConfig
    from fercli.stages.import_dataset.stage import import_dataset as run

    return run(ImportConfig.of(source=source, out=out, **options), progress or SILENT)


def detect(
    photographs: str | PathLike[str],
    out: str | PathLike[str] | None = None,
    *,
    progress: Progress | None = None,
    **options: Any,
) -> Artifact:
    """Find the faces in photographs and cut them out as squares of one size.

    Args:
        photographs: A folder of them, or one.
        out: Where the data set goes; by default under `artifacts/`.
        progress: A listener.
        options: Fields of `fercli.stages.detect.config.DetectConfig`, such as `detector`, `size`, `align`.
    """
    from fercli.progress import SILENT
    from fercli.stages.detect.config import DetectConfig
    from fercli.stages.detect.stage import detect as run

    return run(DetectConfig.of(photographs=photographs, out=out, **options), progress or SILENT)


def clean(
    dataset: str | PathLike[str] | None = None,
    out: str | PathLike[str] | None = None,
    *,
    progress: Progress | None = None,
    **options: Any,
) -> Artifact:
    """Find duplicates, conflicts and constant images; write a data set without leaking copies.

    Args:
        dataset: A data set; by default the newest under `artifacts/`.
        out: Where the cleaned one goes; by default under `artifacts/`.
        progress: A listener.
        options: Fields of `fercli.stages.clean.config.CleanConfig`, such as `near`, `labels`, `drop_label_issues`.
    """
    from fercli.progress import SILENT
    from fercli.stages.clean.config import CleanConfig
    from fercli.stages.clean.stage import clean as run

    return run(CleanConfig.of(dataset=dataset, out=out, **options), progress or SILENT)


def balance(
    dataset: str | PathLike[str] | None = None,
    out: str | PathLike[str] | None = None,
    *,
    progress: Progress | None = None,
    **options: Any,
) -> Artifact:
    """Fill a data set's small classes up by augmentation or generation, or plan what is to be generated.

    Args:
        dataset: A data set, or a plan to run; without one a plan is made from the published counts of `target`.
        out: Where the filled data set, or the plan, goes; by default under `artifacts/`.
        progress: A listener.
        options: Fields of `fercli.stages.balance.config.BalanceConfig`, such as `target`, `method`, `policy`.
    """
    from fercli.progress import SILENT
    from fercli.stages.balance.config import BalanceConfig
    from fercli.stages.balance.stage import balance as run

    return run(BalanceConfig.of(dataset=dataset, out=out, **options), progress or SILENT)


def pack(
    dataset: str | PathLike[str] | None = None,
    out: str | PathLike[str] | None = None,
    *,
    progress: Progress | None = None,
    **options: Any,
) -> Artifact:
    """Write a data set as one file that trains fast.

    Args:
        dataset: A data set; by default the newest under `artifacts/`.
        out: Where the pack goes; by default under `artifacts/`.
        progress: A listener.
        options: Fields of `fercli.stages.pack.config.PackConfig`, such as `size`, `color`, `fold`.
    """
    from fercli.progress import SILENT
    from fercli.stages.pack.config import PackConfig
    from fercli.stages.pack.stage import pack as run

    return run(PackConfig.of(dataset=dataset, out=out, **options), progress or SILENT)


def train(
    pack: str | PathLike[str] | None = None,
    out: str | PathLike[str] | None = None,
    *,
    progress: Progress | None = None,
    **options: Any,
) -> Artifact:
    """Train a model by its recipe, the best epoch chosen on validation alone.

    Args:
        pack: A pack; by default the newest under `artifacts/`.
        out: Where the run goes; by default under `artifacts/`.
        progress: A listener.
        options: Fields of `fercli.stages.train.config.TrainConfig`, such as `model`, `epochs`, `lr`.
    """
    from fercli.progress import SILENT
    from fercli.stages.train.config import TrainConfig
    from fercli.stages.train.stage import train as run

    return run(TrainConfig.of(pack=pack, out=out, **options), progress or SILENT)


def evaluate(
    checkpoint: str | PathLike[str] | None = None,
    pack: str | PathLike[str] | None = None,
    out: str | PathLike[str] | None = None,
    *,
    progress: Progress | None = None,
    **options: Any,
) -> Artifact:
    """Measure a checkpoint on a split of a pack.

    Args:
        checkpoint: A checkpoint, or a run (its best one); by default the newest under `artifacts/`.
        pack: A pack; by default the one it was trained on.
        out: Where the evaluation goes; by default under `artifacts/`.
        progress: A listener.
        options: Fields of `fercli.stages.evaluate.config.EvaluateConfig`, such as `split`, `tta`, `without_leaks`;
            `weights` and `model` measure published weights in place of a checkpoint.
    """
    from fercli.progress import SILENT
    from fercli.stages.evaluate.config import EvaluateConfig
    from fercli.stages.evaluate.stage import evaluate as run

    return run(EvaluateConfig.of(checkpoint=checkpoint, pack=pack, out=out, **options), progress or SILENT)


def ensemble(
    checkpoints: Sequence[str | PathLike[str]],
    out: str | PathLike[str] | None = None,
    *,
    progress: Progress | None = None,
    **options: Any,
) -> Artifact:
    """Measure several checkpoints together on a split of a pack, beside the best of them.

    Args:
        checkpoints: Two or more checkpoints, or runs (their best ones).
        out: Where the evaluation goes; by default under `artifacts/`.
        progress: A listener.
        options: Fields of `fercli.stages.ensemble.config.EnsembleConfig`, such as `pack`, `method`, `select`, `tta`.
    """
    from fercli.progress import SILENT
    from fercli.stages.ensemble.config import EnsembleConfig
    from fercli.stages.ensemble.stage import ensemble as run

    return run(EnsembleConfig.of(checkpoints=checkpoints, out=out, **options), progress or SILENT)


def explain(
    checkpoint: str | PathLike[str] | None = None,
    images: str | PathLike[str] | Iterable[str | PathLike[str]] = (),
    out: str | PathLike[str] | None = None,
    *,
    progress: Progress | None = None,
    **options: Any,
) -> Artifact:
    """Show where a model looks in faces, or which features its last layers weigh (`method="weights"`).

    Args:
        checkpoint: A checkpoint, or a run (its best one); by default the newest under `artifacts/`.
        images: Pictures, folders of pictures, data sets or packs, one or several; none for the weight analysis.
        out: Where the explanation goes; by default under `artifacts/`.
        progress: A listener.
        options: Fields of `fercli.stages.explain.config.ExplainConfig`, such as `emotion`, `method`, `detector`.
    """
    from fercli.progress import SILENT
    from fercli.stages.explain.config import ExplainConfig
    from fercli.stages.explain.stage import explain as run

    several = (images,) if isinstance(images, str) or hasattr(images, "__fspath__") else tuple(images)
    return run(ExplainConfig.of(checkpoint=checkpoint, images=several, out=out, **options), progress or SILENT)


@overload
def predict(
    checkpoint: str | PathLike[str],
    source: str | PathLike[str],
    *,
    stream: Literal[False] = False,
    progress: Progress | None = None,
    **options: Any,
) -> Predictions: ...
@overload
def predict(
    checkpoint: str | PathLike[str],
    source: str | PathLike[str],
    *,
    stream: Literal[True],
    progress: Progress | None = None,
    **options: Any,
) -> PredictionStream: ...
def predict(
    checkpoint: str | PathLike[str],
    source: str | PathLike[str],
    *,
    stream: bool = False,
    progress: Progress | None = None,
    **options: Any,
) -> Predictions | PredictionStream:
    """Tell the emotions of the faces in a photograph, a video, a folder of them, or before a webcam.

        for row in fercli.predict("run", "photographs").rows: ...          # all of them, in the end
        for row in fercli.predict("run", "webcam", stream=True): ...       # each one when it is found

    Args:
        checkpoint: A checkpoint, or a run (its best one).
        source: What is looked at; a data set or pack of faces; `webcam` or `webcam:1` for a camera.
        stream: Return an iterator that finds the rows while they are taken, and keeps none of them.
        progress: A listener.
        options: Fields of `fercli.stages.predict.config.PredictConfig`, such as `csv`, `draw`, `detector`, `every`.

    Returns:
        The rows (one a face and frame) and what they come to; files are written only where `csv` and `draw` say. With
        `stream` an iterator of rows, which has `summary` in the end; leaving its `with` block, or `close`, ends it.
    """
    from fercli.progress import SILENT
    from fercli.stages.predict.config import PredictConfig
    from fercli.stages.predict.stage import PredictionStream
    from fercli.stages.predict.stage import predict as run

    config = PredictConfig.of(checkpoint=checkpoint, source=str(source), **options)
    return PredictionStream(config, progress or SILENT) if stream else run(config, progress or SILENT)
