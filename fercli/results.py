"""The results of the public functions: artifacts with a typed summary and a notebook representation."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Generic, cast

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypeVar

from fercli.artifacts import MANIFEST, Artifact
from fercli.artifacts.summary import Summary
from fercli.errors import DataError, FerError, one_line
from fercli.evaluation.summary import EvaluationSummary
from fercli.packs.summary import PackSummary
from fercli.progress import clock
from fercli.runs import RunSummary
from fercli.stages.balance.summary import BalanceSummary
from fercli.stages.clean.summary import CleanSummary
from fercli.stages.compare.summary import ComparisonSummary
from fercli.stages.crossvalidate.summary import CrossValidationSummary
from fercli.stages.export.summary import ExportSummary
from fercli.stages.matrix.summary import MatrixSummary
from fercli.stages.sample.summary import PhotographsSummary
from fercli.stages.tune.summary import StudySummary
from fercli.summaries import SUMMARIES

S = TypeVar("S", bound=Summary, default=Summary, covariant=True)
E = TypeVar("E", bound=EvaluationSummary, default=EvaluationSummary, covariant=True)

_ANY = TypeAdapter(Summary)

Values = Iterator[tuple[str, str]]


class Result(Artifact, Generic[S]):
    """An artifact with a typed summary.

    `summary` is also a mapping: `run.summary.validation.accuracy` is `run.summary["validation"]["accuracy"]`.
    """

    pictures: ClassVar[tuple[str, ...]] = ()
    """Candidate pictures for notebooks; the first existing one is shown."""

    @cached_property
    def summary(self) -> S:
        """The typed results of the stage, as printed by `--json`.

        Raises:
            DataError: the summary in the manifest is not valid for this stage.
        """
        try:
            found = SUMMARIES.get(self.manifest.stage, _ANY).validate_python(self.manifest.summary)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            where = ".".join(["summary", *(str(part)[:40] for part in first["loc"][:4])])
            message = one_line(f"{where}: {first['msg'][:120]}")
            raise DataError(f"{self.path / MANIFEST}: {message}; re-create the artifact") from error
        return cast(S, found)

    def _values(self) -> Values:
        """Yield the names and values of the key results."""
        for split, by_emotion in self.manifest.counts.items():
            yield split or "unlabelled", f"{sum(by_emotion.values()):,} images"
        if self.manifest.emotions:
            yield "emotions", ", ".join(self.manifest.emotions)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    def _repr_html_(self) -> str:
        """Return a table of the key results and the main picture as HTML, for notebooks."""
        from fercli.report.notebook import result_html

        title = f"{type(self).__name__} {self.path.name}{' (up to date)' if self.up_to_date else ''}"
        try:
            values = [*self._values(), ("path", str(self.path))]
        except FerError as error:
            values = [("path", str(self.path)), ("summary", str(error))]
        return result_html(title, values, [self.path / name for name in self.pictures])


class Photographs(Result[PhotographsSummary]):
    """Synthetic photographs of faces."""

    pictures = ("contact-sheet.png",)

    def _values(self) -> Values:
        yield from super()._values()
        yield "faces", f"{self.summary.faces:,}"


class Dataset(Result[S], Generic[S]):
    """Images by split and emotion, with an index."""

    pictures = ("balance.png", "generated.png", "contact-sheet.png")

    def _values(self) -> Values:
        yield from super()._values()
        if skipped := sum(map(len, self.manifest.skipped.values())):
            yield "skipped", f"{skipped:,}"


class Report(Result[CleanSummary]):
    """The findings of clean, without a dataset."""

    def _values(self) -> Values:
        yield from super()._values()
        for name, copies in (("exact copies", self.summary.exact), ("near copies", self.summary.near)):
            yield name, f"{copies.groups:,} groups, {copies.across_splits:,} across splits"


class Plan(Result[BalanceSummary]):
    """A plan of images to generate: prompts by emotion."""

    pictures = ("balance.png",)

    def _values(self) -> Values:
        yield from super()._values()
        yield "prompts", f"{self.summary.prompts:,}"


class Pack(Result[PackSummary]):
    """A dataset in one HDF5 file for fast training."""

    def _values(self) -> Values:
        yield from super()._values()
        yield "faces", f"{self.summary.size} x {self.summary.size} {self.summary.color}"
        if self.summary.leaks:
            yield "leaks", f"{self.summary.leaks:,} pairs of identical images in two splits"


class Run(Result[RunSummary]):
    """A trained model: its best and last checkpoints, metrics and curves."""

    pictures = ("curves.png",)

    @property
    def best(self) -> Path:
        """The checkpoint of the best epoch by validation."""
        return self.path / "best"

    @property
    def last(self) -> Path:
        """The checkpoint of the last epoch."""
        return self.path / "last"

    def _values(self) -> Values:
        s, found = self.summary, self.summary.validation
        yield "model", f"{s.model}, {s.parameters:,} parameters"
        yield "validation accuracy", _accuracy(found.accuracy, found.accuracy_interval, found.n)
        yield "macro F1", f"{found.macro_f1:.3f}"
        yield "selection", f"epoch {s.best_epoch}, {s.selection}"
        yield "training", f"{clock(s.seconds)}, {s.images_per_second:,.0f} images/s on {self.manifest.device}"


class Study(Result[StudySummary]):
    """A search for hyperparameters: its trials, and the best one's settings."""

    pictures = ("history.png",)

    @property
    def best(self) -> Path:
        """The settings of the best trial, for `config` of train."""
        return self.path / "best.toml"

    def _values(self) -> Values:
        s = self.summary
        yield "trials", f"{s.trials:,}, {s.complete:,} complete, {s.pruned:,} pruned, {s.failed:,} failed"
        if s.best is not None:
            yield "best", f"trial {s.best.number}: " + ", ".join(f"{k} {v}" for k, v in s.best.settings.items())
            for title, half in (("chosen on", s.best.validation), ("other half", s.best.other_half)):
                yield f"accuracy, {title}", _accuracy(half.accuracy, half.accuracy_interval, half.n)


