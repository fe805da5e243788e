"""Filling classes by generation: prompts, images, faces, rows."""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fercli.artifacts import Input, input_of, write_text
from fercli.artifacts.digests import digest_file
from fercli.artifacts.staging import discard
from fercli.cluster import map_on_ray
from fercli.datasets.duplicate_index import DuplicateIndex, Fingerprint, fingerprint
from fercli.datasets.index import Row
from fercli.datasets.reading import read_checked
from fercli.errors import FerError
from fercli.faces.base import Detector
from fercli.faces.detectors import choose_detector, create_detector, find_detector
from fercli.generation.correlation import CorrelationIndex, comparable
from fercli.generation.diffusion.faces import FaceGenerator, Result, Task
from fercli.generation.diffusion.journal import Entry, Journal
from fercli.generation.diffusion.pipeline import DiffusionSampler, Settings
from fercli.generation.diffusion.screening import Drawing, describe_rejections, rejections
from fercli.generation.diffusion.source import Generator, find_generator
from fercli.generation.likeness import HELD_OUT, held_out_of, refuse_unlike
from fercli.generation.prompts.prompts import PROMPTS, Prompt, draw_prompts, write_prompts
from fercli.images import Color, Pixels, image_info, read_image
from fercli.models.devices import find_device
from fercli.parallel import in_threads
from fercli.progress import SILENT, Progress
from fercli.stages.balance.config import BalanceConfig
from fercli.stages.balance.context import BalanceContext
from fercli.weights import find_weights

GENERATED, _JOURNAL = "generated.jsonl", "journal.jsonl"
_SHARE = 32
"""Images handed to a cluster's worker at a time."""


def inputs(config: BalanceConfig) -> list[Input]:
    """Return the generator, and the detector's weights where it has any, as inputs.

    Raises:
        FerError: one of them is not there.
    """
    find_device(config.device)
    found = find_generator(config.generator, config.revision)
    name, weights = detector_of(config)
    create_detector(name, weights)
    own = [input_of("weights", weights, "weights", digest_file(weights))] if weights else []
    return [found.input(), *own]


def detector_of(config: BalanceConfig) -> tuple[str, Path | None]:
    """Return the detector's name and its weights."""
    spec = find_detector(choose_detector(config.detector, config.weights))
    return spec.name, config.weights if spec.weights is None else find_weights(spec.weights, config.weights)


def fill(work: BalanceContext) -> list[Row]:
    """Generate the images that the plan wants, or those of the prompts given; return their rows.

    A prompt that gives no face within its tries is left out and told: what was made in hours must not be lost.

    Raises:
        DataError: the first prompts give no face at all.
        FerError: the device has no memory for one image.
    """
    config, folder = work.config, work.job.folder
    prompts = list(work.prompts) or list(
        draw_prompts(work.plan.to_generate(), config.seed, {row.path.lower() for row in work.rows})
    )
    people = write_prompts(folder / PROMPTS, prompts, len(prompts), work.progress)
    if not prompts:
        return []
    generator = find_generator(config.generator, config.revision)
    size, color = work.form or form_of(folder, work.rows)
    make = _Making(config, generator, size, color, partial(create_detector, *detector_of(config)))
    with Journal(folder / _JOURNAL) as journal:
        if journal.entries:
            work.progress.log(f"going on after {len(journal.entries):,} of {len(prompts):,} prompts")
        if generator.safe is False:
            work.progress.log(f"{generator.name} has no safety checker: look at what it made before you show it")
        drawing = Drawing(folder, prompts, _known(work), journal, config.tries, work.progress)
        try:
            taken = drawing.run(_on_cluster(make, config) if config.engine == "ray" else _here(make, work))
        except FerError:
            if not any(entry.sha256 for entry in journal.entries.values()):
                discard(folder)  # nothing to go on from: calling again would end the same
            raise
    rows = [_row(prompts[e.number], e, generator) for e in taken if e.sha256]
    unlike = _unlike(work, rows)
    write_text(folder / GENERATED, "".join(_line(prompts[e.number], e, generator, config) for e in taken))
    (folder / _JOURNAL).unlink()
    _tell(work, prompts, taken, journal, generator)
    work.summary["generation"]["unlike_any_face"] = unlike
    work.details["people"] = people.table(list(dict.fromkeys(prompt.emotion for prompt in prompts)))
    return rows


