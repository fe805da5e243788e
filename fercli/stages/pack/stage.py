"""Pack: bring a dataset's images to one size and colour and write them into one HDF5 file."""

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
from fercli.errors import DataError, LeakError, UsageError
from fercli.files import preallocate
from fercli.images import Color, Pixels, as_color, fit_square, image_info, pixel_digest, read_image
from fercli.packs.file import FILE, MAX_SIZE, Votes, create_split, finish_split, write_attributes
from fercli.packs.integrity import remember
from fercli.parallel import in_threads
from fercli.progress import SILENT, Progress
from fercli.stages.base import resolve_input, resolve_output
from fercli.stages.pack.config import PackConfig
from fercli.stages.pack.folds import LEFT_OUT, FoldSplit, hold_out
from fercli.stages.pack.leaks import find_leaks
from fercli.stages.pack.votes import soft_targets

_CHUNK = 32


def pack(config: PackConfig, progress: Progress = SILENT) -> Artifact:
    """Write a dataset as a pack. At their own size and colour the images are packed pixel for pixel.

    Raises:
        DataError: the dataset is missing or broken, or an image is no longer what its index says.
        LeakError: the same picture stands in two splits and `allow_leaks` is not set.
        UsageError: the images differ in size and none is given, or the dataset has no such fold.
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
            _tell(held, progress)
        if not config.allow_leaks:  # what the index tells already is told before anything is read
            _refuse(dataset.path, find_leaks(rows, [row.sha256 for row in rows]), held)
        votes = soft_targets(dataset.path, rows, emotions)
        size, color = _shape(config, dataset, rows, progress)
        room = _room(rows, size, color, len(emotions) if votes else 0)
        preallocate(builder.folder / FILE, room)  # told before HDF5 has anything to write, and held while it writes
        # The later formats keep the groups' times: the same faces would have another digest every second.
        with h5py.File(builder.folder / FILE, "w", libver="earliest") as file:
            preallocate(file.id.get_vfd_handle(), room)
            packed = _write(file, dataset, rows, votes, size, color, config.workers, progress)
            write_attributes(file, emotions, size, color, dataset.manifest.digest)
            file.flush()
            end = file.id.get_filesize()
        os.truncate(builder.folder / FILE, end)  # HDF5 does not know of the room that it did not need
        leaks = find_leaks(rows, packed)
        if not config.allow_leaks:
            _refuse(dataset.path, leaks, held)
        counts = count(rows, emotions)
        summary = {
            "images": totals(counts),
            "emotions": emotions,
            "size": size,
            "color": color,
            "leaks": len(leaks),
        }
        if votes:
            summary["votes"] = totals(count((row for row in rows if row.votes), emotions))
        if held:
            summary["fold"] = held.as_dict()
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
        progress.log(f"packed with {len(leaks)} pairs of equal pictures in two splits, as allowed")
    return builder.artifact


def _labelled(dataset: Artifact) -> list[Row]:
    """Return a dataset's rows but for the unlabelled ones.

    Raises:
        DataError: there is none, or one has an emotion that the manifest does not name.
    """
    rows = [row for row in read_index(dataset) if row.split != UNLABELLED]
    if not rows:
        raise DataError(f"{dataset.path}: no labelled image in it")
    if unknown := {row.emotion for row in rows} - set(dataset.manifest.emotions):
        raise DataError(f"{dataset.path}: its manifest does not name {', '.join(sorted(unknown))}; re-create it")
    return rows


def _tell(held: FoldSplit, progress: Progress) -> None:
    """Say what a fold held out comes to."""
    beside = "" if held.part == "validation" else f", fold {held.validation} is validation"
    progress.log(f"fold {held.fold} of {held.folds} is {held.part}{beside}, all others are train")
    if held.left_out:
        progress.log(f"left out {len(held.left_out):,} made images: {LEFT_OUT}")
    if held.generated:
        progress.log(
            f"{held.generated:,} generated images are in train: drawn by a model that was trained on this dataset, "
            "they may show what is held out"
        )


def _refuse(path: Path, leaks: list[tuple[str, str]], held: FoldSplit | None) -> None:
    """Raise LeakError where there are leaks."""
    if leaks:
        folded = {row.path for row in held.rows if row.fold} if held else set()
        way = (
            "import with --folds anew, which keeps equal pictures in one fold"
            if any(folded.issuperset(pair) for pair in leaks)
            else f"take them out with 'fer clean {path} CLEANED', or pack the benchmark as published with --allow-leaks"
        )
        raise LeakError(
            f"{path}: pictures that stand in two splits: {len(leaks):,} (as {' and '.join(leaks[0])}); {way}"
        )


def _shape(config: PackConfig, dataset: Artifact, rows: list[Row], progress: Progress) -> tuple[int, Color]:
    """Return the pack's size and colour: what the call says, else what all images have in common."""
    if config.size is not None and config.color is not None:
        return config.size, config.color
    paths = (dataset.path / row.path for row in rows)
    looks = set(progress.track(map(image_info, paths), "looking", len(rows)))
    color: Color = config.color or ("gray" if all(gray for _, _, gray in looks) else "rgb")
    sizes = {(height, width) for height, width, _ in looks}
    if config.size is not None:
        return config.size, color
    height, width = next(iter(sizes))
    if len(sizes) > 1 or height != width or height > MAX_SIZE:
        example = f"{width} x {height}" if len(sizes) == 1 else f"{len(sizes)} different sizes"
        raise UsageError(
            f"{dataset.path}: the images are not square, of one size and at most {MAX_SIZE} ({example}); say --size N"
        )
    return height, color


