"""Train: a model on a pack's train split, its best epoch chosen on validation alone.

The test split is never opened here. A run that is interrupted goes on from its last whole epoch at the next identical
call, and on the CPU ends bit for bit as one that was not interrupted.
"""

from __future__ import annotations

import csv
import io
import math
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fercli.artifacts import Artifact, Input, artifact_input, input_of, open_artifact, write_text
from fercli.building import Job, build
from fercli.digests import digest_file, digest_json
from fercli.drawn import made_of_drawn
from fercli.errors import DataError, FerError, UsageError
from fercli.metrics.intervals import wilson_interval
from fercli.models.checkpoints import (
    TRAINING_DIGESTS,
    WEIGHTS,
    Card,
    read_state,
    save_checkpoint,
)
from fercli.models.devices import find_device, training_type, type_name
from fercli.models.preprocessing import Preprocessing
from fercli.models.registry import create_model, find_model
from fercli.models.starting import start, weights_digest, weights_file
from fercli.packs.file import PackInfo, open_pack, read_digests
from fercli.packs.loading import Faces, load_faces
from fercli.progress import SILENT, Progress
from fercli.report.figures import curves_figure
from fercli.stages.base import place, snapshot_name, take
from fercli.stages.train.config import TrainConfig
from fercli.stages.train.loop import Trainer, validate
from fercli.stages.train.selection import best_epoch, snapshot_due, stalled

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
        DataError: the pack is broken, or lacks a train or validation split.
        FerError: the loss became infinite, or the device is not there.
    """
    pack = take(config.pack, "pack", progress=progress)
    options = config.model_options()
    device = find_device(config.device)
    inputs = [artifact_input("pack", pack), *_weights_input(config)]
    out = place(config, config.out, pack.path, inputs, progress)
    with build(
        out,
        "run",
        config.stage,
        options=config.options(),
        inputs=inputs,
        seed=config.seed,
        overwrite=config.overwrite,
        resumable=True,
    ) as job:
        if job.done:
            return job.done
        info = open_pack(pack)
        for split in ("train", "validation"):
            if not info.counts.get(split):
                raise DataError(f"{pack.path}: the pack has no {split} split; train needs train and validation")
        if config.targets == "votes" and "train" not in info.voted:
            raise UsageError(
                f"targets: {pack.path} has no votes; import with --votes soft, or train on its --targets labels"
            )
        trainer, validation, loaded = _prepare(config, options, info, device, progress)
        if (job.folder / _STATE).is_file():
            trainer.restore(job.folder / _STATE)
            progress.log(f"going on after epoch {trainer.epoch} of {trainer.total}")
        _run(trainer, validation, job, info, options, progress)
        _finish(job, trainer, validation, info, pack, loaded)
    return job.artifact


def _weights_input(config: TrainConfig) -> list[Input]:
    """Return what `weights` names as an input, by digest."""
    if config.weights is None:
        return []
    if config.weights == "imagenet":
        return [input_of("weights", Path("imagenet"), "hub", "imagenet")]
    file = weights_file(config.weights)
    return [input_of("weights", file, "weights", weights_digest(file))]


def _prepare(
    config: TrainConfig, options: dict[str, str], info: PackInfo, device: torch.device, progress: Progress
) -> tuple[Trainer, Faces, dict[str, Any]]:
    """Build the model, load weights and data."""
    torch.manual_seed(config.seed)
    spec = find_model(config.model)
    model = create_model(config.model, len(info.emotions), **options)
    loaded: dict[str, Any] = {}
    if config.weights is not None:
        order = config.weights_emotions.split(",") if config.weights_emotions else None
        taken = start(model, spec, config.weights, info.emotions, options, order)
        progress.log(str(taken))
        said = {name: value for name, value in asdict(taken).items() if value != ""}
        loaded = said | {"loaded": len(taken.loaded)}
    elif "backbone" in config.frozen:
        progress.log(
            "the backbone stays as it was drawn at random; give --weights "
            f"{'imagenet' if spec.imagenet else 'FILE'}, or train it too: --freeze none"
        )
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")  # TF32 where float32 is computed
    dtype = training_type(config.precision, device)
    faces = load_faces(info, "train", device, votes=config.targets != "labels")
    preprocessing = Preprocessing.of(spec, config.input_size, reduced=config.reduced)
    trainer = Trainer(config, model, preprocessing, faces, len(info.emotions), device, dtype)
    parameters = sum(p.numel() for p in model.parameters())
    progress.log(
        f"{config.model}, {parameters:,} parameters, on {len(faces):,} faces; {device}, "
        f"{type_name(dtype)}, faces {'in memory' if faces.resident else 'from the file'}"
    )
    if faces.votes is not None:
        several = int(((faces.votes > 0).sum(1) > 1).sum())
        progress.log(
            f"targets: votes, {several:,} of {len(faces):,} faces with several emotions; training accuracy is by the "
            "strongest, validation by label"
        )
    return trainer, load_faces(info, "validation", device), loaded


def _run(
    trainer: Trainer, validation: Faces, job: Job, info: PackInfo, options: dict[str, str], progress: Progress
) -> None:
    """Train stage by stage, epoch by epoch; keep the best, the snapshots, the figures and the state to go on from."""
    for stage in range(trainer.stage, len(trainer.plan)):
        if stage > trainer.stage:
            best = best_epoch(trainer.history, trainer.config.select)
            trainer.enter(stage, read_state(job.folder / "best" / WEIGHTS))
            trainer.save(job.folder / _STATE)  # the best may be another one by the time it is needed again
            progress.log(
                f"stage {stage + 1} of {len(trainer.plan)}, from epoch {best}: {trainer.config.then[stage - 1]}"
            )
        progress.start("training", trainer.total * len(trainer.faces))
        progress.advance(trainer.epoch * len(trainer.faces), _note(trainer))
        while trainer.epoch < trainer.ends and not stalled(trainer):
            _epoch(trainer, validation, job, info, options, progress)
            progress.log(_line(trainer))
            progress.advance(0, _note(trainer))
    progress.stop()
    _save(trainer, job, "last", info, options, "last epoch")


def _epoch(
    trainer: Trainer, validation: Faces, job: Job, info: PackInfo, options: dict[str, str], progress: Progress
) -> None:
    """Train one epoch, judge it, and keep what is to be kept of it."""
    config = trainer.config
    figures = trainer.train_epoch(progress.advance)
    judged = validate(trainer.judged, validation, trainer.preprocessing, trainer.emotions)
    if not math.isfinite(judged["validation_loss"]):
        raise FerError(f"the validation loss is not finite after epoch {trainer.epoch}; lower --lr")
    trainer.history.append({**figures, **judged})
    trainer.rate.epoch(judged["validation_loss"])
    if best_epoch(trainer.history, config.select) == trainer.epoch:
        _save(trainer, job, "best", info, options, f"best of the epochs by validation {config.select}")
    if snapshot_due(trainer):
        how = "snapshot at the end of a cycle" if config.snapshots_by_cycle else "snapshot at a set epoch"
        _save(trainer, job, snapshot_name(trainer.epoch), info, options, how)
    trainer.save(job.folder / _STATE)


def _note(trainer: Trainer) -> str:
    return f"epoch {min(trainer.epoch + 1, trainer.total)}/{trainer.total}"


def _line(trainer: Trainer) -> str:
    """Return an epoch's figures as a line of the log."""
    last = trainer.history[-1]
    best = trainer.history[best_epoch(trainer.history, trainer.config.select) - 1]
    left = round((trainer.total - trainer.epoch) * len(trainer.faces) / last["images_per_second"])
    return (
        f"epoch {trainer.epoch}/{trainer.total}: loss {last['train_loss']:.3f}, "
        f"validation {last['validation_accuracy']:.2%} (best {best['validation_accuracy']:.2%}), "
        f"{last['images_per_second']:,.0f} images/s, {left // 60}:{left % 60:02d} left"
    )


