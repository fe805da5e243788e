"""Train: train a model on a pack's train split and select its best epoch on validation alone.

The test split is never opened here. Repeating the same call resumes an interrupted run from its last complete epoch;
on the CPU the result is bit-identical to that of an uninterrupted run.
"""

from __future__ import annotations

import math
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fercli.artifacts import Artifact, Input, artifact_input, input_of, open_artifact, write_text
from fercli.artifacts.building import ArtifactBuilder, build
from fercli.artifacts.digests import digest_file, digest_json
from fercli.artifacts.synthetic import is_synthetic
from fercli.artifacts.tables import write_csv
from fercli.errors import DataError, FerError, UsageError
from fercli.metrics.intervals import wilson_interval
from fercli.models.checkpoints import (
    TRAINING_DIGESTS,
    WEIGHTS,
    CheckpointMetadata,
    save_checkpoint,
)
from fercli.models.devices import find_device, training_type, type_name
from fercli.models.preprocessing import Preprocessing
from fercli.models.pretrained import load_pretrained, weights_file, weights_input
from fercli.models.registry import create_model, find_model
from fercli.models.spec import Options
from fercli.models.state_dicts import read_state
from fercli.packs.file import PackInfo, read_digests
from fercli.packs.loading import PackDataset, load_pack
from fercli.packs.opening import open_pack
from fercli.progress import SILENT, Progress
from fercli.report.plots import curves_plot
from fercli.runs import RunSummary, ValidationMetrics, snapshot_name
from fercli.stages.base import resolve_input, resolve_output
from fercli.stages.train.config import TrainConfig
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
_STATE = Path("resume") / "state.pt"


def train(config: TrainConfig, progress: Progress = SILENT) -> Artifact:
    """Train a model and write its run.

    Raises:
        UsageError: there is no such model or option, or the pack has no votes to train on.
        DataError: the pack is broken, or has no train or validation split.
        FerError: the loss is not finite, or there is no such device.
    """
    pack = resolve_input(config.pack, "pack", progress=progress)
    options = config.model_options()
    try:
        config.check_backbone(find_model(config.model))
    except ValueError as error:
        raise UsageError(f"{config.stage}: {error}") from error
    device = find_device(config.device)
    inputs = [artifact_input("pack", pack), *_weights_input(config)]
    out = resolve_output(config, config.out, pack.path, inputs, progress)
    with build(
        out,
        "run",
        config.stage,
        options=config.options(),
        inputs=inputs,
        seed=config.seed,
        overwrite=config.overwrite,
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
        trainer, validation, loaded = _prepare(config, options, info, device, progress)
        if (builder.folder / _STATE).is_file():
            trainer.restore(builder.folder / _STATE)
            progress.log(f"resuming from epoch {trainer.epoch}/{trainer.total_epochs}")
        training = _Training(config, trainer, validation, builder, info, options, progress)
        training.run()
        training.finish(pack, loaded)
    return builder.artifact


def _weights_input(config: TrainConfig) -> list[Input]:
    """Return the pretrained weights as an input, by digest."""
    if config.weights is None:
        return []
    if config.weights == "imagenet":
        return [input_of("weights", Path("imagenet"), "hub", "imagenet")]
    return [weights_input(weights_file(config.weights))]


def _prepare(
    config: TrainConfig, options: Options, info: PackInfo, device: torch.device, progress: Progress
) -> tuple[Trainer, PackDataset, dict[str, Any]]:
    """Build the model and the trainer, and load weights and data."""
    torch.manual_seed(config.seed)
    spec = find_model(config.model)
    model = create_model(config.model, len(info.emotions), **options)
    loaded: dict[str, Any] = {}
    if config.weights is not None:
        order = config.weights_emotions.split(",") if config.weights_emotions else None
        report = load_pretrained(model, spec, config.weights, info.emotions, options, order)
        progress.log(str(report))
        loaded = {name: value for name, value in asdict(report).items() if value != ""} | {"loaded": len(report.loaded)}
    elif "backbone" in config.freeze:
        progress.log(
            "the frozen backbone is randomly initialised; load pretrained weights (--weights "
            f"{'imagenet' if spec.imagenet else 'FILE'}) or train it too (--freeze none)"
        )
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")  # TF32 where float32 is computed
    dtype = training_type(config.precision, device)
    faces = load_pack(info, "train", device, votes=config.targets != "labels")
    preprocessing = Preprocessing.of(spec, config.input_size, reduced=config.reduced)
    trainer = Trainer(
        config.phases, model, preprocessing, faces, len(info.emotions), device, dtype,
        seed=config.seed, compile=config.compile, backbone=spec.backbone,
    )  # fmt: skip
    parameters = sum(p.numel() for p in model.parameters())
    progress.log(
        f"{config.model}, {parameters:,} parameters, on {len(faces):,} faces; {device}, "
        f"{type_name(dtype)}, faces {'in memory' if faces.resident else 'streamed from the file'}"
    )
    if faces.votes is not None:
        ambiguous = int(((faces.votes > 0).sum(1) > 1).sum())
        progress.log(
            f"targets: votes, {ambiguous:,} of {len(faces):,} faces with several emotions; training accuracy "
            "counts the strongest, validation the label"
        )
    return trainer, load_pack(info, "validation", device), loaded


@dataclass
class _Training:
    """One call of train: the trainer, the validation split, and the run that the checkpoints are written to."""

    config: TrainConfig
    trainer: Trainer
    validation: PackDataset
    builder: ArtifactBuilder
    info: PackInfo
    options: Options
    progress: Progress

    def run(self) -> None:
        """Train phase by phase; save the best epoch, the snapshots, and the state to resume from."""
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
        self._save("last", "last epoch")

    def _epoch(self) -> None:
        """Train one epoch, validate it, and save its checkpoints and the state."""
        metrics = self.trainer.train_epoch(self.progress.advance)
        validation = validate(
            self.trainer.eval_model, self.validation, self.trainer.preprocessing, self.trainer.emotions
        )
        if not math.isfinite(validation["validation_loss"]):
            raise FerError(f"the validation loss is not finite after epoch {self.trainer.epoch}; lower lr")
        self.trainer.history.append({**metrics, **validation})
        self.trainer.lr_schedule.epoch(validation["validation_loss"])
        if best_epoch(self.trainer.history, self.config.select) == self.trainer.epoch:
            self._save("best", f"best of the epochs by validation {self.config.select}")
        if snapshot_due(self.trainer, self.config.snapshots):
            by_cycle = self.config.snapshots == "cycles"
            selection = "snapshot at the end of a cycle" if by_cycle else "snapshot at a set epoch"
            self._save(snapshot_name(self.trainer.epoch), selection)
        self.trainer.save(self.builder.folder / _STATE)

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

    def finish(self, pack: Artifact, loaded: dict[str, Any]) -> None:
        """Write the files next to the checkpoints, and finish the artifact."""
        history = self.trainer.history
        write_csv(self.builder.folder / "metrics.csv", COLUMNS, (map(row.__getitem__, COLUMNS) for row in history))
        best = best_epoch(history, self.config.select)
        (self.builder.folder / "curves.png").write_bytes(
            curves_plot({c: [row[c] for row in history] for c in COLUMNS}, best)
        )
        write_text(self.builder.folder / "config.json", self.config.as_json("out", "overwrite") + "\n")
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
                    f"by validation {self.config.select}"
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
