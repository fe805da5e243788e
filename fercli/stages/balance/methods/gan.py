"""Create faces with a GAN that is trained on the train split."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fercli.artifacts.staging import discard
from fercli.artifacts.tables import write_csv
from fercli.datasets.duplicates import MIN_CORRELATION
from fercli.datasets.index import Row
from fercli.datasets.reading import read_checked
from fercli.errors import DataError
from fercli.generation.correlation_index import CorrelationIndex, comparison_thumbnail, summarize
from fercli.generation.face_similarity import held_out_indices, refuse_unlike
from fercli.generation.gan.checkpoint import FOLDER, WEIGHTS, GanMetadata, save_generator
from fercli.generation.gan.contact_sheets import CLASSES, COLUMNS, NEAREST, class_sheet, nearest_sheet
from fercli.generation.gan.data import MIN_IMAGES, index_faces, load_training_faces, training_rows
from fercli.generation.gan.sampling import CHUNK, GanSampler
from fercli.generation.gan.training import STATE, GanTrainer
from fercli.images import encode_png, pixel_digest
from fercli.models.devices import find_device, type_name
from fercli.parallel import in_threads
from fercli.stages.balance.context import BalanceContext
from fercli.stages.balance.plan import Plan
from fercli.stages.balance.summary import GanSummary

_HISTORY = ("step", "discriminator", "generator")
"""Columns of training.csv: step, and the losses of both networks."""


def fill(context: BalanceContext) -> list[Row]:
    """Train a GAN on the train split and sample the planned faces; return their rows.

    Raises:
        DataError: a class has too few images to learn from, or the images differ in format.
        FerError: the training failed, or the device is not available.
    """
    config, folder = context.config, context.builder.folder
    if not any(need.generate for _, _, need in context.plan.classes()):
        return []
    rows = training_rows(context.rows, context.constant)
    device = find_device(config.device)
    context.device = device.type
    emotions = list(context.plan.needs["train"])
    try:
        check_enough(context.source.path, rows, context.plan)
        faces = load_training_faces(folder, rows, emotions, config.workers, device)
    except DataError:
        discard(folder)  # nothing to resume: another call would fail too
        raise
    trainer = GanTrainer(faces, config.gan_width, config.gan_batch, config.seed)
    parameters = sum(p.numel() for net in (trainer.generator, trainer.discriminator) for p in net.parameters())
    context.progress.log(
        f"training a GAN of {parameters:,} parameters on {len(faces.images):,} faces of {faces.side} px; {device}, "
        f"{type_name(trainer.dtype)}"
    )
    if (folder / STATE).is_file():
        trainer.restore(folder / STATE)
        context.progress.log(f"resuming from step {trainer.steps:,}/{config.gan_steps:,}")
    trainer.train(config.gan_steps, folder, context.progress)
    metadata = GanMetadata(
        emotions=list(faces.counts),
        counts=faces.counts,
        side=faces.side,
        color=faces.color,
        width=config.gan_width,
        noise_seed=config.seed,
        truncation=config.gan_truncation,
        steps=trainer.steps,
        batch=trainer.batch,
        training_data=context.source.manifest.digest,
    )
    metadata = save_generator(folder / FOLDER, trainer.average.model, metadata)  # type: ignore[arg-type]
    write_csv(folder / FOLDER / "training.csv", _HISTORY, map(attrgetter(*_HISTORY), trainer.history))
    created = _sample(context, trainer, metadata, index_faces(faces), rows)
    shutil.rmtree(folder / STATE.parent, ignore_errors=True)
    return created


def check(dataset: Path, rows: Sequence[Row], plan: Plan) -> None:
    """Check from the index alone that the GAN can be trained.

    Raises:
        DataError: a class has too few images to learn from.
    """
    if any(need.generate for _, _, need in plan.classes()):
        check_enough(dataset, training_rows(rows, ()), plan)


def check_enough(dataset: Path, rows: Sequence[Row], plan: Plan) -> None:
    """Check that every class to be generated has enough images to learn from.

    Raises:
        DataError: a class has too few images, or there are none at all.
    """
    if not rows:
        raise DataError(f"{dataset}: no labelled, original images in the train split to train the GAN on")
    have = Counter(row.emotion for row in rows)
    for split, emotion, need in plan.classes():
        if need.generate and have[emotion] < MIN_IMAGES:
            raise DataError(
                f"{dataset}: train has {have[emotion]} images of {emotion} for the GAN to learn from, and "
                f"{need.generate:,} are needed for {split}: from fewer than {MIN_IMAGES} it would mostly reproduce "
                "them; use --method augment, or add images"
            )


def _sample(
    context: BalanceContext,
    trainer: GanTrainer,
    metadata: GanMetadata,
    train: CorrelationIndex,
    train_rows: Sequence[Row],
) -> list[Row]:
    """Sample the faces, write them and the contact sheets, and add the results to the summary."""
    config, folder, plan = context.config, context.builder.folder, context.plan
    known = {row.path for row in train_rows}
    rest = [row for row in context.rows if row.path not in known]
    others, held_out = _index_others(context, rest, train, trainer.device)
    count = sum(need.generate for _, _, need in plan.classes())
    capacity = count + CHUNK * len(trainer.faces.counts)  # the last chunk of each class is only partly used
    generator: Any = trainer.average.model
    accepted = CorrelationIndex(capacity, trainer.device)
    sampler = GanSampler(generator, config.seed, config.gan_truncation, train, others, accepted)
    rows: list[Row] = []
    taken = {row.path.lower() for row in context.rows}
    source = f"{FOLDER}/{WEIGHTS}"
    made = json.dumps({"model": source, "revision": metadata.sha256[:12], "seed": config.seed})
    with context.progress.task("sampling", count):
        for split, emotion, need in plan.classes():
            label = list(trainer.faces.counts).index(emotion) if need.generate else 0
            paths = _free_paths(f"{split}/{emotion}", taken)
            for number, face in sampler.sample(label, need.generate, f"{split}/{emotion}"):
                path = next(paths)
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                file = folder / path
                file.unlink(missing_ok=True)
                file.write_bytes(encode_png(face))
                row = Row(path, split, emotion, source=source, row=str(number), origin="generated", made=made)
                rows.append(replace(row, sha256=pixel_digest(face)))
                context.progress.advance()
    nearest = {emotion: sampler.nearest_of(label) for label, emotion in enumerate(trainer.faces.counts)}
    unlike = refuse_unlike(
        nearest, held_out, keep_anyway=config.keep_anyway, hint="train longer with --gan-steps, use --method augment"
    )
    _write_sheets(context, trainer, sampler, train_rows)
    near = summarize(np.concatenate(list(nearest.values())), MIN_CORRELATION)
    summary = GanSummary(
        made=len(rows),
        drawn=sum(sampler.generated.values()),
        rejected=dict(sampler.rejected),
        nearest_real=near,
        nearest_real_of_held_out=summarize(held_out, MIN_CORRELATION),
        unlike_any_face=tuple(unlike),
        steps=trainer.steps,
        batch=trainer.batch,
        faces_seen=trainer.steps * trainer.batch,
        seconds=round(trainer.seconds, 1),
        precision=type_name(trainer.dtype),
        learnt_from=metadata.counts,
        generator_sha256=metadata.sha256,
    )
    context.summary["gan"] = summary
    context.progress.log(
        f"accepted {summary.made:,} of {summary.drawn:,} faces; correlation with the nearest real face: "
        f"{near['median']:.2f} (median) to {near['highest']:.2f}"
    )
    return rows


def _write_sheets(context: BalanceContext, trainer: GanTrainer, sampler: GanSampler, train_rows: Sequence[Row]) -> None:
    """Write the contact sheets: faces of each class, and generated faces next to the most similar real ones."""
    folder = context.builder.folder
    shown = {emotion: sampler.first(label, COLUMNS) for label, emotion in enumerate(trainer.faces.counts)}
    title = (
        f"the GAN after {trainer.steps:,} steps of {trainer.batch} faces: its first faces of each class, not selected"
    )
    (folder / CLASSES).write_bytes(class_sheet(shown, title))
    ordered = [row for emotion in trainer.faces.counts for row in train_rows if row.emotion == emotion]
    pairs = [(face, read_checked(folder, ordered[number]), value) for value, face, number in sampler.closest]
    (folder / NEAREST).write_bytes(
        nearest_sheet(pairs, "the generated faces most similar to a real one or to its mirror image")
    )


def _index_others(
    context: BalanceContext, rows: Sequence[Row], train: CorrelationIndex, device: torch.device
) -> tuple[CorrelationIndex, np.ndarray[Any, np.dtype[np.float32]]]:
    """Return an index of the images not used for training, and the train correlations of some real ones.

    The latter show how similar unseen faces are by chance: the reference for generated faces.
    """
    index = CorrelationIndex(len(rows), device)
    folder = context.builder.folder
    small = list(in_threads(lambda row: comparison_thumbnail(read_checked(folder, row)), rows, context.config.workers))
    if small:
        index.add(np.stack(small))
    chosen = held_out_indices(rows)
    parts = [np.stack([small[k] for k in chosen[low : low + CHUNK]]) for low in range(0, len(chosen), CHUNK)]
    return index, np.concatenate([np.empty(0, np.float32), *(train.nearest(part)[0] for part in parts)])


def _free_paths(stem: str, taken: set[str]) -> Iterator[str]:
    """Yield unused paths for generated faces."""
    number = 0
    while True:
        number += 1
        path = f"{stem}/generated-{number:05d}.png"
        if path.lower() not in taken:
            yield path
