"""Explain: Grad-CAM heat maps of faces, or a weight analysis of a model's last layers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fercli.artifacts import Artifact, Input, input_of, write_text
from fercli.artifacts.building import ArtifactBuilder, build
from fercli.artifacts.digests import digest_file, digest_json
from fercli.artifacts.synthetic import synthetic_warning
from fercli.artifacts.tables import write_csv
from fercli.emotions import canonical
from fercli.errors import DataError, UsageError, did_you_mean
from fercli.explanation.weight_analysis import Shares, contributions, final_layers
from fercli.explanation.weights_plot import strongest, weights_plot
from fercli.faces.detectors import choose_detector, find_detector
from fercli.files import as_text_deep, missing_message
from fercli.images import encode_png
from fercli.models.checkpoints import Checkpoint, load_checkpoint
from fercli.models.devices import find_device
from fercli.progress import SILENT, Progress
from fercli.runs import display_path
from fercli.sanitize import word_cell
from fercli.stages.base import resolve_input, resolve_output
from fercli.stages.explain.batches import Explainer
from fercli.stages.explain.config import ExplainConfig
from fercli.stages.explain.heatmaps import summarise
from fercli.stages.explain.page import write_page
from fercli.stages.explain.sources import Picture, choose, gather
from fercli.stages.explain.summary import FeatureShare, HeatmapSummary, TopFeatures, WeightsSummary

EXPLANATION = "explanation.json"
SHEET = "contact-sheet.png"
TABLE = "weights.csv"
PLOT = "weights.png"


def explain(config: ExplainConfig, progress: Progress = SILENT) -> Artifact:
    """Explain a checkpoint: where it looks in faces, or which features its last layers weight most.

    Raises:
        UsageError: no pictures are given, the model has no such emotion or layer, or the output is inside an input.
        DataError: the checkpoint is broken, there are no pictures, or no face is detected in any of them.
        ImageError: a picture cannot be used and `strict` is set.
    """
    _check(config)
    checkpoint = load_checkpoint(config.checkpoint or resolve_input(None, "run", "checkpoint", progress=progress).path)
    if checkpoint.kind != "checkpoint":
        raise UsageError(f"checkpoint: {checkpoint.name} is exported, and has no gradients; explain the run it is from")
    emotion = _emotion(config, checkpoint)
    inputs = [checkpoint.as_input()]
    more, pictures = gather(config.images, config.split)
    inputs += more + _weights_input(config)
    config = config.model_copy(update={"detector": _detector(config, pictures, progress)})
    out = resolve_output(config, config.out, display_path(checkpoint.path), inputs, progress)
    options = config.options()
    with build(
        out, config.kind, config.stage, options=options, inputs=inputs, seed=config.seed, overwrite=config.overwrite
    ) as builder:
        if builder.done is None:
            notes = {
                synthetic_warning(display_path(checkpoint.path), checkpoint.metadata.drawn_faces, source)
                for source in config.images
            }
            for note in sorted(notes - {""}):
                progress.log(note)
            if config.method == "weights":
                _explain_weights(builder, checkpoint)
            else:
                chosen = choose(pictures, config.limit, config.seed)
                _explain_faces(builder, config, checkpoint, emotion, chosen, progress)
    return builder.artifact


def _check(config: ExplainConfig) -> None:
    if config.method == "weights" and config.images:
        raise UsageError("explain: the weight analysis uses no pictures; omit IMAGES")
    if config.method == "gradcam" and not config.images:
        raise UsageError("explain: no pictures given: add files, folders, a dataset or a pack after the checkpoint")
    detector = choose_detector(config.detector, config.weights)
    if not find_detector(detector).takes_weights and config.weights is not None:
        raise UsageError(f"explain: weights: {detector} accepts no weights")


def _emotion(config: ExplainConfig, checkpoint: Checkpoint) -> int | None:
    """Return the index of the emotion to explain, or None for each face's predicted one."""
    known = checkpoint.metadata.emotions
    for name in (config.emotion, canonical(config.emotion)):
        if name in known:
            return known.index(name)
    if config.emotion == "predicted":
        return None
    raise UsageError(did_you_mean("emotion", config.emotion, known))


def _detector(config: ExplainConfig, pictures: list[Picture], progress: Progress) -> str:
    """Return the detector; for cropped faces always the same one, since it is not used but is part of the key."""
    if config.detector is None and (config.faces == "crop" or all(picture.face for picture in pictures)):
        return "haar"
    return choose_detector(config.detector, config.weights, progress)


def _weights_input(config: ExplainConfig) -> list[Input]:
    if config.weights is None:
        return []
    if not config.weights.is_file():
        raise DataError(missing_message(config.weights, "weights file"))
    return [input_of("detector", config.weights, "weights", digest_file(config.weights))]


# --- Grad-CAM ---


