"""Pack: convert a dataset's images to one size and colour, and write them to one HDF5 file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from fercli.artifacts import Artifact, artifact_input
from fercli.artifacts.building import build
from fercli.artifacts.digests import digest_file
from fercli.datasets.index import UNLABELLED, Row, count, read_index, totals
from fercli.datasets.reading import read_checked
from fercli.errors import DataError, LeakError, UsageError
from fercli.files import preallocate
from fercli.images import Color, Pixels, as_color, fit_square, image_info, pixel_digest
from fercli.packs.file import FILE, MAX_SIZE, Votes, create_split, finish_split, write_attributes
from fercli.packs.integrity import remember
from fercli.parallel import in_threads
from fercli.progress import SILENT, Progress
from fercli.stages.base import resolve_input, resolve_output
from fercli.stages.pack.config import PackConfig
from fercli.stages.pack.folds import LEFT_OUT, FoldSplit, hold_out
from fercli.stages.pack.leaks import find_leaks
from fercli.stages.pack.summary import PackSummary
from fercli.stages.pack.votes import soft_targets

_CHUNK = 32


def pack(config: PackConfig, progress: Progress = SILENT) -> Artifact:
    """Write a dataset as a pack. Without `size` and `color`, pixels are stored unchanged if all images have one format.

    Raises:
        DataError: the dataset is missing or damaged, or an image differs from its index.
        LeakError: an image is in more than one split, and `allow_leaks` is not set.
        UsageError: the images differ in size and no size is given, or the dataset has no such fold.
    """
    dataset = resolve_input(config.dataset, "dataset", progress=progress)
    inputs = [artifact_input("dataset", dataset)]
    out = resolve_output(config, config.out, dataset.path, inputs, progress)
    with build(
        out, "pack", config.stage, options=config.options(), inputs=inputs, overwrite=config.overwrite
    ) as builder:
        if builder.done:
            return builder.done
        emotions = dataset.manifest.emotions
        rows = _labelled(dataset)
        held = hold_out(dataset.path, rows, config.fold) if config.fold else None
        if held:
            rows = held.rows
            _log_fold(held, progress)
        if not config.allow_leaks:  # fail early on leaks that the index already shows
            _check_leaks(dataset.path, find_leaks(rows, [row.sha256 for row in rows]), held)
        votes = soft_targets(dataset.path, rows, emotions)
        size, color = _image_format(config, dataset, rows, progress)
        file_size = _max_file_size(rows, size, color, len(emotions) if votes else 0)
        preallocate(builder.folder / FILE, file_size)  # a full disk fails before HDF5 writes anything
        # Later format versions store timestamps, which would change the digest of identical data.
        with h5py.File(builder.folder / FILE, "w", libver="earliest") as file:
            preallocate(file.id.get_vfd_handle(), file_size)
            packed = _write(file, dataset, rows, votes, size, color, config.workers, progress)
            write_attributes(file, emotions, size, color, dataset.manifest.digest)
            file.flush()
            end = file.id.get_filesize()
        os.truncate(builder.folder / FILE, end)  # HDF5 leaves unused preallocated space
        leaks = find_leaks(rows, packed)
        if not config.allow_leaks:
            _check_leaks(dataset.path, leaks, held)
        counts = count(rows, emotions)
        summary = PackSummary(images=totals(counts), emotions=emotions, size=size, color=color, leaks=len(leaks))
        if votes:
            voted = totals(count((row for row in rows if row.votes), emotions))
            summary = summary.model_copy(update={"votes": voted})
        if held:
            summary = summary.model_copy(update={"fold": held.summary()})
        digest = digest_file(builder.folder / FILE)
        remember(digest)
        builder.finish(
            digest=digest,
            emotions=emotions,
            counts=counts,
            skipped={LEFT_OUT: held.left_out} if held and held.left_out else {},
            summary=summary,
        )
    if leaks:
        progress.log(f"packed with {len(leaks):,} leaks between splits (--allow-leaks)")
    return builder.artifact


def _labelled(dataset: Artifact) -> list[Row]:
    """Return a dataset's labelled rows.

    Raises:
        DataError: there are none, or an emotion is missing from the manifest.
    """
    rows = [row for row in read_index(dataset) if row.split != UNLABELLED]
    if not rows:
        raise DataError(f"{dataset.path}: has no labelled images")
    if unknown := {row.emotion for row in rows} - set(dataset.manifest.emotions):
        raise DataError(f"{dataset.path}: its manifest lacks the emotions {', '.join(sorted(unknown))}; re-create it")
    return rows


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


def _check_leaks(path: Path, leaks: list[tuple[str, str]], held: FoldSplit | None) -> None:
    """Raise LeakError if there are leaks."""
    if leaks:
        folded = {row.path for row in held.rows if row.fold} if held else set()
        advice = (
            "re-import it with --folds, which keeps identical images in one fold"
            if any(folded.issuperset(pair) for pair in leaks)
            else f"remove them with 'fer clean {path} CLEANED', or pack the benchmark as published with --allow-leaks"
        )
        raise LeakError(
            f"{path}: images that appear in more than one split: {len(leaks):,} "
            f"(such as {' and '.join(leaks[0])}); {advice}"
        )


def _image_format(config: PackConfig, dataset: Artifact, rows: list[Row], progress: Progress) -> tuple[int, Color]:
    """Return the pack's size and colour: as configured, otherwise those common to all images."""
    if config.size is not None and config.color is not None:
        return config.size, config.color
    paths = (dataset.path / row.path for row in rows)
    formats = set(progress.track(map(image_info, paths), "inspecting", len(rows)))
    color: Color = config.color or ("gray" if all(gray for _, _, gray in formats) else "rgb")
    sizes = {(height, width) for height, width, _ in formats}
    if config.size is not None:
        return config.size, color
    height, width = next(iter(sizes))
    if len(sizes) > 1 or height != width or height > MAX_SIZE:
        example = f"{width} x {height}" if len(sizes) == 1 else f"{len(sizes)} different sizes"
        raise UsageError(
            f"{dataset.path}: the images are not square, of equal size and at most {MAX_SIZE} pixels ({example}); "
            "set --size N"
        )
    return height, color


