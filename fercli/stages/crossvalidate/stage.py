"""Crossvalidate: each fold of a dataset is the test set of a model trained on the others.

A repeated call goes on where an earlier one stopped: finished folds are kept, unfinished runs resume from their last
epoch.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import torch

from fercli.artifacts import Artifact, artifact_input, write_text
from fercli.artifacts.building import ArtifactBuilder, build
from fercli.artifacts.digests import digest_file, digest_json
from fercli.datasets.cross_folds import CrossFolds, cross_folds
from fercli.datasets.index import Row, count
from fercli.datasets.subjects import hint
from fercli.errors import DataError, FerError, reworded
from fercli.evaluation.predicting import digests_file, training_digests
from fercli.metrics.confusion import classification_metrics, confusion_matrix
from fercli.models.checkpoints import load_checkpoint
from fercli.models.devices import count_devices
from fercli.packs.writing import common_format, labelled_rows
from fercli.processes import in_processes
from fercli.progress import SILENT, Progress
from fercli.stages.base import resolve_input, resolve_output
from fercli.stages.crossvalidate.balancing import constant_images
from fercli.stages.crossvalidate.config import CrossvalidateConfig
from fercli.stages.crossvalidate.fold import PACKS, PREDICTIONS, Fold, Plan, read_fold, run_fold
from fercli.stages.crossvalidate.metrics import FOLDS, NOISE, TABLE, summarise, write_tables
from fercli.stages.crossvalidate.on_ray import folds_on_ray
from fercli.stages.crossvalidate.page import write_page
from fercli.stages.train_run import run_inputs

SUMMARY = "crossvalidation.json"


def crossvalidate(config: CrossvalidateConfig, progress: Progress = SILENT) -> Artifact:
    """Train a run on each fold's remaining images, and test it on the fold.

    Raises:
        UsageError: an option is invalid, there are too few images for the folds, or they differ in size.
        DataError: the dataset is missing, damaged or has no labels, or the weights are invalid.
        FerError: a fold failed; the message names it.
    """
    config.check_engine()
    dataset = resolve_input(config.dataset, "dataset", progress=progress)
    weights = run_inputs(config.train_options(), dataset)[1:]
    config = config.pinned(weights)
    jobs = max(config.jobs, count_devices(config.device, config.devices))
    config = config.model_copy(update={"jobs": jobs})
    inputs = [artifact_input("dataset", dataset), *weights]
    out = resolve_output(config, config.out, dataset.path, inputs, progress)
    with build(
        out, config.kind, config.stage, options=config.options(), inputs=inputs, seed=config.seed,
        overwrite=config.overwrite, resumable=True,
    ) as builder:  # fmt: skip
        if builder.done:
            return builder.done
        rows = labelled_rows(dataset)
        cross = cross_folds(
            rows, config.splits.split(","), folds=config.folds, repeats=config.repeats, seed=config.fold_seed,
            stratify=config.stratify,
        )  # fmt: skip
        face_format = common_format(dataset, cross.rows, config.size, config.color, progress)
        plan = Plan(
            builder.folder,
            builder.out,
            dataset,
            rows,
            cross,
            face_format,
            config,
            _threads(config),
            _constant(config, dataset, rows, progress),
        )
        held = plan.held_out(plan.folds()[0])  # fails early if there is nothing to validate on
        progress.log(_folds_line(cross, config))
        notes = list(_notes(plan, held.generated))
        for note in notes:
            progress.log(note)
        _run_folds(plan, progress)
        _finish(builder, plan, notes)
    return builder.artifact


def _threads(config: CrossvalidateConfig) -> int | None:
    """Return the CPU threads of each fold; None for those of this process."""
    if config.engine == "ray":
        return config.threads or 1  # the cores that each has to itself
    if config.threads is None and config.jobs > 1:
        return max(1, torch.get_num_threads() // config.jobs)
    return config.threads


def _constant(
    config: CrossvalidateConfig, dataset: Artifact, rows: Sequence[Row], progress: Progress
) -> frozenset[str]:
    """Return the paths of the images that balancing must not augment; empty without balancing."""
    return constant_images(dataset.path, rows, config.workers, progress) if config.balance else frozenset()


def _folds_line(cross: CrossFolds, config: CrossvalidateConfig) -> str:
    """Describe the folds in one line."""
    groups = len(set(cross.groups))
    subjects = len({row.subject for row in cross.rows} - {""})
    kept = f", {subjects or groups:,} {'persons' if subjects else 'groups'} kept together"
    made = "the dataset's own" if cross.imported else f"fold seed {config.fold_seed}"
    repeats = f", {config.repeats} repeats" if config.repeats > 1 else ""
    return f"{len(cross.rows):,} images in {config.folds} folds{repeats} ({made})" + (
        kept if groups < len(cross.rows) else ""
    )


def _notes(plan: Plan, generated: int) -> Iterator[str]:
    """Yield what a reader of the metrics should know."""
    cross, config = plan.cross, plan.config
    if cross.divided:
        yield f"the dataset's own folds divide {cross.divided:,} persons or photographs; other folds were made"
    if suspected := hint(cross.rows):
        yield suspected.replace("in several splits; ", "in several folds; fer import ")
    if config.noise:
        shares = ", ".join(f"{rate:.4g}" for rate in config.rates)
        yield (
            f"label noise: in train the labels of a share of the images ({shares}) are swapped for another emotion, "
            "all others with equal probability; those of validation and of the held-out images are as in the dataset"
        )
    if generated:
        yield (
            f"{generated:,} generated images are in train in all folds; if their generator was trained on this "
            "dataset, they may resemble held-out images"
        )
    if (seen := _seen_by_weights(config.weights, cross.rows)) is not None and seen:
        yield (
            f"the weights that training starts from were trained on {seen:,} of these {len(cross.rows):,} images, so "
            "the folds are not unseen: the metrics are too high"
        )


def _seen_by_weights(weights: str | None, rows: Sequence[Row]) -> int | None:
    """Return how many images the weights to start from were trained on; None if unknown."""
    if weights in (None, "imagenet"):
        return None
    try:
        checkpoint = load_checkpoint(Path(str(weights)))
        if not digests_file(checkpoint).is_file():
            return None
        known = {bytes(digest).hex() for digest in training_digests(checkpoint, "--weights")}
    except DataError:  # a plain file of weights, of whose training nothing is known
        return None
    return sum(row.sha256 in known for row in rows)


def _run_folds(plan: Plan, progress: Progress) -> None:
    """Run the folds that are not finished, several at a time with `jobs`.

    Raises:
        FerError: a fold failed; those that are finished stay.
    """
    folds = plan.folds()
    waiting = [fold for fold in folds if not fold.is_done()]
    if done := len(folds) - len(waiting):
        progress.log(f"{done} of {len(folds)} folds were finished by an earlier call")
    if plan.config.jobs == 1 and plan.config.engine == "local":
        for fold in waiting:
            try:
                run_fold(fold, progress)
            except FerError as error:
                raise reworded(error, f"{fold.title}: {error}") from error
            progress.log(_fold_line(fold))
        return
    with progress.task("folds", len(folds)), closing(_several_at_once(plan, waiting, progress)) as finished:
        progress.advance(done)
        for fold in finished:
            progress.log(_fold_line(fold))
            progress.advance()


def _several_at_once(plan: Plan, folds: Sequence[Fold], progress: Progress) -> Generator[Fold]:
    """Yield the folds as they are finished."""
    if plan.config.engine == "ray":
        yield from folds_on_ray(plan, folds)
        return
    for fold, _ in in_processes(run_fold, folds, plan.config.jobs, title=lambda fold: fold.title, progress=progress):
        yield fold


def _fold_line(fold: Fold) -> str:
    """Return the metrics of a finished fold as a log line."""
    found, emotions = read_fold(fold), fold.plan.dataset.manifest.emotions
    matrix = confusion_matrix(found.labels, found.probabilities.argmax(1), len(emotions))
    metrics = classification_metrics(matrix, emotions)
    return (
        f"{fold.title}: accuracy {metrics.accuracy:.2%}, macro F1 {metrics.macro_f1:.3f}, n = {len(found.labels):,}, "
        f"epoch {found.run.summary['best_epoch']}"
    )


def _finish(builder: ArtifactBuilder, plan: Plan, notes: Sequence[str]) -> None:
    """Write the tables, the summary and the page; finish the artifact."""
    results = [(fold, read_fold(fold)) for fold in plan.folds()]
    summary = summarise(plan, results, notes)
    write_tables(builder.folder, plan, results, summary)
    write_text(builder.folder / SUMMARY, json.dumps(dict(summary), indent=1) + "\n")
    tables = [TABLE, FOLDS, *([NOISE] if len(plan.config.rates) > 1 else [])]
    device = results[0][1].run.manifest.device
    write_page(builder, plan, summary, device)
    shutil.rmtree(builder.folder / PREDICTIONS, ignore_errors=True)
    if not plan.config.keep_packs:
        shutil.rmtree(builder.folder / PACKS, ignore_errors=True)
    builder.finish(
        digest=digest_json([digest_file(builder.folder / name) for name in tables]),
        emotions=summary.emotions,
        counts=count(plan.cross.rows, summary.emotions),
        summary=summary,
        device=device,
    )
