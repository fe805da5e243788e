"""Evaluate: predict a split, and write figures, predictions, pictures and a page."""

from __future__ import annotations

from fercli.artifacts import Artifact, artifact_input, input_of
from fercli.building import build
from fercli.evaluation.files import Measured, finish_evaluation
from fercli.evaluation.predicting import fresh, match_emotions, predict_faces, read_faces, trained_on
from fercli.evaluation.summary import summarise
from fercli.models.checkpoints import load_checkpoint
from fercli.models.devices import find_device
from fercli.packs.file import open_pack
from fercli.progress import SILENT, Progress
from fercli.stages.base import named, place, take, take_pack
from fercli.stages.evaluate.config import EvaluateConfig


def evaluate(config: EvaluateConfig, progress: Progress = SILENT) -> Artifact:
    """Evaluate a checkpoint on a split.

    Raises:
        DataError: checkpoint or pack is broken, their emotions differ, the pack has no such split, or `without_leaks`
            is wanted of a checkpoint that is not in its run.
    """
    given = config.checkpoint or take(None, "run", "checkpoint", progress=progress).path
    checkpoint = load_checkpoint(given)
    pack = take_pack(config.pack, checkpoint.path, progress)
    device = find_device(config.device)
    inputs = [
        input_of("checkpoint", checkpoint.path, "checkpoint", checkpoint.digest),
        artifact_input("pack", pack),
    ]
    out = place(config, config.out, named(checkpoint.path), inputs, progress)
    with build(
        out, "evaluation", config.stage, options=config.options(), inputs=inputs, overwrite=config.overwrite
    ) as job:
        if job.done:
            return job.done
        info = open_pack(pack)
        labels_of = match_emotions(checkpoint, info)
        seen = [trained_on(checkpoint)] if config.without_leaks else None
        faces = read_faces(info, config.split)
        progress.start("evaluating", len(faces.labels))
        probabilities = predict_faces(
            checkpoint,
            faces,
            device=device,
            tta=config.tta,
            batch_size=config.batch_size,
            advance=progress.advance,
        )
        progress.stop()
        card, labels = checkpoint.card, labels_of[faces.labels]
        summary = summarise(
            labels,
            probabilities,
            card.emotions,
            split=config.split,
            tta=config.tta,
            selection=f"{card.selection} (epoch {card.epoch})",
            fresh=fresh(faces, seen) if seen else None,
        )
        finish_evaluation(
            job,
            Measured(card.architecture, (checkpoint,), pack, faces, labels, probabilities, summary, str(device)),
        )
    return job.artifact
