"""Evaluate: predict a split, and write figures, predictions, pictures and a page."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from fercli.artifacts import Artifact, artifact_input, input_of, open_artifact, write_text
from fercli.building import build
from fercli.digests import digest_file
from fercli.errors import DataError
from fercli.lineage import ancestors
from fercli.metrics.confusion import confusion_matrix, figures
from fercli.metrics.curves import roc_auc
from fercli.metrics.intervals import wilson_interval
from fercli.models.checkpoints import TRAINING_DIGESTS, Checkpoint, load_checkpoint
from fercli.models.devices import find_device
from fercli.models.inference import predict
from fercli.packs.file import PackInfo, PackSplit, open_pack, read_split
from fercli.progress import SILENT, Progress
from fercli.stages.base import place, take
from fercli.stages.evaluate.config import EvaluateConfig
from fercli.stages.evaluate.page import write_page

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]


def evaluate(config: EvaluateConfig, progress: Progress = SILENT) -> Artifact:
    """Evaluate a checkpoint on a split.

    Raises:
        DataError: checkpoint or pack is broken, their emotions differ, the pack has no such split, or `without_leaks`
            is wanted of a checkpoint that is not in its run.
    """
    given = config.checkpoint or take(None, "run", "checkpoint", progress=progress).path
    checkpoint = load_checkpoint(given)
    pack = _pack(config, checkpoint, progress)
    device = find_device(config.device)
    inputs = [
        input_of("checkpoint", checkpoint.path, "checkpoint", checkpoint.digest),
        artifact_input("pack", pack),
    ]
    out = place(config, config.out, _named(checkpoint), inputs, progress)
    with build(
        out, "evaluation", config.stage, options=config.options(), inputs=inputs, overwrite=config.overwrite
    ) as job:
        if job.done:
            return job.done
        info = open_pack(pack)
        labels_of = match_emotions(checkpoint, info)
        trained_on = _trained_on(checkpoint) if config.without_leaks else None
        faces = read_split(info, config.split)
        if not len(faces.labels):
            raise DataError(f"{pack.path}: the {config.split} split is empty")
        progress.start("evaluate", len(faces.labels))
        probabilities = predict(
            checkpoint.model,
            _channels_first(faces),
            checkpoint.card.preprocessing,
            device=device,
            tta=config.tta,
            batch_size=config.batch_size,
            advance=progress.advance,
        ).numpy()
        progress.stop()
        if not np.isfinite(probabilities).all():
            raise DataError(f"{checkpoint.path}: its weights give probabilities that are no numbers; train it anew")
        labels = labels_of[faces.labels]
        summary = summarise(config, checkpoint, labels, probabilities, faces, trained_on)
        write_text(job.folder / "metrics.json", json.dumps(summary, indent=1) + "\n")
        _write_predictions(job.folder / "predictions.csv", faces.paths, labels, probabilities, checkpoint.card.emotions)
        write_page(job, checkpoint, pack, faces, labels, probabilities, summary, str(device))
        emotions = checkpoint.card.emotions
        support = {emotion: summary["per_class"][emotion]["support"] for emotion in emotions}
        job.finish(
            digest=digest_file(job.folder / "predictions.csv"),
            emotions=emotions,
            counts={config.split: support},
            summary=summary,
            device=str(device),
        )
    return job.artifact


def _named(checkpoint: Checkpoint) -> Path:
    """Return the path that lends the evaluation its name: a run's, where the checkpoint stands in one."""
    return checkpoint.path.parent if checkpoint.path.name in ("best", "last") else checkpoint.path


def _pack(config: EvaluateConfig, checkpoint: Checkpoint, progress: Progress) -> Artifact:
    """Return the pack: the one given, else the one the checkpoint's run was trained on, else the newest."""
    if config.pack is None and (checkpoint.path.parent / "artifact.json").is_file():
        for ancestor in ancestors(open_artifact(checkpoint.path.parent)):
            if ancestor.input.kind == "pack" and ancestor.state == "there":
                progress.log(f"taking {ancestor.path}, the pack it was trained on")
                return open_artifact(ancestor.path, "pack")
    return take(config.pack, "pack", progress=progress)


def match_emotions(checkpoint: Checkpoint, info: PackInfo) -> Labels:
    """Return, for each of the pack's labels, the place of its emotion among the checkpoint's: matched by name.

    Raises:
        DataError: the pack holds an emotion that the checkpoint does not know.
    """
    known = checkpoint.card.emotions
    unknown = [emotion for emotion in info.emotions if emotion not in known]
    if unknown:
        raise DataError(
            f"{checkpoint.path}: does not know {', '.join(unknown)}, which the pack {info.file.parent} holds; "
            f"it knows {', '.join(known)}"
        )
    return np.array([known.index(emotion) for emotion in info.emotions], np.int64)


def _channels_first(faces: PackSplit) -> torch.Tensor:
    images = torch.from_numpy(faces.images)
    return images.unsqueeze(1) if images.ndim == 3 else images.permute(0, 3, 1, 2)


def _trained_on(checkpoint: Checkpoint) -> npt.NDArray[np.uint8]:
    """Return the digests of the images that the checkpoint's run was trained on, (N, 32)."""
    file = checkpoint.path.parent / TRAINING_DIGESTS
    try:
        digests: npt.NDArray[np.uint8] = np.load(file, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{checkpoint.path}: --without-leaks needs {TRAINING_DIGESTS} beside it; name the run"
        ) from error
    if digests.dtype != np.uint8 or digests.ndim != 2 or digests.shape[1] != 32:
        raise DataError(f"{file}: not a list of digests")
    return digests


def summarise(
    config: EvaluateConfig,
    checkpoint: Checkpoint,
    labels: Labels,
    probabilities: Floats,
    faces: PackSplit,
    trained_on: npt.NDArray[np.uint8] | None,
) -> dict[str, Any]:
    """Return the evaluation's figures, as `--json` prints them."""
    emotions = checkpoint.card.emotions
    right = probabilities.argmax(1) == labels
    matrix = confusion_matrix(labels, probabilities.argmax(1), len(emotions))
    found = figures(matrix, emotions).as_dict()
    summary: dict[str, Any] = {
        "split": config.split,
        "n": len(labels),
        "tta": config.tta,
        "selection": f"{checkpoint.card.selection} (epoch {checkpoint.card.epoch})",
        "emotions": emotions,
        "accuracy": found["accuracy"],
        "accuracy_interval": list(wilson_interval(int(right.sum()), len(right))),
        "balanced_accuracy": found["balanced_accuracy"],
        "macro_f1": found["macro_f1"],
        "roc_auc": roc_auc(labels, probabilities),
        "per_class": found["per_class"],
        "confusion": matrix.tolist(),
        "without_leaks": None,
    }
    if trained_on is not None:
        seen = {row.tobytes() for row in trained_on}
        fresh = np.array([row.tobytes() not in seen for row in faces.sha256], bool)
        n, correct = int(fresh.sum()), int(right[fresh].sum())
        summary["without_leaks"] = {
            "n": n,
            "accuracy": correct / n if n else 0.0,
            "accuracy_interval": list(wilson_interval(correct, n)),
        }
    return summary


def _write_predictions(
    file: Path, paths: list[str], labels: Labels, probabilities: Floats, emotions: list[str]
) -> None:
    """Write predictions.csv: path, label by name, one probability an emotion."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["path", "label", *emotions])
    for path, label, row in zip(paths, labels, probabilities, strict=True):
        writer.writerow([path, emotions[label], *(f"{value:.6f}" for value in row)])
    write_text(file, text.getvalue())
