"""One fold: its pack, its run, and the predictions of its held-out images. It needs nothing but the plan.

Each part is written under its own lock and is there or not there, so that a fold can be done in any process, and again
after one was killed.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from fercli.artifacts import Artifact, artifact_input, atomic_path, is_artifact, open_artifact
from fercli.artifacts.building import build
from fercli.datasets.cross_folds import CrossFolds, HeldOut, hold_out_fold
from fercli.datasets.index import Row
from fercli.datasets.label_noise import LabelNoise, noisy_rows
from fercli.errors import FerError, reworded
from fercli.evaluation.cached import predict_cached
from fercli.evaluation.predicting import match_emotions, read_faces
from fercli.files import open_file
from fercli.images import Color
from fercli.models.checkpoints import load_checkpoint
from fercli.models.devices import find_device, nth_device
from fercli.packs.opening import open_pack
from fercli.packs.summary import FoldSummary
from fercli.packs.writing import write_pack
from fercli.progress import Progress
from fercli.runs import FOLD_RUNS
from fercli.stages.crossvalidate.balancing import balanced_rows
from fercli.stages.crossvalidate.config import CrossvalidateConfig
from fercli.stages.train_run import run_inputs, train_run

PACKS = "packs"
PREDICTIONS = "predictions"
"""Folder of the folds' predictions, until they are joined in one table."""


@dataclass(frozen=True)
class Plan:
    """What all folds have in common.

    Attributes:
        folder: Folder of the cross-validation that is being built.
        out: Its final path, for messages.
        dataset: The dataset.
        rows: Its labelled rows.
        cross: The folds.
        face_format: Side and colour of the packed images.
        config: The options.
        threads: CPU threads of a fold; None to leave them as they are.
        constant: Paths of images of constant colour, which balancing does not augment.
    """

    folder: Path
    out: Path
    dataset: Artifact
    rows: list[Row]
    cross: CrossFolds
    face_format: tuple[int, Color]
    config: CrossvalidateConfig
    threads: int | None
    constant: frozenset[str] = frozenset()

    def folds(self) -> list[Fold]:
        """Return all folds, in order: of the first rate of label noise, then of the others."""
        config = self.config
        return [
            Fold(self, r + 1, f + 1, rate)
            for rate in config.rates
            for r in range(config.repeats)
            for f in range(config.folds)
        ]

    def held_out(self, fold: Fold) -> HeldOut:
        """Return the rows with a fold held out."""
        config = self.config
        return hold_out_fold(
            self.rows, self.cross, fold.repeat, fold.number,
            validation=config.validation, seed=config.fold_seed, stratify=config.stratify,
        )  # fmt: skip


@dataclass(frozen=True)
class Fold:
    """One fold of one repeat, both from 1, at one rate of label noise.

    Attributes:
        plan: The plan.
        repeat: The repeat.
        number: The fold.
        rate: The rate.
    """

    plan: Plan
    repeat: int
    number: int
    rate: float = 0.0

    @property
    def in_front(self) -> bool:
        """Whether the figures in front are those of its rate."""
        return self.rate == self.plan.config.rates[0]

    @property
    def noise(self) -> LabelNoise:
        """Its label noise, which depends on the fold seed: it is the same for all models."""
        return LabelNoise(self.rate, self.plan.config.fold_seed, packed=True)

    @property
    def name(self) -> str:
        """The name of its pack and run, such as r1-f03, or noise-0.2-r1-f03 if its rate is not the first."""
        config = self.plan.config
        digits = max(2, len(str(config.folds)))
        noise = "" if self.in_front else f"noise-{self.rate}-"
        return f"{noise}r{self.repeat:0{len(str(config.repeats))}}-f{self.number:0{digits}}"

    @property
    def title(self) -> str:
        """Its name in messages."""
        config = self.plan.config
        repeat = f"repeat {self.repeat}/{config.repeats}, " if config.repeats > 1 else ""
        noise = f"noise {self.rate}, " if len(config.rates) > 1 else ""
        return f"{noise}{repeat}fold {self.number}/{config.folds}"

    @property
    def device(self) -> str:
        """The device that it is trained on."""
        config = self.plan.config
        return nth_device(config.device, config.devices, self.plan.folds().index(self))

    @property
    def run(self) -> str:
        """The path of its run within the cross-validation."""
        return f"{FOLD_RUNS}/{self.name}"

    @property
    def file(self) -> Path:
        """The file with its predictions."""
        return self.plan.folder / PREDICTIONS / f"{self.name}.npz"

    def is_done(self) -> bool:
        """Return whether its run and predictions are there."""
        return self.file.is_file() and is_artifact(self.plan.folder / self.run)


