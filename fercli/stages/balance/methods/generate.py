"""Create faces with a diffusion model: prompts, images, faces, rows."""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
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
from fercli.faces.detectors import choose_detector, create_detector, find_detector
from fercli.generation.correlation_index import CorrelationIndex, comparison_thumbnail
from fercli.generation.diffusion.face_generator import FaceGenerator, Result, Task
from fercli.generation.diffusion.factory import FaceGeneratorFactory
from fercli.generation.diffusion.journal import Entry, Journal
from fercli.generation.diffusion.pipeline import DiffusionSampler, Settings
from fercli.generation.diffusion.run import GenerationRun, describe_rejections, rejections
from fercli.generation.diffusion.source import DiffusionSource, find_source
from fercli.generation.face_similarity import HELD_OUT, held_out_indices, refuse_unlike
from fercli.generation.prompts.file import PROMPTS, write_prompts
from fercli.generation.prompts.prompt import Prompt
from fercli.generation.prompts.sampling import sample_prompts
from fercli.images import Color, Pixels, image_info, read_image
from fercli.models.devices import cluster_device, find_device
from fercli.parallel import in_threads
from fercli.stages.balance.config import BalanceConfig
from fercli.stages.balance.context import BalanceContext
from fercli.stages.balance.summary import GenerationSummary
from fercli.weights import find_weights

GENERATED, _JOURNAL = "generated.jsonl", "journal.jsonl"
TASKS_PER_CALL = 32
"""Images generated per call of a cluster worker."""


def inputs(config: BalanceConfig) -> list[Input]:
    """Return the diffusion model, and the weights of the detector, if any, as inputs.

    Raises:
        FerError: one of them is not available.
    """
    find_device(config.device)
    source = find_source(config.generator, config.revision)
    name, weights = detector_and_weights(config)
    create_detector(name, weights)
    if weights is None:
        return [source.input()]
    return [source.input(), input_of("weights", weights, "weights", digest_file(weights))]


def detector_and_weights(config: BalanceConfig) -> tuple[str, Path | None]:
    """Return the name of the detector, and its weights, if any."""
    spec = find_detector(choose_detector(config.detector, config.weights))
    return spec.name, config.weights if spec.weights is None else find_weights(spec.weights, config.weights)


def fill(context: BalanceContext) -> list[Row]:
    """Generate the planned images, or those of the given prompts; return their rows.

    A prompt that yields no face within its tries is skipped and reported, so that hours of work are not lost.

    Raises:
        DataError: none of the first prompts yields a face.
        FerError: the device does not have enough memory for one image.
    """
    config, folder = context.config, context.builder.folder
    prompts = list(context.prompts) or list(
        sample_prompts(context.plan.to_generate(), config.seed, {row.path.lower() for row in context.rows})
    )
    demographics = write_prompts(folder / PROMPTS, prompts, len(prompts), context.progress)
    if not prompts:
        return []
    source = find_source(config.generator, config.revision)
    factory = _factory(context, source)
    with Journal(folder / _JOURNAL) as journal:
        if journal.entries:
            context.progress.log(f"resuming from prompt {len(journal.entries):,}/{len(prompts):,}")
        if not source.has_safety_checker:
            context.progress.log(f"{source.name} has no safety checker: review its images before showing them")
        run = GenerationRun(folder, prompts, _index_images(context), journal, config.tries, context.progress)
        try:
            entries = run.run(_on_cluster(factory, config) if config.engine == "ray" else _locally(factory, context))
        except FerError:
            if not any(entry.sha256 for entry in journal.entries.values()):
                discard(folder)  # nothing to resume: another call would fail too
            raise
    rows = [_row(prompts[e.number], e, source) for e in entries if e.sha256]
    unlike = _check_similarity(context, rows)
    write_text(folder / GENERATED, "".join(_line(prompts[e.number], e, source, config) for e in entries))
    (folder / _JOURNAL).unlink()
    _log_summary(context, prompts, entries, journal, source, unlike)
    context.details["people"] = demographics.table(list(dict.fromkeys(prompt.emotion for prompt in prompts)))
    return rows


def _factory(context: BalanceContext, source: DiffusionSource) -> FaceGeneratorFactory:
    config = context.config
    settings = Settings(config.image_size, config.steps, config.guidance, config.scheduler, config.device)
    detector = partial(create_detector, *detector_and_weights(config))
    size, color = context.face_format or most_common_format(context.builder.folder, context.rows)
    return FaceGeneratorFactory(source, settings, detector, size, color, config.margin, config.tries, config.batch_size)


def _locally(factory: FaceGeneratorFactory, context: BalanceContext) -> Callable[[deque[Task]], Iterable[Result]]:
    """Return a function that generates images in this process; the model is loaded on its first call."""
    generator: FaceGenerator | None = None

    def generate(tasks: deque[Task]) -> Iterator[Result]:
        nonlocal generator
        if generator is None:
            context.progress.log(f"loading {factory.source.name}")
            generator = factory.create(context.progress)
            sampler = generator.sampler
            assert isinstance(sampler, DiffusionSampler)
            context.device = sampler.device.type
            context.details["precision"] = sampler.dtype
            if count := sum(sampler.is_truncated(task.request.prompt) for task in tasks):
                context.progress.log(f"truncated {count:,} of {len(tasks):,} prompts to the text encoder's limit")
        yield from generator.generate(tasks)

    return generate


