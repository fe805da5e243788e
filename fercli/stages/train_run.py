"""A run: a model trained on a pack's train split, whose best epoch is selected on validation alone.

The test split is never opened here. Repeating the same call resumes an interrupted run from its last complete epoch;
on the CPU the result is bit-identical to that of an uninterrupted run.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fercli.artifacts import Artifact, Input, artifact_input, input_of, open_artifact, write_text
from fercli.artifacts.building import ArtifactBuilder, build
from fercli.artifacts.digests import digest_file, digest_json
from fercli.artifacts.synthetic import is_synthetic
from fercli.artifacts.tables import write_csv
from fercli.datasets.label_noise import LabelNoise
from fercli.errors import DataError, DivergedError, UsageError
from fercli.metrics.intervals import wilson_interval
from fercli.models.checkpoints import TRAINING_DIGESTS, WEIGHTS, CheckpointMetadata, save_checkpoint
from fercli.models.devices import find_device, type_name
from fercli.models.pretrained import weights_file, weights_input
from fercli.models.registry import find_model
from fercli.models.spec import Options
from fercli.models.state_dicts import read_state
from fercli.packs.file import PackInfo, read_digests
from fercli.packs.halves import first_half
from fercli.packs.loading import PackDataset
from fercli.packs.opening import open_pack
from fercli.progress import SILENT, Progress
from fercli.report.plots import curves_plot
from fercli.runs import RunSummary, ValidationMetrics, snapshot_name
from fercli.stages.train_options import TrainOptions
from fercli.stages.train_setup import create_trainer
from fercli.training.loop import Trainer, validate
from fercli.training.selection import best_epoch, snapshot_due, stalled

COLUMNS = (
    "epoch",
    "train_loss",
    "train_accuracy",
    "train_macro_f1",
    "validation_loss",
    "validation_accuracy",
    "validation_macro_f1",
    "learning_rate",
    "images_per_second",
)
HALF = "first half"
_STATE = Path("resume") / "state.pt"


def train_run(
    config: TrainOptions,
    pack: Artifact,
    out: Path,
    inputs: list[Input],
    *,
    overwrite: bool = False,
    half: bool = False,
    noise: LabelNoise | None = None,
    progress: Progress = SILENT,
    before_training: Callable[[Path], None] | None = None,
    after_epoch: Callable[[Mapping[str, float]], None] | None = None,
) -> Artifact:
    """Train a model and write its run.

    Args:
        config: The options.
        pack: The pack.
        out: Output path of the run.
        inputs: Its inputs, from `run_inputs`.
        overwrite: Replace a different artifact at `out`.
        half: Validate on one half of the validation split (`fercli.packs.halves`), which is recorded as an option.
        noise: Swap labels of the train split, which is recorded as options.
        progress: Progress callback.
        before_training: Called with the run's partial folder, once everything is loaded; not if the run is complete.
        after_epoch: Called with the metrics of each epoch once it is saved, when resuming also with those of earlier
            calls. What it raises interrupts the training; the same call resumes it.

    Raises:
        UsageError: there is no such model or option, or the pack has no votes to train on.
        DataError: the pack is broken, or has no train or validation split.
        DivergedError: the loss is not finite.
        FerError: there is no such device.
    """
    options = config.model_options()
    device = find_device(config.device)
    with build(
        out,
        "run",
        "train",
        options=config.options() | ({"validation": HALF} if half else {}) | (noise.options() if noise else {}),
        inputs=inputs,
        seed=config.seed,
        overwrite=overwrite,
        resumable=True,
    ) as builder:
        if builder.done:
            return builder.done
        info = open_pack(pack)
        for split in ("train", "validation"):
            if not info.counts.get(split):
                raise DataError(f"{pack.path}: the pack has no {split} split; train needs train and validation")
        if config.targets == "votes" and "train" not in info.splits_with_votes:
            raise UsageError(
                f"targets: {pack.path} has no votes; import it with votes soft, or train with targets labels"
            )
        trainer, validation, loaded = create_trainer(config, options, info, device, progress, noise)
        if half:
            validation = validation.subset(first_half(validation.labels.numpy(), read_digests(info, "validation")))
        if (builder.folder / _STATE).is_file():
            trainer.restore(builder.folder / _STATE)
            progress.log(f"resuming from epoch {trainer.epoch}/{trainer.total_epochs}")
        if before_training is not None:
            before_training(builder.folder)
        training = _Training(config, trainer, validation, builder, info, options, progress, after_epoch)
        training.run()
        training.finish(pack, loaded)
    return builder.artifact


def run_inputs(config: TrainOptions, pack: Artifact) -> list[Input]:
    """Return the inputs of a run, by digest: its pack, and pretrained weights.

    Raises:
        UsageError: there is no such model, or a phase freezes a backbone that it does not have.
        DataError: there are no such weights.
    """
    try:
        config.check_backbone(find_model(config.model))
    except ValueError as error:
        raise UsageError(f"{config.stage}: {error}") from error
    inputs = [artifact_input("pack", pack)]
    if config.weights == "imagenet":
        return [*inputs, input_of("weights", Path("imagenet"), "hub", "imagenet")]
    return inputs if config.weights is None else [*inputs, weights_input(weights_file(config.weights))]


@dataclass
class _Training:
    """One call of train: the trainer, the validation split, and the run that the checkpoints are written to."""

    config: TrainOptions
    trainer: Trainer
    validation: PackDataset
    builder: ArtifactBuilder
    info: PackInfo
    options: Options
    progress: Progress
    after_epoch: Callable[[Mapping[str, float]], None] | None = None

    def run(self) -> None:
        """Train phase by phase; save the best epoch, the snapshots, and the state to resume from."""
        for metrics in self.trainer.history:
            self._report(metrics)
        for phase in range(self.trainer.phase, len(self.trainer.phases)):
            if phase > self.trainer.phase:
                best = best_epoch(self.trainer.history, self.config.select)
                self.trainer.enter(phase, read_state(self.builder.folder / "best" / WEIGHTS))
                # Save now: when resuming, another epoch may be the best.
                self.trainer.save(self.builder.folder / _STATE)
                self.progress.log(
                    f"phase {phase + 1}/{len(self.trainer.phases)}, from epoch {best}: {self.config.phase[phase - 1]}"
                )
            with self.progress.task("training", self.trainer.total_epochs * len(self.trainer.faces)):
                self.progress.advance(self.trainer.epoch * len(self.trainer.faces), self._progress_note())
                while self.trainer.epoch < self.trainer.phase_end and not stalled(self.trainer, self.config.select):
                    self._epoch()
                    self.progress.log(self._epoch_line())
                    self.progress.advance(0, self._progress_note())
                    self._report(self.trainer.history[-1])
        self._save("last", "last epoch")

    def _epoch(self) -> None:
        """Train one epoch, validate it, and save its checkpoints and the state."""
        metrics = self.trainer.train_epoch(self.progress.advance)
        validation = validate(
            self.trainer.eval_model, self.validation, self.trainer.preprocessing, self.trainer.emotions
        )
        if not math.isfinite(validation["validation_loss"]):
            raise DivergedError(f"the validation loss is not finite after epoch {self.trainer.epoch}; lower lr")
        self.trainer.history.append({**metrics, **validation})
        self.trainer.lr_schedule.epoch(validation["validation_loss"])
        if best_epoch(self.trainer.history, self.config.select) == self.trainer.epoch:
            self._save("best", f"best of the epochs by validation {self.config.select}")
        if snapshot_due(self.trainer, self.config.snapshots):
            by_cycle = self.config.snapshots == "cycles"
            selection = "snapshot at the end of a cycle" if by_cycle else "snapshot at a set epoch"
            self._save(snapshot_name(self.trainer.epoch), selection)
        self.trainer.save(self.builder.folder / _STATE)

    def _report(self, metrics: Mapping[str, float]) -> None:
        if self.after_epoch is not None:
            self.after_epoch(metrics)

    def _progress_note(self) -> str:
        return f"epoch {min(self.trainer.epoch + 1, self.trainer.total_epochs)}/{self.trainer.total_epochs}"

    def _epoch_line(self) -> str:
        """Return the metrics of the last epoch as a log line."""
        last = self.trainer.history[-1]
        best = self.trainer.history[best_epoch(self.trainer.history, self.config.select) - 1]
        left = round(
            (self.trainer.total_epochs - self.trainer.epoch) * len(self.trainer.faces) / last["images_per_second"]
        )
        return (
            f"epoch {self.trainer.epoch}/{self.trainer.total_epochs}: loss {last['train_loss']:.3f}, "
            f"validation {last['validation_accuracy']:.2%} (best {best['validation_accuracy']:.2%}), "
            f"{last['images_per_second']:,.0f} images/s, {left // 60}:{left % 60:02d} left"
        )

    def _save(self, name: str, selection: str) -> None:
        metrics = self.trainer.history[-1]
        metadata = CheckpointMetadata(
            architecture=self.config.model,
            options=self.options,
            emotions=list(self.info.emotions),
            preprocessing=self.trainer.preprocessing,
            face_size=self.info.size,
            face_color=self.info.color,
            gradcam=find_model(self.config.model).gradcam,
            training_data=self.info.digest,
            epoch=self.trainer.epoch,
            selection=selection,
            validation={name: value for name, value in metrics.items() if name.startswith("validation_")},
            drawn_faces=is_synthetic(open_artifact(self.info.file.parent)),
            temperature=metrics.get("temperature", 1.0),
        )
        save_checkpoint(
            self.builder.folder / name,
            self.trainer.eval_model.state_dict(),
            metadata,
            "train",
            self.builder.manifest.inputs,
        )

    @property
    def _on_half(self) -> str:
        return f", {HALF} of the split" if "validation" in self.builder.manifest.options else ""

    def finish(self, pack: Artifact, loaded: dict[str, Any]) -> None:
        """Write the files next to the checkpoints, and finish the artifact."""
        history = self.trainer.history
        write_csv(self.builder.folder / "metrics.csv", COLUMNS, (map(row.__getitem__, COLUMNS) for row in history))
        best = best_epoch(history, self.config.select)
        (self.builder.folder / "curves.png").write_bytes(
            curves_plot({c: [row[c] for row in history] for c in COLUMNS}, best)
        )
        write_text(self.builder.folder / "config.json", self.config.as_json("out", "overwrite", "track") + "\n")
        np.save(self.builder.folder / TRAINING_DIGESTS, read_digests(self.info, "train"), allow_pickle=False)
        snapshots = [
            name
            for name in map(snapshot_name, range(1, self.trainer.epoch + 1))
            if (self.builder.folder / name).is_dir()
        ]
        metrics, n = history[best - 1], len(self.validation)
        correct = round(metrics["validation_accuracy"] * n)
        self.builder.finish(
            digest=digest_json(
                [digest_file(self.builder.folder / part / WEIGHTS) for part in ("best", "last", *snapshots)]
            ),
            emotions=list(self.info.emotions),
            counts={split: by for split, by in pack.manifest.counts.items() if split in ("train", "validation")},
            device=str(self.trainer.device),
            summary=RunSummary(
                model=self.config.model,
                parameters=sum(p.numel() for p in self.trainer.model.parameters()),
                epochs=self.trainer.epoch,
                best_epoch=best,
                selection=(
                    f"best of {self.trainer.epoch} epoch{'s' if self.trainer.epoch > 1 else ''} "
                    f"by validation {self.config.select}{self._on_half}"
                ),
                validation=ValidationMetrics(
                    n=n,
                    accuracy=metrics["validation_accuracy"],
                    accuracy_interval=list(wilson_interval(correct, n)),
                    macro_f1=metrics["validation_macro_f1"],
                    averaged_over=len(set(self.validation.labels.tolist())),
                    loss=metrics["validation_loss"],
                ),
                images_per_second=self.trainer.epoch * len(self.trainer.faces) / self.trainer.seconds,
                seconds=self.trainer.seconds,
                precision=type_name(self.trainer.dtype),
                targets="labels" if self.trainer.faces.votes is None else "votes",
                weights=loaded,
                snapshots=snapshots,
            ),
        )
        shutil.rmtree(self.builder.folder / "resume", ignore_errors=True)
