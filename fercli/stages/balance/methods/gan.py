"""Filling classes up by a GAN: it is trained on the train split, then faces are drawn from it as the plan wants."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
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
from fercli.generation.correlation import CorrelationIndex, comparable, spread
from fercli.generation.gan.checkpoint import FOLDER, WEIGHTS, GanMetadata, save_generator
from fercli.generation.gan.data import FEWEST, TrainingFaces, load_reals
from fercli.generation.gan.sampling import CHUNK, Sampler
from fercli.generation.gan.sheets import COLUMNS, NEAREST, SHEET, class_sheet, nearest_sheet
from fercli.generation.gan.training import STATE, Gan
from fercli.generation.likeness import held_out_of, refuse_unlike
from fercli.images import Pixels, encode_png, pixel_digest
from fercli.models.devices import find_device, type_name
from fercli.models.preprocessing import channels_last
from fercli.parallel import in_threads
from fercli.stages.balance.context import BalanceContext
from fercli.stages.balance.plan import Plan

_HISTORY = ("step", "discriminator", "generator")
"""The columns of training.csv: the step, and the networks' losses."""


def fill(work: BalanceContext) -> list[Row]:
    """Train a GAN on the train split and draw from it the faces that the plan wants; return their rows.

    Raises:
        DataError: a class has too few images to learn from, or they have no one format.
        FerError: the training failed, or the device is not there.
    """
    config, folder = work.config, work.job.folder
    if not any(need.generate for _, _, need in work.plan.classes()):
        return []
    rows = learnt_from(work.rows, work.constant)
    device = find_device(config.device)
    work.device = device.type
    emotions = list(work.plan.needs["train"])
    try:
        refuse_few(work.dataset.path, rows, work.plan)
        reals = load_reals(folder, rows, emotions, config.workers, device)
    except DataError:
        discard(folder)  # nothing to go on from: calling again would end the same
        raise
    gan = Gan(reals, config.gan_width, config.gan_batch, config.seed)
    parameters = sum(p.numel() for net in (gan.generator, gan.discriminator) for p in net.parameters())
    work.progress.log(
        f"GAN of {parameters:,} parameters on {len(reals.images):,} faces of {reals.side} px; {device}, "
        f"{type_name(gan.dtype)}"
    )
    if (folder / STATE).is_file():
        gan.restore(folder / STATE)
        work.progress.log(f"going on after step {gan.steps:,} of {config.gan_steps:,}")
    gan.train(config.gan_steps, folder, work.progress)
    card = GanMetadata(
        emotions=list(reals.counts),
        counts=reals.counts,
        side=reals.side,
        color=reals.color,
        width=config.gan_width,
        noise_seed=config.seed,
        truncation=config.gan_truncation,
        steps=gan.steps,
        batch=gan.batch,
        training_data=work.dataset.manifest.digest,
    )
    card = save_generator(folder / FOLDER, gan.average.model, card)  # type: ignore[arg-type]
    write_csv(folder / FOLDER / "training.csv", _HISTORY, map(attrgetter(*_HISTORY), gan.history))
    made = _draw(work, gan, card, _album(reals), rows)
    _tell(work, gan, card)
    shutil.rmtree(folder / STATE.parent, ignore_errors=True)
    return made


def check(dataset: Path, rows: Sequence[Row], plan: Plan) -> None:
    """Refuse by the index alone what the GAN cannot make, before every image is read.

    Raises:
        DataError: a class has too few images to learn from.
    """
    if any(need.generate for _, _, need in plan.classes()):
        refuse_few(dataset, learnt_from(rows, ()), plan)


def learnt_from(rows: Sequence[Row], constant: Collection[str]) -> list[Row]:
    """Return the images that a GAN learns from: labelled originals of the train split, none of one constant value."""
    return [
        row
        for row in rows
        if row.split == "train" and row.emotion and row.origin == "real" and row.path not in constant
    ]


def refuse_few(dataset: Path, rows: Sequence[Row], plan: Plan) -> None:
    """Refuse to make faces of a class that has too few to learn from.

    Raises:
        DataError: it has, or there is nothing to learn from at all.
    """
    if not rows:
        raise DataError(f"{dataset}: no labelled, original image in a train split, from which alone a GAN learns")
    have = Counter(row.emotion for row in rows)
    for split, emotion, need in plan.classes():
        if need.generate and have[emotion] < FEWEST:
            raise DataError(
                f"{dataset}: train has {have[emotion]} images of {emotion} for the GAN to learn from, and "
                f"{need.generate:,} are wanted for {split}: of fewer than {FEWEST} it would make little but them "
                "again; take --method augment, or add images"
            )


def _album(reals: TrainingFaces) -> CorrelationIndex:
    """Return the real faces, in their order, to compare with."""
    album = CorrelationIndex(len(reals.images), reals.images.device)
    for part in torch.split(reals.images, CHUNK):
        pixels: Pixels = channels_last(part).contiguous().cpu().numpy()
        album.add(np.stack([comparable(face) for face in pixels]))
    return album