def _save(trainer: Trainer, job: Job, name: str, info: PackInfo, options: dict[str, str], how: str) -> None:
    figures = trainer.history[-1]
    card = Card(
        architecture=trainer.config.model,
        options=options,
        emotions=list(info.emotions),
        preprocessing=trainer.preprocessing,
        face_size=info.size,
        face_color=info.color,
        gradcam=find_model(trainer.config.model).gradcam,
        training_data=info.digest,
        epoch=trainer.epoch,
        selection=how,
        validation={name: value for name, value in figures.items() if name.startswith("validation_")},
        drawn_faces=made_of_drawn(open_artifact(info.file.parent)),
    )
    save_checkpoint(job.folder / name, trainer.judged.state_dict(), card, "train", job.manifest.inputs)


def _finish(
    job: Job, trainer: Trainer, validation: Faces, info: PackInfo, pack: Artifact, loaded: dict[str, Any]
) -> None:
    """Write what stands beside the checkpoints, and the manifest's fields."""
    config, history = trainer.config, trainer.history
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    write_text(job.folder / "metrics.csv", table.getvalue())
    best = best_epoch(history, config.select)
    (job.folder / "curves.png").write_bytes(curves_figure({c: [row[c] for row in history] for c in COLUMNS}, best))
    write_text(job.folder / "config.json", config.as_json("out", "overwrite") + "\n")
    np.save(job.folder / TRAINING_DIGESTS, read_digests(info, "train"), allow_pickle=False)
    snapshots = [name for name in map(snapshot_name, range(1, trainer.epoch + 1)) if (job.folder / name).is_dir()]
    figures, n = history[best - 1], len(validation)
    correct = round(figures["validation_accuracy"] * n)
    job.finish(
        digest=digest_json([digest_file(job.folder / part / WEIGHTS) for part in ("best", "last", *snapshots)]),
        emotions=list(info.emotions),
        counts={split: by for split, by in pack.manifest.counts.items() if split in ("train", "validation")},
        device=str(trainer.device),
        summary={
            "model": config.model,
            "parameters": sum(p.numel() for p in trainer.model.parameters()),
            "epochs": trainer.epoch,
            "best_epoch": best,
            "selection": f"best of {trainer.epoch} epochs by validation {config.select}",
            "validation": {
                "n": n,
                "accuracy": figures["validation_accuracy"],
                "accuracy_interval": list(wilson_interval(correct, n)),
                "macro_f1": figures["validation_macro_f1"],
                "averaged_over": len(set(validation.labels.tolist())),
                "loss": figures["validation_loss"],
            },
            "images_per_second": trainer.epoch * len(trainer.faces) / trainer.seconds,
            "seconds": trainer.seconds,
            "precision": type_name(trainer.dtype),
            "targets": "labels" if trainer.faces.votes is None else "votes",
            "weights": loaded,
            "snapshots": snapshots,
        },
    )
    shutil.rmtree(job.folder / "resume", ignore_errors=True)