def _room(rows: list[Row], size: int, color: Color, votes: int) -> int:
    """Return at least the bytes that the file will have."""
    face = size * size * (1 if color == "gray" else 3) + 1 + 32 + 4 * votes
    paths = sum(16 + len(row.path.encode()) + 64 for row in rows)  # a place in the heap, and a reference to it
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
    """Fill the file split by split; return the digest of each row's image as packed, in the rows' order."""
    label = {emotion: number for number, emotion in enumerate(dataset.manifest.emotions)}
    digests: dict[str, str] = {}
    with progress.task("packing", len(rows)):
        for split in dict.fromkeys(row.split for row in rows):
            part = [row for row in rows if row.split == split]
            images = create_split(file, split, len(part), size, color)
            done = 0
            for chunk, pictures in _loaded(dataset.path, part, workers):
                fitted = [fit_square(as_color(pixels, color), size) for pixels in pictures]
                images[done : done + len(chunk)] = np.stack(fitted)  # one write a chunk: a write costs more than a face
                digests.update((row.path, pixel_digest(face)) for row, face in zip(chunk, fitted, strict=True))
                done += len(chunk)
                progress.advance(len(chunk))
            labels, paths = [label[row.emotion] for row in part], [row.path for row in part]
            finish_split(file, split, labels, paths, [row.sha256 for row in part], votes.get(split))
    return [digests[row.path] for row in rows]


def _loaded(folder: Path, rows: list[Row], workers: int | None) -> Iterator[tuple[list[Row], list[Pixels]]]:
    """Yield chunks of rows with their pictures, in order, read ahead by threads, a bounded number at a time."""
    chunks = [rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK)]
    yield from zip(chunks, in_threads(lambda chunk: _read_checked(folder, chunk), chunks, workers), strict=True)


def _read_checked(folder: Path, rows: list[Row]) -> list[Pixels]:
    """Read a chunk of images, each checked to be what the index says."""
    pictures = []
    for row in rows:
        pixels = read_image(folder / row.path)
        if pixel_digest(pixels) != row.sha256:
            raise DataError(f"{folder / row.path}: is not the image that was imported; re-create the dataset")
        pictures.append(pixels)
    return pictures