class _Making:
    """Makes a `FaceGenerator`, here or in a cluster's worker: it can be pickled."""

    def __init__(
        self, config: BalanceConfig, generator: Generator, size: int, color: Color, detector: Callable[[], Detector]
    ) -> None:
        self.config, self.generator, self.size, self.color, self.detector = config, generator, size, color, detector

    def maker(self, progress: Progress = SILENT) -> FaceGenerator:
        config = self.config
        settings = Settings(config.image_size, config.steps, config.guidance, config.scheduler, config.device)
        painter = DiffusionSampler(self.generator, settings)
        batch = config.batch_size or painter.batch()
        return FaceGenerator(
            painter, self.detector(), self.size, self.color, config.margin, config.tries, batch, progress
        )

    def __call__(self) -> Callable[[tuple[Task, ...]], list[Result]]:
        """Return what a cluster's worker does with its share."""
        return partial(_share, self.maker())


def _share(maker: FaceGenerator, tasks: tuple[Task, ...]) -> list[Result]:
    return list(maker.make(deque(tasks)))


def _here(making: _Making, work: BalanceContext) -> Callable[[deque[Task]], Iterable[Result]]:
    """Return what makes images in this process; the generator is loaded when the first is wanted."""
    maker: FaceGenerator | None = None

    def make(tasks: deque[Task]) -> Iterator[Result]:
        nonlocal maker
        if maker is None:
            work.progress.log(f"loading {making.generator.name}")
            maker = making.maker(work.progress)
            painter = maker.painter
            assert isinstance(painter, DiffusionSampler)
            work.device = painter.device.type
            work.details["precision"] = painter.dtype
            if cut := sum(painter.too_long(task.order.prompt) for task in tasks):
                work.progress.log(f"{cut:,} of {len(tasks):,} prompts are longer than the text encoder reads: cut")
        yield from maker.make(tasks)

    return make


def _on_cluster(making: _Making, config: BalanceConfig) -> Callable[[deque[Task]], Iterable[Result]]:
    """Return what makes images on a Ray cluster, a share of the prompts at a time."""

    gpus = 1.0 if find_device(config.device).type == "cuda" else 0.0
    making.config = config.model_copy(update={"device": "cuda" if gpus else config.device})  # Ray deals the GPUs out

    def make(tasks: deque[Task]) -> Iterator[Result]:
        wanted = tuple(tasks)
        shares = [wanted[low : low + _SHARE] for low in range(0, len(wanted), _SHARE)]
        tasks.clear()
        for done in map_on_ray(making, shares, workers=config.workers, address=config.ray_address, gpus=gpus):
            yield from done

    return make


def form_of(folder: Path, rows: Iterable[Row]) -> tuple[int, Color]:
    """Return the format that most of a data set's first thousand images have: the longer side, and the colour."""
    forms: Counter[tuple[int, Color]] = Counter()
    for row in list(rows)[:1000]:
        height, width, grey = image_info(folder / row.path)
        forms[max(height, width), "gray" if grey else "rgb"] += 1
    return forms.most_common(1)[0][0]


def _known(work: BalanceContext) -> DuplicateIndex:
    """Return a lookout that knows the data set's own images."""
    folder = work.job.folder
    lookout = DuplicateIndex(lambda path: read_image(folder / path))

    def look_at(row: Row) -> Fingerprint:
        pixels: Pixels = read_checked(folder, row)
        return fingerprint(pixels)

    results = in_threads(look_at, work.rows, work.config.workers)
    for row, picture in zip(work.rows, work.progress.track(results, "hashing", len(work.rows)), strict=True):
        lookout.add(row.path, picture)
    return lookout