def _explain_faces(
    builder: ArtifactBuilder,
    config: ExplainConfig,
    checkpoint: Checkpoint,
    emotion: int | None,
    pictures: list[Picture],
    progress: Progress,
) -> None:
    device = find_device(config.device)
    layer = config.layer or checkpoint.gradcam_layer
    if not layer:
        raise UsageError(
            f"{checkpoint.metadata.architecture} has no default layer for Grad-CAM; choose one with --layer MODULE"
        )
    explainer = Explainer(builder.folder, config, checkpoint, layer, emotion, device)
    explainer.run(progress.track(pictures, "explaining", len(pictures)))
    skipped = dict(sorted(explainer.skipped.items()))
    reasons = ", ".join(f"{len(names):,} {reason}" for reason, names in skipped.items())
    if not explainer.records:
        hint = "; if these are cropped faces, use --faces crop" if "no face" in skipped else ""
        raise DataError(f"no face to explain (skipped {reasons}){hint}")
    if reasons:
        progress.log(f"skipped {reasons}; {EXPLANATION} lists them")
    emotions = checkpoint.metadata.emotions
    summary = HeatmapSummary(
        method="gradcam",
        model=checkpoint.metadata.architecture,
        layer=layer,
        explained="predicted" if emotion is None else emotions[emotion],
        **summarise(explainer.records, emotions),
        pictures=len(pictures),
        skipped={reason: len(names) for reason, names in skipped.items()},
    )
    sheet = explainer.sheet(f"Grad-CAM of {summary.model}", _sheet_note(summary))
    picture = encode_png(sheet)
    (builder.folder / SHEET).write_bytes(picture)
    heat = explainer.heat.finish(explainer.records)
    faces = [record.as_dict() for record in explainer.records]
    _write_json(builder.folder / EXPLANATION, {"summary": summary.as_dict(), "faces": faces, "skipped": skipped})
    write_page(builder, checkpoint, config.images, summary, picture, str(device))
    builder.finish(
        digest=digest_json([digest_file(heat), digest_file(builder.folder / EXPLANATION)]),
        emotions=emotions,
        skipped=skipped,
        summary=summary,
        device=str(device),
    )


def _sheet_note(summary: HeatmapSummary) -> str:
    if summary.explained == "predicted":
        note = f"rows: predicted emotion, with the evidence for it at layer '{summary.layer}'"
    else:
        note = f"evidence for {summary.explained} at layer '{summary.layer}'"
    if summary.ratio is not None:
        note += (
            f"; {summary.heat_in_regions:.0%} of the heat in the action unit regions, "
            f"{summary.area_of_regions:.0%} of the area"
        )
    return note


def _write_json(file: Path, value: dict[str, Any]) -> None:
    write_text(file, json.dumps(as_text_deep(value), indent=1, allow_nan=False) + "\n")


# --- weight analysis ---


def _explain_weights(builder: ArtifactBuilder, checkpoint: Checkpoint) -> None:
    metadata = checkpoint.metadata
    size = metadata.preprocessing.input_size
    with torch.no_grad():
        layers = final_layers(checkpoint.model, torch.zeros(1, len(metadata.preprocessing.mean), size, size))
    shares = contributions([layer.weight.detach().numpy() for _, layer in layers])
    count = shares.shape[1]
    _write_table(builder.folder / TABLE, shares, metadata.emotions)
    names = [name for name, _ in layers]
    target = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
    title = f"Weight analysis of {metadata.architecture}: {count:,} features into {target} (dashed: even share)"
    picture = weights_plot(shares, metadata.emotions, title)
    (builder.folder / PLOT).write_bytes(picture)
    summary = WeightsSummary(
        method="weights",
        model=metadata.architecture,
        layers=names,
        features=count,
        even_share=1 / count,
        emotions={emotion: _top_features(share) for emotion, share in zip(metadata.emotions, shares, strict=True)},
        overall=_top_features(shares.mean(0)),
    )
    _write_json(builder.folder / EXPLANATION, {"summary": summary.as_dict()})
    write_page(builder, checkpoint, (), summary, picture)
    builder.finish(digest=digest_file(builder.folder / TABLE), emotions=metadata.emotions, summary=summary)


def _top_features(share: Shares) -> TopFeatures:
    """Return the strongest features and their shares, and the smallest number that has half of the weight."""
    cumulative = np.cumsum(np.sort(share)[::-1])
    return TopFeatures(
        strongest=[FeatureShare(feature=feature, share=float(share[feature])) for feature in strongest(share)],
        half_in=int(np.searchsorted(cumulative, 0.5 * cumulative[-1]) + 1),
    )


def _write_table(file: Path, shares: Shares, emotions: list[str]) -> None:
    """Write weights.csv: feature, its share for each emotion, and their mean."""
    rows = ([feature, *(f"{value:.9f}" for value in row), f"{row.mean():.9f}"] for feature, row in enumerate(shares.T))
    write_csv(file, ["feature", *map(word_cell, emotions), "mean"], rows)