def _draw(
    work: BalanceContext, gan: Gan, card: GanMetadata, train: CorrelationIndex, learnt: Sequence[Row]
) -> list[Row]:
    """Draw the faces, write them and the sheets; put what there is to know of them into the summary."""
    config, folder, plan = work.config, work.job.folder, work.plan
    known = {row.path for row in learnt}
    rest = [row for row in work.rows if row.path not in known]
    others, held_out = _others(work, rest, train, gan.device)
    wanted = sum(need.generate for _, _, need in plan.classes())
    room = wanted + CHUNK * len(gan.reals.counts)  # of the last chunk of each class some are not asked for
    generator: Any = gan.average.model
    sampler = Sampler(generator, config.seed, config.gan_truncation, train, others, CorrelationIndex(room, gan.device))
    rows: list[Row] = []
    taken = {row.path.lower() for row in work.rows}
    source = f"{FOLDER}/{WEIGHTS}"
    how = json.dumps({"model": source, "revision": card.sha256[:12], "seed": config.seed})
    with work.progress.task("drawing", wanted):
        for split, emotion, need in plan.classes():
            label = list(gan.reals.counts).index(emotion) if need.generate else 0
            paths = _free(f"{split}/{emotion}", taken)
            for number, face in sampler.draw(label, need.generate, f"{split}/{emotion}"):
                path = next(paths)
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                file = folder / path
                file.unlink(missing_ok=True)
                file.write_bytes(encode_png(face))
                row = Row(path, split, emotion, source=source, row=str(number), origin="generated", made=how)
                rows.append(replace(row, sha256=pixel_digest(face)))
                work.progress.advance()
    nearest = {emotion: sampler.nearest_of(label) for label, emotion in enumerate(gan.reals.counts)}
    unlike = refuse_unlike(
        nearest, held_out, keep_anyway=config.keep_anyway, hint="train longer with --gan-steps, take --method augment"
    )
    _sheets(work, gan, sampler, learnt)
    work.summary["gan"] = {
        "made": len(rows),
        "drawn": sum(sampler.drawn.values()),
        "rejected": dict(sampler.rejected),
        "nearest_real": spread(np.concatenate(list(nearest.values())), MIN_CORRELATION),
        "nearest_real_of_held_out": spread(held_out, MIN_CORRELATION),
        "unlike_any_face": unlike,
    }
    return rows


def _sheets(work: BalanceContext, gan: Gan, sampler: Sampler, learnt: Sequence[Row]) -> None:
    """Write the sheets to look at: what the GAN draws of each class, and its faces beside the real ones nearest."""
    folder = work.job.folder
    shown = {emotion: sampler.first(label, COLUMNS) for label, emotion in enumerate(gan.reals.counts)}
    title = f"the GAN after {gan.steps:,} steps of {gan.batch} faces: the first it draws of each class, none left out"
    (folder / SHEET).write_bytes(class_sheet(shown, title))
    ordered = [row for emotion in gan.reals.counts for row in learnt if row.emotion == emotion]
    pairs = [(face, read_checked(folder, ordered[number]), value) for value, face, number in sampler.closest]
    (folder / NEAREST).write_bytes(
        nearest_sheet(pairs, "those made faces that come nearest to a real one, or to its mirror image")
    )


def _others(
    work: BalanceContext, rows: Sequence[Row], train: CorrelationIndex, device: torch.device
) -> tuple[CorrelationIndex, np.ndarray[Any, np.dtype[np.float32]]]:
    """Return the images that nothing was learnt from, and how near some real ones among them come to the train split.

    That tells how near a new face of these people comes by chance: what a made one should be compared with.
    """
    album = CorrelationIndex(len(rows), device)
    folder = work.job.folder
    small = list(in_threads(lambda row: comparable(read_checked(folder, row)), rows, work.config.workers))
    if small:
        album.add(np.stack(small))
    chosen = held_out_of(rows)
    parts = [np.stack([small[k] for k in chosen[low : low + CHUNK]]) for low in range(0, len(chosen), CHUNK)]
    return album, np.concatenate([np.empty(0, np.float32), *(train.nearest(part)[0] for part in parts)])


def _free(stem: str, taken: set[str]) -> Iterator[str]:
    """Yield the paths of made faces that no image has."""
    number = 0
    while True:
        number += 1
        path = f"{stem}/generated-{number:05d}.png"
        if path.lower() not in taken:
            yield path


def _tell(work: BalanceContext, gan: Gan, card: GanMetadata) -> None:
    """Put the training into the summary, and say how near the faces come to those learnt from."""
    summary = work.summary["gan"]
    summary |= {
        "steps": gan.steps,
        "batch": gan.batch,
        "faces_seen": gan.steps * gan.batch,
        "seconds": round(gan.seconds, 1),
        "precision": type_name(gan.dtype),
        "learnt_from": card.counts,
        "generator_sha256": card.sha256,
    }
    near = summary["nearest_real"]
    work.progress.log(
        f"{summary['made']:,} faces of {summary['drawn']:,} drawn; nearest real face: correlation {near['median']:.2f} "
        f"in the middle, {near['highest']:.2f} at most"
    )