class CrossValidation(Result[CrossValidationSummary]):
    """The metrics of a model on every fold of a dataset, and the run of each fold."""

    pictures = ("confusion.png",)

    @property
    def runs(self) -> list[Path]:
        """The runs of the folds, in order."""
        return [self.path / one.run for one in self.summary.per_fold]

    def _values(self) -> Values:
        s = self.summary
        repeats = f", {s.repeats} repeats" if s.repeats > 1 else ""
        yield "model", s.model
        yield "folds", f"{s.folds}{repeats}, {s.n:,} images"
        for name, title in (
            ("accuracy", "accuracy"),
            ("balanced_accuracy", "balanced accuracy"),
            ("macro_f1", "macro F1"),
        ):
            low, high = s.metrics[name].interval
            yield f"mean {title}", f"{s.metrics[name].mean:.2%} [{low:.2%}, {high:.2%}]"
        yield "out-of-fold accuracy", _accuracy(s.pooled.accuracy, s.pooled.accuracy_interval, s.pooled.n)


class Evaluation(Result[E], Generic[E]):
    """The metrics of a checkpoint or an ensemble on a split."""

    pictures = ("confusion.png",)

    def _values(self) -> Values:
        s = self.summary
        yield "split", s.split
        yield "accuracy", _accuracy(s.accuracy, s.accuracy_interval, s.n)
        if (clean := s.without_leaks) is not None and clean.accuracy is not None:
            yield "without leaks", _accuracy(clean.accuracy, clean.accuracy_interval, clean.n)
        yield "balanced accuracy", f"{s.balanced_accuracy:.2%}"
        yield "macro F1", f"{s.macro_f1:.3f}"
        if s.roc_auc is not None:
            yield "ROC AUC", f"{s.roc_auc:.3f}"
        yield "test-time augmentation", s.tta
        yield "selection", s.selection


class Matrix(Result[MatrixSummary]):
    """The accuracies of several models on several packs."""

    pictures = ("matrix.png",)

    def _values(self) -> Values:
        yield "split", self.summary.split
        yield "models", ", ".join(self.summary.checkpoints)
        yield "packs", ", ".join(self.summary.packs)


class Comparison(Result[ComparisonSummary]):
    """Which of several models or recipes is better, by which test, and how surely."""

    pictures = ("comparison.png",)

    def _values(self) -> Values:
        s = self.summary
        if s.split:
            yield "split", s.split
        yield "images", f"{s.n:,}"
        for pair in s.pairs:
            yield f"{pair.first} against {pair.second}", pair.verdict


class Explanation(Result[S], Generic[S]):
    """Grad-CAM heat maps of a model, or the weights of its last layers."""

    pictures = ("contact-sheet.png", "weights.png")

    def _values(self) -> Values:
        s: Any = self.summary
        yield "model", s.model
        if s.method == "weights":
            yield "features", f"{s.features:,}"
            return
        yield "layer", s.layer
        yield "explained", f"{s.explained}, {s.faces:,} faces"
        if s.heat_in_regions is not None:
            yield "heat in the action units' regions", f"{s.heat_in_regions:.0%} on {s.area_of_regions:.0%} of the area"


class Export(Result[ExportSummary]):
    """A model as a file that runs without fercli."""

    def _values(self) -> Values:
        s = self.summary
        yield "file", f"{s.file}, {s.precision}, {s.bytes / 1e6:.1f} MB"
        yield "model", s.architecture
        yield "largest difference", f"{s.parity[0].largest:.2g} on {s.parity[0].n} {s.parity[0].faces}"
        yield "times as fast", ", ".join(f"{row.ratio:.2f} ({row.batch} faces at once)" for row in s.speed)


KINDS: dict[str, type[Result[Any]]] = {
    "photographs": Photographs,
    "dataset": Dataset,
    "report": Report,
    "plan": Plan,
    "pack": Pack,
    "run": Run,
    "study": Study,
    "crossvalidation": CrossValidation,
    "evaluation": Evaluation,
    "matrix": Matrix,
    "comparison": Comparison,
    "explanation": Explanation,
    "export": Export,
}


def result_of(artifact: Artifact) -> Result[Any]:
    """Return an artifact as the result type of its kind."""
    kind = KINDS.get(artifact.manifest.kind, Result)
    return kind(artifact.path, artifact.manifest, artifact.up_to_date)


def _accuracy(accuracy: float, interval: list[float], n: int) -> str:
    low, high = interval
    return f"{accuracy:.2%} [{low:.2%}, {high:.2%}], n = {n:,}"
