"""Export: write a checkpoint as a file that runs without fercli, and check that it gives the same probabilities."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import partial

import numpy as np
import numpy.typing as npt
import torch

from fercli.artifacts import Artifact, artifact_input, input_of, write_text
from fercli.artifacts.building import build
from fercli.artifacts.digests import digest_file
from fercli.artifacts.tables import write_csv
from fercli.errors import DataError, FerError, UsageError
from fercli.evaluation.card import model_card
from fercli.evaluation.predicting import digests_file, match_emotions, predict_images, read_faces, training_digests
from fercli.exported import SUMMARY
from fercli.images import Pixels, as_color, fit_square
from fercli.metrics.significance import mcnemar
from fercli.models.checkpoints import TRAINING_DIGESTS, Checkpoint, load_checkpoint
from fercli.packs.opening import open_pack
from fercli.pretrained import CARD
from fercli.progress import SILENT, Progress
from fercli.runs import display_path, model_name
from fercli.stages.base import resolve_input, resolve_output
from fercli.stages.export.config import ExportConfig
from fercli.stages.export.faces import drawn_faces, spread
from fercli.stages.export.page import DETECTOR_CARD, write_readme
from fercli.stages.export.parity import Predict, check, compare, measure_speed
from fercli.stages.export.photograph.parity import compare_photographs
from fercli.stages.export.summary import AccuracySummary, ExportSummary, ParityRow, SpeedRow
from fercli.stages.export.writing import (
    write_examples,
    write_onnx_model,
    write_photograph_model,
    write_program,
)
from fercli.weights import find_weights

_OTHER = 48
"""Faces of each of the other sizes."""


def export(config: ExportConfig, progress: Progress = SILENT) -> Artifact:
    """Write a checkpoint as a file that runs without fercli.

    Raises:
        UsageError: the checkpoint is an exported model itself, or a detector's weights are given without one.
        DataError: the checkpoint or the pack is invalid, or the pack has no validation faces.
        FerError: the model cannot be exported, its probabilities differ from the checkpoint's, or in int8 it loses more
            accuracy than `tolerance`; or the detector's weights are missing.
    """
    given = config.checkpoint or resolve_input(None, "run", "checkpoint", progress=progress).path
    checkpoint = load_checkpoint(given)
    if checkpoint.kind != "checkpoint":
        raise UsageError(f"checkpoint: {given} is an exported model; export the run that it was made from")
    pack = resolve_input(config.pack, "pack", progress=progress) if config.pack else None
    if config.weights is not None and not config.with_detector:
        raise UsageError("export: weights: are those of the detector; add --with-detector")
    detector = find_weights("yunet", config.weights) if config.with_detector else None
    inputs = [checkpoint.as_input(), *([artifact_input("pack", pack)] if pack else [])]
    if detector is not None:
        inputs.append(input_of("detector", detector, "weights", digest_file(detector)))
    out = resolve_output(config, config.out, display_path(checkpoint.path), inputs, progress)
    with build(
        out, config.kind, config.stage, options=config.options(), inputs=inputs, overwrite=config.overwrite
    ) as builder:
        if builder.done:
            return builder.done
        faces = _Faces(checkpoint, pack)
        progress.log(f"exporting {checkpoint.metadata.architecture} as {config.format}, {config.precision}")
        card = model_card(given) + (DETECTOR_CARD if detector is not None else "")
        write_text(builder.folder / CARD, card)
        if config.format == "torch":
            file, exported = write_program(checkpoint, builder.folder)
        else:
            calibration = _rgb(faces.images[faces.calibration]) if config.precision == "int8" else None
            file, exported = write_onnx_model(checkpoint, builder.folder, card, config.precision, calibration)
        original = partial(predict_images, checkpoint, device=torch.device("cpu"))
        parity = _parity(config, checkpoint, faces, original, exported)
        accuracy = _accuracy(config, faces, original, exported)
        speed = list(measure_speed(original, lambda crops: exported(_rgb(crops)), faces.images))
        m = checkpoint.metadata
        size, color = m.face_format
        photographs = None
        if detector is not None:
            progress.log("adding the detector")
            session = write_photograph_model(checkpoint, builder.folder, detector, card, config.precision)
            photographs = compare_photographs(session, exported, detector, size, color)
            write_examples(builder.folder, "photograph", m.emotions, "example_photograph")
        summary = ExportSummary(
            file=file.name,
            format=config.format,
            precision=config.precision,
            bytes=file.stat().st_size,
            architecture=m.architecture,
            emotions=m.emotions,
            face_size=size,
            face_color=color,
            parity=parity,
            speed=speed,
            threads=torch.get_num_threads(),
            accuracy=accuracy,
            photographs=photographs,
        )
        write_csv(builder.folder / "parity.csv", list(ParityRow.model_fields), (dict(row).values() for row in parity))
        write_csv(builder.folder / "speed.csv", list(SpeedRow.model_fields), (dict(row).values() for row in speed))
        write_text(builder.folder / SUMMARY, json.dumps(dict(summary), indent=1) + "\n")
        write_examples(builder.folder, config.format, m.emotions)
        write_readme(builder.folder, summary, model_name(checkpoint.path), checkpoint.digest)
        if digests_file(checkpoint).is_file():  # so that evaluate knows the training images of the exported model, too
            np.save(builder.folder / TRAINING_DIGESTS, training_digests(checkpoint))
        builder.finish(digest=digest_file(file), emotions=m.emotions, summary=summary)
    return builder.artifact


class _Faces:
    """The faces that a model is compared on, in the checkpoint's format.

    Attributes:
        name: What they are, for display.
        images: All of them.
        labels: Their emotions, indices into the checkpoint's; None for drawn faces.
        calibration: The positions of those that calibrate int8.
    """

    def __init__(self, checkpoint: Checkpoint, pack: Artifact | None) -> None:
        size, color = checkpoint.metadata.face_format
        self.labels: npt.NDArray[np.int64] | None = None
        if pack is None:
            self.name, self.images = "drawn faces", drawn_faces(size, color)
        else:
            info = open_pack(pack)
            if not info.counts.get("validation"):
                raise DataError(f"{pack.path}: has no validation faces; export without --pack, or give another pack")
            found = read_faces(info, "validation")
            self.name = "validation faces"
            self.images = _fitted(checkpoint, found.images)
            self.labels = match_emotions(checkpoint, info)[found.labels]
        self.calibration = spread(self.images)


def _parity(
    config: ExportConfig, checkpoint: Checkpoint, faces: _Faces, original: Predict, exported: Predict
) -> list[ParityRow]:
    """Compare on faces of the checkpoint's own size, and of sizes that the file resizes.

    Raises:
        FerError: the probabilities differ too much.
    """
    chosen = faces.images[spread(faces.images)]
    size = checkpoint.metadata.face_format[0]
    large, small = (drawn_faces(max(8, round(size * factor)), "rgb", _OTHER) for factor in (1.7, 0.6))
    narrow = np.ascontiguousarray(large[:, :, large.shape[2] // 5 :])
    pairs = [(f"{faces.name}, {size} px", original(chosen), exported(_rgb(chosen)))]
    pairs += [
        (f"drawn faces, {crops.shape[2]} x {crops.shape[1]} px", original(_fitted(checkpoint, crops)), exported(crops))
        for crops in (large, small, narrow)
    ]
    rows = []
    for name, expected, found in pairs:
        rows.append(compare(name, expected, found))
        check(rows[-1], expected, found, checkpoint.metadata.emotions, config.precision)
    return rows


def _accuracy(config: ExportConfig, faces: _Faces, original: Predict, exported: Predict) -> AccuracySummary | None:
    """Compare the accuracies on validation faces; for int8 on those that did not calibrate it, if there are others.

    Raises:
        FerError: int8 loses more than is accepted.
    """
    if faces.labels is None:
        return None
    kept = np.ones(len(faces.images), bool)
    if config.precision == "int8" and len(faces.calibration) < len(kept):
        kept[faces.calibration] = False
    images, labels = faces.images[kept], faces.labels[kept]
    before, after = (
        np.concatenate([predict(images[low : low + 256]) for low in range(0, len(images), 256)]).argmax(1) == labels
        for predict in (original, lambda crops: exported(_rgb(crops)))
    )
    lost = float(before.mean() - after.mean())
    summary = AccuracySummary(
        n=len(labels),
        checkpoint=float(before.mean()),
        exported=float(after.mean()),
        p_value=mcnemar(before, after).mid_p,
    )
    if config.precision == "int8" and lost > config.tolerance:
        raise FerError(
            f"int8 loses {lost:.2%} of accuracy on {len(labels):,} validation faces ({before.mean():.2%} to "
            f"{after.mean():.2%}, McNemar's mid-p {summary.p_value:.3g}); accepted is {config.tolerance:.2%}. Use "
            "float32 or float16, or accept more with --tolerance"
        )
    return summary


def _fitted(checkpoint: Checkpoint, faces: Iterable[Pixels]) -> Pixels:
    """Return faces in the checkpoint's format, as predict gives them to it."""
    size, color = checkpoint.metadata.face_format
    return np.stack([fit_square(as_color(face, color), size) for face in faces])


def _rgb(faces: Pixels) -> Pixels:
    """Return faces as RGB, (N, H, W, 3)."""
    return faces if faces.ndim == 4 else np.repeat(faces[..., None], 3, 3)
