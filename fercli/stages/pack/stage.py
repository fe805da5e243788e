"""Pack: convert a dataset's images to one size and colour, and write them to one HDF5 file."""

from __future__ import annotations

from fercli.artifacts import Artifact, artifact_input
from fercli.artifacts.building import build
from fercli.datasets.split_leaks import find_leaks
from fercli.packs.writing import LEFT_OUT, check_leaks, labelled_rows, write_pack
from fercli.progress import SILENT, Progress
from fercli.stages.base import resolve_input, resolve_output
from fercli.stages.pack.config import PackConfig
from fercli.stages.pack.folds import FoldSplit, hold_out
from fercli.stages.pack.soft_targets import mix_predictions


def pack(config: PackConfig, progress: Progress = SILENT) -> Artifact:
    """Write a dataset as a pack. Without `size` and `color`, pixels are stored unchanged if all images have one format.

    Raises:
        DataError: the dataset is missing or damaged, an image differs from its index, or the cross-validation of
            `soft_targets` is not one of this dataset's train images.
        LeakError: an image is in more than one split, and `allow_leaks` is not set.
        UsageError: the images differ in size and no size is given, or the dataset has no such fold.
    """
    dataset = resolve_input(config.dataset, "dataset", progress=progress)
    inputs = [artifact_input("dataset", dataset)]
    cross = resolve_input(config.soft_targets, "crossvalidation", progress=progress) if config.soft_targets else None
    if cross:
        inputs.append(artifact_input("crossvalidation", cross))
    out = resolve_output(config, config.out, dataset.path, inputs, progress)
    with build(
        out, "pack", config.stage, options=config.options(), inputs=inputs, overwrite=config.overwrite
    ) as builder:
        if builder.done:
            return builder.done
        rows = labelled_rows(dataset)
        held = hold_out(dataset.path, rows, config.fold) if config.fold else None
        if held:
            rows = held.rows
            _log_fold(held, progress)
        if not config.allow_leaks:  # fail early on leaks that the index already shows
            folded = {row.path for row in rows if row.fold} if held else ()
            check_leaks(dataset.path, find_leaks(rows, [row.sha256 for row in rows]), folded)
        mixed = None
        if cross:
            rows, mixed = mix_predictions(dataset, rows, cross, config.soft_share)
        leaks = write_pack(
            builder,
            dataset,
            rows,
            size=config.size,
            color=config.color,
            allow_leaks=config.allow_leaks,
            workers=config.workers,
            progress=progress,
            fold=held.summary() if held else None,
            mixed=mixed,
            left_out=held.left_out if held else (),
            shards=config.shards,
            codec=config.codec,
            quality=config.quality,
        )
    if leaks:
        progress.log(f"packed with {leaks:,} leaks between splits (--allow-leaks)")
    return builder.artifact


def _log_fold(held: FoldSplit, progress: Progress) -> None:
    """Log the splits that result from holding out a fold."""
    validation = "" if held.part == "validation" else f", fold {held.validation} is validation"
    progress.log(f"fold {held.fold} of {held.folds} is {held.part}{validation}, all others are train")
    if held.left_out:
        progress.log(f"left out {len(held.left_out):,} derived images: {LEFT_OUT}")
    if held.generated:
        progress.log(
            f"{held.generated:,} generated images are in train; their generator was trained on this dataset, so they "
            "may resemble held-out images"
        )
