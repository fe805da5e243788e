"""The epochs of a run: training, validating, and writing its checkpoints and files."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fercli.artifacts import Artifact, Manifest, open_artifact, write_text
from fercli.artifacts.digests import digest_file, digest_json
from fercli.artifacts.synthetic import is_synthetic
from fercli.artifacts.tables import write_csv
from fercli.datasets.label_noise import LabelNoise
from fercli.distributed.batch_norm import has_batch_norm
from fercli.distributed.group import ALONE, Group
from fercli.errors import DataError, DeviceMemoryError, DivergedError, UsageError
from fercli.metrics.intervals import wilson_interval
from fercli.models.checkpoints import TRAINING_DIGESTS, WEIGHTS, CheckpointMetadata, add_tensors, save_checkpoint
from fercli.models.devices import describe_device, find_device, type_name
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
from fercli.stages.train_setup import Setup, create_trainer
from fercli.training.loop import Trainer
from fercli.training.selection import best_epoch, snapshot_due, stalled
from fercli.training.state import read_training_state, save_training_state
from fercli.training.validation import AFFECT_METRICS, affect_summary, validate

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
RESUME = "resume"
"""Folder of the state from which an interrupted training resumes; removed once the run is complete."""
_STATE = Path(RESUME) / "state.pt"


def train_epochs(
    config: TrainOptions,
    pack: Artifact,
    folder: Path,
    manifest: Manifest,
    *,
    half: bool = False,
    noise: LabelNoise | None = None,
    progress: Progress = SILENT,
    before_training: Callable[[Path], None] | None = None,
    after_epoch: Callable[[Mapping[str, float]], None] | None = None,
    group: Group = ALONE,
    device: torch.device | None = None,
) -> dict[str, Any]:
    """Train a model into the partial folder of its run; return what `ArtifactBuilder.finish` takes.

    Args:
        config: The options.
        pack: The pack.
        folder: The run's partial folder, with the state to resume from if there is one. The leader alone uses it.
        manifest: The run's manifest so far.
        half: See `train_run`.
        noise: See `train_run`.
        progress: Progress callback.
        before_training: See `train_run`.
        after_epoch: See `train_run`.
        group: The processes of the training.
        device: Device of this process; None: as the options say.

    Raises:
        FerError: as `train_run`.
    """
    options = config.model_options()
    info = open_pack(pack)
    for split in ("train", "validation"):
        if not info.counts.get(split):
            raise DataError(f"{pack.path}: the pack has no {split} split; train needs train and validation")
    if config.targets == "votes" and "train" not in info.splits_with_votes:
        raise UsageError(f"targets: {pack.path} has no votes; import it with votes soft, or train with targets labels")
    device = device or find_device(config.device)
    setup = create_trainer(config, options, info, device, progress, noise, group)
    trainer, validation = setup.trainer, setup.validation
    if half:
        validation = validation.subset(first_half(validation.labels.numpy(), read_digests(info, "validation")))
    if state := read_training_state(folder / _STATE, device, group):
        trainer.restore(state)
        trainer.faces = trainer.faces.with_window(state.get("window"))  # the order of all epochs, whatever is free now
        progress.log(f"resuming from epoch {trainer.epoch}/{trainer.total_epochs}")
    if before_training is not None:
        before_training(folder)
    epochs = _Epochs(config, trainer, validation, folder, manifest, info, options, progress, after_epoch)
    epochs.run()
    return epochs.finish(pack, setup) if group.leads else {}


@dataclass
class _Epochs:
    """The epochs of a call of train: the trainer, the validation split, and where the checkpoints are written."""

    config: TrainOptions
    trainer: Trainer
    validation: PackDataset
    folder: Path
    manifest: Manifest
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
                # The other devices get the leader's weights.
                weights = read_state(self.folder / "best" / WEIGHTS) if self.trainer.group.leads else None
                self.trainer.enter(phase, weights)
                # Save now: when resuming, another epoch may be the best.
                self._save_state()
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
        try:
            metrics = self.trainer.train_epoch(self.progress.advance)
        except torch.OutOfMemoryError as error:
            trainer = self.trainer
            raise DeviceMemoryError(
                f"the memory of {trainer.device} does not hold a batch of {trainer.settings.batch_size}; process it in "
                f"parts with accumulate {2 * trainer.accumulate}, or lower batch-size"
            ) from error
        validation = validate(
            self.trainer.eval_model,
            self.validation,
            self.trainer.preprocessing,
            self.trainer.emotions,
            self.trainer.group,
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
        self._save_state()

    def _save_state(self) -> None:
        if self.trainer.group.leads:
            window = self.trainer.faces.window
            state = self.trainer.state() | {"window": window and (window.faces, window.block)}
            save_training_state(state, self.folder / _STATE)

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
        if not self.trainer.group.leads:
            return
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
            affect=self.trainer.affect is not None,
        )
        save_checkpoint(
            self.folder / name,
            self.trainer.eval_model.state_dict(),
            metadata,
            "train",
            self.manifest.inputs,
        )

    @property
    def _on_half(self) -> str:
        return f", {HALF} of the split" if "validation" in self.manifest.options else ""

    def finish(self, pack: Artifact, setup: Setup) -> dict[str, Any]:
        """Write the files next to the checkpoints; return the remaining fields of the manifest."""
        history = self.trainer.history
        columns = COLUMNS if self.trainer.affect is None else (*COLUMNS, *AFFECT_METRICS)
        write_csv(self.folder / "metrics.csv", columns, (map(row.__getitem__, columns) for row in history))
        best = best_epoch(history, self.config.select)
        (self.folder / "curves.png").write_bytes(curves_plot({c: [row[c] for row in history] for c in COLUMNS}, best))
        write_text(self.folder / "config.json", self.config.as_json("out", "overwrite", "track") + "\n")
        np.save(self.folder / TRAINING_DIGESTS, read_digests(self.info, "train"), allow_pickle=False)
        snapshots = [
            name for name in map(snapshot_name, range(1, self.trainer.epoch + 1)) if (self.folder / name).is_dir()
        ]
        for name in ("best", "last", *snapshots):
            add_tensors(self.folder / name, setup.frozen, "train", self.manifest.inputs)
        metrics, n = history[best - 1], len(self.validation)
        correct = round(metrics["validation_accuracy"] * n)
        return {
            "digest": digest_json([digest_file(self.folder / part / WEIGHTS) for part in ("best", "last", *snapshots)]),
            "emotions": list(self.info.emotions),
            "counts": {split: by for split, by in pack.manifest.counts.items() if split in ("train", "validation")},
            "device": describe_device(self.trainer.device, self.trainer.group.size),
            "summary": RunSummary(
                model=self.config.model,
                parameters=setup.parameters,
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
                    **affect_summary(metrics, self.validation),
                ),
                images_per_second=self.trainer.epoch * len(self.trainer.faces) / self.trainer.seconds,
                seconds=self.trainer.seconds,
                precision=type_name(self.trainer.dtype),
                targets="labels" if self.trainer.faces.votes is None else "votes",
                weights=setup.loaded,
                snapshots=snapshots,
                **self._devices(),
            ),
        }

    def _devices(self) -> dict[str, Any]:
        """Return what a run on several devices, or with accumulated gradients, reports beyond others."""
        trainer = self.trainer
        if trainer.division.parts == 1:
            return {}
        synchronised = trainer.sync_batch_norm and trainer.accumulate == 1
        norms = {"batch_norm": "whole batch" if synchronised else "parts"} if has_batch_norm(trainer.model) else {}
        return {"devices": trainer.group.size, "accumulate": trainer.accumulate, **norms}
