"""Evaluate: predict a split, and write metrics, predictions, plots and a report."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fercli.artifacts import Artifact, Input, artifact_input, input_of
from fercli.artifacts.building import build
from fercli.artifacts.digests import digest_file
from fercli.artifacts.summary import Summary
from fercli.artifacts.synthetic import synthetic_warning
from fercli.datasets.index import SPLITS
from fercli.evaluation.affect import AffectPredictions, annotated_affect
from fercli.evaluation.corruptions import STRENGTHS, parse_names
from fercli.evaluation.files import Measured, finish_evaluation
from fercli.evaluation.grouping import check_by, is_column, measure_groups, read_groups
from fercli.evaluation.part_summaries import CorruptionsSummary
from fercli.evaluation.predicting import (
    ALL,
    match_emotions,
    predict_images,
    predict_outputs,
    read_faces,
    training_digests,
    unseen,
    unseen_mask,
)
from fercli.evaluation.robustness import measure_corruptions
from fercli.evaluation.summary import EvaluationSummary, summarise
from fercli.hub.address import cached_address
from fercli.models.checkpoints import Checkpoint, load_checkpoint
from fercli.models.devices import count_devices, find_device
from fercli.packs.file import PackInfo, PackSplit
from fercli.packs.opening import open_pack
from fercli.progress import SILENT, Progress
from fercli.runs import display_path
from fercli.stages.base import resolve_input, resolve_output, resolve_pack
from fercli.stages.evaluate.config import EvaluateConfig
from fercli.stages.evaluate.tracking import find_tracked_run, track_evaluation
from fercli.trackers.table import parse_targets
from fercli.trackers.tracking import Tracking


def evaluate(config: EvaluateConfig, progress: Progress = SILENT) -> Artifact:
    """Evaluate a checkpoint, or published weights, on a split.

    Raises:
        UsageError: the weights' model or options are invalid, or a tracker does not know the run.
        DataError: the checkpoint, weights or pack are invalid, their emotions differ, the pack has no such split, the
            run was trained on images of all splits, `without_leaks` is set and the checkpoint is not in its run, or
            the images have no groups.
        FerError: there is no such device, or a tracker's library is not installed.
    """
    checkpoint, pack, inputs = _read(config, progress)
    targets = parse_targets(config.track)
    run = find_tracked_run(targets, checkpoint) if targets else None
    with Tracking(targets, progress) as tracking:
        evaluation = _evaluate(config, checkpoint, pack, inputs, progress)
        if run is not None:
            track_evaluation(tracking, run, pack, evaluation)
    return evaluation


def _evaluate(
    config: EvaluateConfig, checkpoint: Checkpoint, pack: Artifact, inputs: list[Input], progress: Progress
) -> Artifact:
    """Predict and measure, and write the evaluation."""
    device, devices = find_device(config.device), count_devices(config.device, config.devices)
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
        groups = read_groups(config.by, pack, info, faces.paths) if config.by else None
        if groups is not None and groups.unknown_rows:
            progress.log(f"{config.by}: {groups.unknown_rows:,} rows are of images that are not in the pack")
        with progress.task("evaluating", len(faces.labels)):
            outputs = predict_outputs(
                checkpoint,
                faces.images,
                device=device,
                devices=devices,
                tta=config.tta,
                batch_size=config.batch_size,
                advance=progress.advance,
            )
        metadata, labels, (probabilities, raw, affect) = checkpoint.metadata, labels_of[faces.labels], outputs
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
        parts: dict[str, Summary] = {}
        if groups is not None:
            parts["groups"] = measure_groups(groups, labels, probabilities.argmax(1), metadata.emotions)
        affects = None
        if affect is not None:
            affects = AffectPredictions(affect, annotated_affect(info, faces, _splits(config.split, info)))
            if found := affects.summary():
                parts["affect"] = found
        if config.corrupt:
            parts["corruptions"] = _corrupted(config, checkpoint, faces, labels, summary.accuracy, progress)
        summary = EvaluationSummary(**{**summary, **parts})
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
                affects,
            ),
        )
    return builder.artifact


def _splits(split: str, info: PackInfo) -> list[str]:
    """Return the splits that are evaluated."""
    return [one for one in SPLITS if info.counts.get(one)] if split == ALL else [split]


def _corrupted(
    config: EvaluateConfig,
    checkpoint: Checkpoint,
    faces: PackSplit,
    labels: npt.NDArray[np.int64],
    accuracy: float,
    progress: Progress,
) -> CorruptionsSummary:
    """Return the metrics on corrupted copies of the faces."""
    names, emotions = parse_names(config.corrupt or ""), checkpoint.metadata.emotions
    predict = partial(
        predict_images,
        checkpoint,
        device=find_device(config.device),
        devices=count_devices(config.device, config.devices),
        tta=config.tta,
        batch_size=config.batch_size,
        advance=progress.advance,
    )
    with progress.task("evaluating on corrupted copies", len(names) * len(STRENGTHS) * len(labels)):
        return measure_corruptions(names, faces.images, labels, accuracy, len(emotions), predict)


def _read(config: EvaluateConfig, progress: Progress) -> tuple[Checkpoint, Artifact, list[Input]]:
    """Return the checkpoint, the pack, and both as inputs, with the table of groups if there is one."""
    if config.weights is None:
        given = config.checkpoint or resolve_input(None, "run", "checkpoint", progress=progress).path
        checkpoint = load_checkpoint(given)
        pack = resolve_pack(config.pack, checkpoint.path, progress)
        own = checkpoint.as_input()
    else:
        checkpoint = config.load_weights(config.weights, progress)
        pack = resolve_input(config.pack, "pack", progress=progress)
        own = input_of("weights", checkpoint.path, "weights", checkpoint.digest)
    inputs = [own, artifact_input("pack", pack)]
    if config.by is not None:
        check_by(config.by)
        if not is_column(config.by):
            inputs.append(input_of("groups", Path(config.by), "raw", digest_file(Path(config.by))))
    return checkpoint, pack, inputs


def _source_path(checkpoint: Checkpoint) -> Path:
    """Return the path that an evaluation is named after: that of the run, the checkpoint, or the weights file."""
    whole = checkpoint.path.is_dir() or cached_address(checkpoint.path)
    return display_path(checkpoint.path) if whole else checkpoint.path