@dataclass(frozen=True)
class FoldPredictions:
    """The predictions of a fold's held-out images.

    Attributes:
        paths: Path of each image, (N,).
        labels: (N,), indices into the dataset's emotions.
        probabilities: (N, C), in the order of the dataset's emotions.
        train: Number of images that it was trained on.
        validation: Number of images that its epoch was selected on.
        run: Its run.
    """

    paths: list[str]
    labels: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float32]
    train: int
    validation: int
    run: Artifact


def run_fold(fold: Fold, progress: Progress) -> None:
    """Pack a fold, train its run, and predict its held-out images; what is there already is not done again.

    Raises:
        FerError: as raised by pack and train.
    """
    plan, own = fold.plan, _FoldProgress(progress, fold)
    try:
        with _threads(plan.threads):
            pack = _write_pack(fold, own)
            train = plan.config.train_options().model_copy(update={"device": fold.device})
            inputs = run_inputs(train, pack)
            run = train_run(train, pack, plan.folder / fold.run, inputs, noise=fold.noise, progress=own)
            _predict(fold, pack, run, own)
    except FerError as error:
        raise reworded(error, str(error).replace(str(plan.folder), str(plan.out))) from error
    if not plan.config.keep_packs:
        shutil.rmtree(pack.path)


def read_fold(fold: Fold) -> FoldPredictions:
    """Read the predictions of a finished fold."""
    with open_file(fold.file) as file, np.load(file, allow_pickle=False) as found:
        labels, probabilities = found["labels"], found["probabilities"]
        train, validation = found["counts"].tolist()
    own = zip(fold.plan.cross.rows, fold.plan.cross.folds[fold.repeat - 1], strict=True)
    paths = [row.path for row, number in own if number == fold.number]
    run = open_artifact(fold.plan.folder / fold.run, "run")
    return FoldPredictions(paths, labels, probabilities, train, validation, run)


def _write_pack(fold: Fold, progress: Progress) -> Artifact:
    plan, config = fold.plan, fold.plan.config
    size, color = plan.face_format
    options: dict[str, Any] = {
        "size": size, "color": color, "allow_leaks": config.allow_leaks, "folds": config.folds, "repeat": fold.repeat,
        "fold": fold.number, "fold_seed": config.fold_seed, "stratify": config.stratify, "splits": config.splits,
        "validation": config.validation, "balance": config.balance, **fold.noise.options(),
    }  # fmt: skip
    inputs = [artifact_input("dataset", plan.dataset)]
    with build(plan.folder / PACKS / fold.name, "pack", "pack", options=options, inputs=inputs) as builder:
        if builder.done is None:
            held = plan.held_out(fold)
            summary = FoldSummary(fold=fold.number, folds=config.folds, part="test", left_out=len(held.left_out))
            noisy = noisy_rows(held.rows, plan.dataset.manifest.emotions, fold.noise)
            with balanced_rows(plan.dataset, noisy, config, plan.constant, builder.folder, progress) as (
                rows,
                created,
            ):
                write_pack(
                    builder, plan.dataset, rows, size=size, color=color, allow_leaks=config.allow_leaks,
                    workers=config.workers, progress=progress, fold=summary, left_out=held.left_out, created=created,
                )  # fmt: skip
    return builder.artifact


def _predict(fold: Fold, pack: Artifact, run: Artifact, progress: Progress) -> None:
    """Predict the held-out images by the best checkpoint of the fold's run, as `fer evaluate` does."""
    info = open_pack(pack)
    faces, checkpoint = read_faces(info, "test"), load_checkpoint(run.path)
    columns = match_emotions(checkpoint, info)
    with progress.task("testing", len(faces.labels)):
        probabilities = predict_cached(
            checkpoint, faces.images, device=find_device(fold.device), advance=progress.advance
        )
    fold.file.parent.mkdir(exist_ok=True)
    with atomic_path(fold.file) as path, path.open("wb") as file:
        np.savez(
            file,
            labels=faces.labels.astype(np.int64),
            probabilities=probabilities[:, columns],
            counts=np.array([info.counts["train"], info.counts["validation"]], np.int64),
        )


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Compute with so many CPU threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _FoldProgress(Progress):
    """Names the fold in bars and lines; lines that are the same for all folds are logged for the first one only."""

    def __init__(self, progress: Progress, fold: Fold) -> None:
        self._progress, self._title = progress, fold.title
        self._first = fold.in_front and fold.repeat == fold.number == 1

    def log(self, message: str) -> None:
        """Log a line, except for those of each epoch and phase."""
        if message.startswith("resuming") or (self._first and not message.startswith(("epoch ", "phase "))):
            self._progress.log(f"{self._title}: {message}")

    def start(self, label: str, total: int | None = None) -> None:
        """Begin a task of this fold."""
        self._progress.start(f"{self._title}, {label}", total)

    def advance(self, count: int = 1, note: str = "") -> None:
        """Advance its task."""
        self._progress.advance(count, note)

    def stop(self) -> None:
        """End its task."""
        self._progress.stop()
