"""Evaluate: predict a split, and write metrics, predictions, plots and a report."""

from __future__ import annotations

from pathlib import Path

from fercli.artifacts import Artifact, Input, artifact_input, input_of
from fercli.artifacts.building import build
from fercli.artifacts.synthetic import synthetic_warning
from fercli.evaluation.files import Measured, finish_evaluation
from fercli.evaluation.predicting import (
    ALL,
    match_emotions,
    predict_calibrated_and_raw,
    read_faces,
    training_digests,
    unseen,
    unseen_mask,
)
from fercli.evaluation.summary import summarise
from fercli.models.checkpoints import Checkpoint, load_checkpoint
from fercli.models.devices import find_device
from fercli.models.published import load_published
from fercli.packs.opening import open_pack
from fercli.progress import SILENT, Progress
from fercli.runs import display_path
from fercli.stages.base import resolve_input, resolve_output, resolve_pack
from fercli.stages.evaluate.config import EvaluateConfig


def evaluate(config: EvaluateConfig, progress: Progress = SILENT) -> Artifact:
    """Evaluate a checkpoint, or published weights, on a split.

    Raises:
        UsageError: the weights' model or options are invalid.
        DataError: the checkpoint, weights or pack are invalid, their emotions differ, the pack has no such split, the
            run was trained on images of all splits, or `without_leaks` is set and the checkpoint is not in its run.
    """
    checkpoint, pack, inputs = _read(config, progress)
    device = find_device(config.device)
    out = resolve_output(config, config.out, _source_path(checkpoint), inputs, progress)
    with build(
        out, "evaluation", config.stage, options=config.options(), inputs=inputs, overwrite=config.overwrite
    ) as builder:
        if builder.done:
            return builder.done
        if note := synthetic_warning(display_path(checkpoint.path), checkpoint.metadata.drawn_faces, pack.path):
            progress.log(note)
        info = open_pack(pack)
        labels_of = match_emotions(checkpoint, info)
        compare = config.without_leaks and config.split != ALL
        seen = [training_digests(checkpoint)] if compare else None
        faces, note = read_faces(info, config.split), ""
        if config.split == ALL:
            faces, note = unseen(faces, info, [checkpoint], leave_out=config.without_leaks)
        if note:
            progress.log(note)
        with progress.task("evaluating", len(faces.labels)):
            probabilities, raw = predict_calibrated_and_raw(
                checkpoint,
                faces.images,
                device=device,
                tta=config.tta,
                batch_size=config.batch_size,
                advance=progress.advance,
            )
        metadata, labels = checkpoint.metadata, labels_of[faces.labels]
        summary = summarise(
            labels,
            probabilities,
            metadata.emotions,
            split=config.split,
            tta=config.tta,
            selection=metadata.selection if config.weights else f"{metadata.selection} (epoch {metadata.epoch})",
            unseen=unseen_mask(faces, seen) if seen else None,
            raw=raw,
            temperature=metadata.temperature,
        )
        notes = (note,) if note else ()
        finish_evaluation(
            builder,
            Measured(
                metadata.architecture,
                (checkpoint,),
                pack,
                faces,
                labels,
                probabilities,
                summary,
                str(device),
                notes,
                raw,
            ),
        )
    return builder.artifact


def _read(config: EvaluateConfig, progress: Progress) -> tuple[Checkpoint, Artifact, list[Input]]:
    """Return the checkpoint, the pack, and both as inputs."""
    if config.weights is None:
        given = config.checkpoint or resolve_input(None, "run", "checkpoint", progress=progress).path
        checkpoint = load_checkpoint(given)
        pack = resolve_pack(config.pack, checkpoint.path, progress)
        own = checkpoint.as_input()
    else:
        order = config.weights_emotions.split(",") if config.weights_emotions else None
        checkpoint, messages = load_published(
            config.weights, config.model or "", config.model_options(), order=order, input_size=config.input_size
        )
        for message in messages:
            progress.log(message)
        pack = resolve_input(config.pack, "pack", progress=progress)
        own = input_of("weights", checkpoint.path, "weights", checkpoint.digest)
    return checkpoint, pack, [own, artifact_input("pack", pack)]


def _source_path(checkpoint: Checkpoint) -> Path:
    """Return the path that an evaluation is named after: that of the run, the checkpoint, or the weights file."""
    return display_path(checkpoint.path) if checkpoint.path.is_dir() else checkpoint.path