def _unlike(work: BalanceContext, made: list[Row]) -> list[str]:
    """Return the emotions whose generated images look like no face of train; nothing where train has no face.

    Raises:
        DataError: there are some, and they are not to be kept anyway.
    """
    train = [
        row for row in work.rows if row.split == "train" and row.origin == "real" and row.path not in work.constant
    ]
    if not train:
        return []
    album = CorrelationIndex(len(train), find_device(work.config.device))
    album.add(_comparable(work, train))
    by_emotion: dict[str, list[Row]] = {}
    for row in made:
        by_emotion.setdefault(row.emotion, []).append(row)
    nearest = {emotion: album.nearest(_comparable(work, own[:HELD_OUT]))[0] for emotion, own in by_emotion.items()}
    others = [work.rows[k] for k in held_out_of(work.rows)]
    held_out = album.nearest(_comparable(work, others))[0] if others else np.empty(0, np.float32)
    return refuse_unlike(
        nearest, held_out, keep_anyway=work.config.keep_anyway, hint="look at them, take another --generator"
    )


def _comparable(work: BalanceContext, rows: Sequence[Row]) -> Pixels:
    """Return images as they are compared, (N, 48, 48)."""
    folder = work.job.folder
    return np.stack(list(in_threads(lambda row: comparable(read_checked(folder, row)), rows, work.config.workers)))


def _row(prompt: Prompt, entry: Entry, generator: Generator) -> Row:
    split = prompt.file.split("/")[0]
    made = {
        "model": generator.name,
        "revision": generator.revision,
        "seed": prompt.seed + entry.tries,
        "prompt": prompt.text,
    }
    return Row(
        prompt.file, split, prompt.emotion, source=PROMPTS, row=str(entry.number), box=entry.box, score=entry.score,
        sha256=entry.sha256, origin="generated", made=json.dumps(made, ensure_ascii=False),
    )  # fmt: skip


def _line(prompt: Prompt, entry: Entry, generator: Generator, config: BalanceConfig) -> str:
    """Return what there is to know of one prompt's image as a line of JSON."""
    values: dict[str, Any] = {
        "file": prompt.file if entry.sha256 else None,
        "emotion": prompt.emotion,
        "prompt": prompt.text,
        "negative_prompt": prompt.negative,
        "seed": prompt.seed + entry.tries if entry.sha256 else None,
        "rejected": list(entry.rejected),
        "model": generator.name,
        "revision": generator.revision,
        "scheduler": config.scheduler,
        "steps": config.steps,
        "guidance": config.guidance,
        "size": config.image_size,
        "sha256": entry.sha256 or None,
    }
    return json.dumps(values, ensure_ascii=False) + "\n"


def _tell(
    work: BalanceContext, prompts: list[Prompt], taken: list[Entry], journal: Journal, generator: Generator
) -> None:
    """Put what came of it into the summary, and say what is missing."""
    missing = Counter((prompts[e.number].file.split("/")[0], prompts[e.number].emotion) for e in taken if not e.sha256)
    made = sum(bool(entry.sha256) for entry in taken)
    work.summary["generation"] = {
        "made": made,
        "images": journal.images,
        "rejected": rejections(taken),
        "missing": {f"{split}/{emotion}": count for (split, emotion), count in missing.items()},
        "generator": generator.name,
        "revision": generator.revision,
        "safety_checker": generator.safe,
        "seconds": round(journal.seconds, 1),
        "seconds_an_image": round(journal.seconds / max(1, journal.images), 3),
    }
    if missing:
        classes = ", ".join(f"{count:,} of {split}/{emotion}" for (split, emotion), count in missing.items())
        work.progress.log(
            f"not filled up: {classes} gave no face within {work.config.tries} tries ({describe_rejections(taken)}); "
            "another --seed, or more --tries, may"
        )