def _on_cluster(factory: FaceGeneratorFactory, config: BalanceConfig) -> Callable[[deque[Task]], Iterable[Result]]:
    """Return a function that generates images on a Ray cluster, in chunks of prompts."""
    gpus, device = cluster_device(config.device)
    factory = replace(factory, settings=replace(factory.settings, device=device))

    def generate(tasks: deque[Task]) -> Iterator[Result]:
        queue = tuple(tasks)
        chunks = [queue[low : low + TASKS_PER_CALL] for low in range(0, len(queue), TASKS_PER_CALL)]
        tasks.clear()
        for results in map_on_ray(factory, chunks, workers=config.workers, address=config.ray_address, gpus=gpus):
            yield from results

    return generate


def most_common_format(folder: Path, rows: Iterable[Row]) -> tuple[int, Color]:
    """Return the most common format among the first thousand images of a dataset: longer side, and colour."""
    formats: Counter[tuple[int, Color]] = Counter()
    for row in list(rows)[:1000]:
        height, width, grey = image_info(folder / row.path)
        formats[max(height, width), "gray" if grey else "rgb"] += 1
    return formats.most_common(1)[0][0]


def _index_images(context: BalanceContext) -> DuplicateIndex:
    """Return a duplicate index of the dataset's images."""
    folder = context.builder.folder
    duplicates = DuplicateIndex(lambda path: read_image(folder / path))

    def read_fingerprint(row: Row) -> Fingerprint:
        pixels: Pixels = read_checked(folder, row)
        return fingerprint(pixels)

    results = in_threads(read_fingerprint, context.rows, context.config.workers)
    tracked = context.progress.track(results, "hashing", len(context.rows))
    for row, result in zip(context.rows, tracked, strict=True):
        duplicates.add(row.path, result)
    return duplicates


def _check_similarity(context: BalanceContext, created: list[Row]) -> list[str]:
    """Return the emotions whose generated images do not look like faces of train; empty if train has no images.

    Raises:
        DataError: there are such emotions, and `keep_anyway` is not set.
    """
    train = [
        row
        for row in context.rows
        if row.split == "train" and row.origin == "real" and row.path not in context.constant
    ]
    if not train:
        return []
    index = CorrelationIndex(len(train), find_device(context.config.device))
    index.add(_thumbnails(context, train))
    by_emotion: dict[str, list[Row]] = {}
    for row in created:
        by_emotion.setdefault(row.emotion, []).append(row)
    nearest = {e: index.nearest(_thumbnails(context, members[:HELD_OUT]))[0] for e, members in by_emotion.items()}
    others = [context.rows[k] for k in held_out_indices(context.rows)]
    held_out = index.nearest(_thumbnails(context, others))[0] if others else np.empty(0, np.float32)
    return refuse_unlike(
        nearest, held_out, keep_anyway=context.config.keep_anyway, hint="look at them, use another --generator"
    )


def _thumbnails(context: BalanceContext, rows: Sequence[Row]) -> Pixels:
    """Return images in the form used for comparison, (N, 48, 48)."""
    folder = context.builder.folder
    return np.stack(
        list(in_threads(lambda row: comparison_thumbnail(read_checked(folder, row)), rows, context.config.workers))
    )


def _row(prompt: Prompt, entry: Entry, source: DiffusionSource) -> Row:
    split = prompt.file.split("/")[0]
    made = {
        "model": source.name,
        "revision": source.revision,
        "seed": prompt.seed + entry.tries,
        "prompt": prompt.text,
    }
    return Row(
        prompt.file, split, prompt.emotion, source=PROMPTS, row=str(entry.number), box=entry.box, score=entry.score,
        sha256=entry.sha256, origin="generated", made=json.dumps(made, ensure_ascii=False),
    )  # fmt: skip


def _line(prompt: Prompt, entry: Entry, source: DiffusionSource, config: BalanceConfig) -> str:
    """Return the record of one prompt's image as a line of JSON."""
    values: dict[str, Any] = {
        "file": prompt.file if entry.sha256 else None,
        "emotion": prompt.emotion,
        "prompt": prompt.text,
        "negative_prompt": prompt.negative,
        "seed": prompt.seed + entry.tries if entry.sha256 else None,
        "rejected": list(entry.rejected),
        "model": source.name,
        "revision": source.revision,
        "scheduler": config.scheduler,
        "steps": config.steps,
        "guidance": config.guidance,
        "size": config.image_size,
        "sha256": entry.sha256 or None,
    }
    return json.dumps(values, ensure_ascii=False) + "\n"


def _log_summary(
    context: BalanceContext,
    prompts: list[Prompt],
    entries: list[Entry],
    journal: Journal,
    source: DiffusionSource,
    unlike: list[str],
) -> None:
    """Add the results to the summary, and log what is missing."""
    missing = Counter(
        (prompts[e.number].file.split("/")[0], prompts[e.number].emotion) for e in entries if not e.sha256
    )
    context.summary["generation"] = GenerationSummary(
        made=sum(bool(entry.sha256) for entry in entries),
        images=journal.images,
        rejected=rejections(entries),
        missing={f"{split}/{emotion}": count for (split, emotion), count in missing.items()},
        generator=source.name,
        revision=source.revision,
        safety_checker=source.has_safety_checker,
        seconds=round(journal.seconds, 1),
        seconds_an_image=round(journal.seconds / max(1, journal.images), 3),
        unlike_any_face=tuple(unlike),
    )
    if missing:
        classes = ", ".join(f"{count:,} of {split}/{emotion}" for (split, emotion), count in missing.items())
        context.progress.log(
            f"missing: {classes} yielded no face within {context.config.tries} tries "
            f"({describe_rejections(entries)}); try another --seed, or more --tries"
        )