def _max_file_size(rows: list[Row], size: int, color: Color, votes: int) -> int:
    """Return an upper bound of the file's size in bytes."""
    face = size * size * (1 if color == "gray" else 3) + 1 + 32 + 4 * votes
    paths = sum(16 + len(row.path.encode()) + 64 for row in rows)  # a reference, and an entry in the heap
    return face * len(rows) + paths + (1 << 16)


def _write(
    file: h5py.File,
    dataset: Artifact,
    rows: list[Row],
    votes: dict[str, Votes],
    size: int,
    color: Color,
    workers: int | None,
    progress: Progress,
) -> list[str]:
    """Write the file split by split; return the digests of the packed images, in row order."""
    label = {emotion: number for number, emotion in enumerate(dataset.manifest.emotions)}
    digests: dict[str, str] = {}
    with progress.task("packing", len(rows)):
        for split in dict.fromkeys(row.split for row in rows):
            part = [row for row in rows if row.split == split]
            images = create_split(file, split, len(part), size, color)
            done = 0
            for chunk, pictures in _read_chunks(dataset.path, part, workers):
                fitted = [fit_square(as_color(pixels, color), size) for pixels in pictures]
                images[done : done + len(chunk)] = np.stack(fitted)  # one write per chunk: writes are slow
                digests.update((row.path, pixel_digest(face)) for row, face in zip(chunk, fitted, strict=True))
                done += len(chunk)
                progress.advance(len(chunk))
            labels, paths = [label[row.emotion] for row in part], [row.path for row in part]
            finish_split(file, split, labels, paths, [row.sha256 for row in part], votes.get(split))
    return [digests[row.path] for row in rows]


def _read_chunks(folder: Path, rows: list[Row], workers: int | None) -> Iterator[tuple[list[Row], list[Pixels]]]:
    """Yield chunks of rows with their images, in order, prefetched by threads with bounded read-ahead."""
    chunks = [rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK)]
    read = in_threads(lambda chunk: [read_checked(folder, row) for row in chunk], chunks, workers)
    yield from zip(chunks, read, strict=True)
