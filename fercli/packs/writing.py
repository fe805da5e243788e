"""Writing a pack from a dataset's rows: the HDF5 file and the pack's manifest."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

import h5py
import numpy as np

from fercli.artifacts import Artifact
from fercli.artifacts.building import ArtifactBuilder
from fercli.artifacts.digests import digest_file
from fercli.datasets.index import UNLABELLED, Row, count, read_index, totals
from fercli.datasets.reading import read_checked
from fercli.datasets.split_leaks import find_leaks
from fercli.errors import DataError, LeakError, UsageError
from fercli.files import preallocate
from fercli.images import Color, Pixels, as_color, fit_square, image_info, pixel_digest
from fercli.packs.affect import affect_of, write_affect
from fercli.packs.file import FILE, Votes, create_split, finish_split, write_attributes
from fercli.packs.integrity import remember
from fercli.packs.layout import MAX_SIZE
from fercli.packs.shards import ShardWriter, stored_order
from fercli.packs.storage import Codec, plan_storage
from fercli.packs.summary import FoldSummary, PackSummary, SoftTargetsSummary, StorageSummary
from fercli.packs.votes import soft_targets
from fercli.parallel import in_threads
from fercli.progress import Progress

LEFT_OUT = "made from an image outside train"
"""Why a derived image is not in a pack with a fold held out."""
_CHUNK = 32


def write_pack(
    builder: ArtifactBuilder,
    dataset: Artifact,
    rows: list[Row],
    *,
    size: int | None,
    color: Color | None,
    allow_leaks: bool,
    workers: int | None,
    progress: Progress,
    fold: FoldSummary | None = None,
    mixed: SoftTargetsSummary | None = None,
    left_out: Sequence[str] = (),
    created: Mapping[str, Path] | None = None,
    shards: int | None = None,
    codec: Codec = "raw",
    quality: int = 95,
) -> int:
    """Write the images of a dataset's rows, in their splits, as a pack; finish its artifact.

    Args:
        builder: The pack being built.
        dataset: The dataset.
        rows: The labelled rows to pack, ordered by split.
        size: Side in pixels; None for that of all images.
        color: Colour; None for gray if all images are.
        allow_leaks: Pack images that are in more than one split; there must be none otherwise.
        workers: Threads that read images; None for one per core.
        progress: Progress callback.
        fold: The fold held out, if any.
        mixed: The soft targets that the rows' votes are, if any.
        left_out: Paths of derived images left out because their parent is held out.
        created: Folders of images that are not in the dataset but were made from it, by path.
        shards: Number of files for the images; 0: within the index; None: by their size.
        codec: raw or jpeg.
        quality: Of JPEG.

    Returns:
        The number of pairs of images that leak between splits.

    Raises:
        DataError: an image differs from its index, or its votes or valence and arousal are invalid.
        LeakError: an image is in more than one split, also as packed, and `allow_leaks` is not set.
        UsageError: the images differ in size and none is given, or the number of shards is not possible.
    """
    emotions = dataset.manifest.emotions
    votes = soft_targets(dataset.path, rows, emotions)
    affect_of(dataset.path, rows)  # like invalid votes, fails before images are read
    size, color = common_format(dataset, rows, size, color, progress)
    storage = plan_storage(len(rows), size, color, shards, codec, quality)
    if storage.shards:
        rows = stored_order(rows)
        votes = soft_targets(dataset.path, rows, emotions)
    face_bytes = size * size * (1 if color == "gray" else 3)
    file_size = _max_file_size(rows, 0 if storage.shards else face_bytes, len(emotions) if votes else 0)
    preallocate(builder.folder / FILE, file_size)  # a full disk fails before HDF5 writes anything
    # Later format versions store timestamps, which would change the digest of identical data.
    with (
        h5py.File(builder.folder / FILE, "w", libver="earliest") as file,
        ShardWriter(builder.folder, storage, len(rows), face_bytes) if storage.shards else nullcontext() as writer,
    ):
        preallocate(file.id.get_vfd_handle(), file_size)
        packed = _write(file, writer, dataset, rows, votes, size, color, created or {}, workers, progress)
        write_attributes(file, emotions, size, color, dataset.manifest.digest)
        if writer:
            writer.finish(file)
        file.flush()
        end = file.id.get_filesize()
    os.truncate(builder.folder / FILE, end)  # HDF5 leaves unused preallocated space
    leaks = find_leaks(rows, packed)
    if not allow_leaks:
        check_leaks(dataset.path, leaks, {row.path for row in rows if row.fold} if fold else ())
    stored = writer and StorageSummary(
        shards=storage.shards, codec=codec, bytes=writer.size, order="shuffled",
        **({"quality": quality} if codec == "jpeg" else {}),
    )  # fmt: skip
    optional = {**_annotated(rows, emotions), "fold": fold, "soft_targets": mixed, "storage": stored}
    counts = count(rows, emotions)
    summary = PackSummary(
        images=totals(counts), emotions=emotions, size=size, color=color, leaks=len(leaks),
        **{name: value for name, value in optional.items() if value is not None},
    )  # fmt: skip
    digest = digest_file(builder.folder / FILE)
    remember(digest)
    builder.finish(
        digest=digest,
        emotions=emotions,
        counts=counts,
        skipped={LEFT_OUT: left_out} if left_out else {},
        summary=summary,
    )
    return len(leaks)


def _annotated(rows: Sequence[Row], emotions: list[str]) -> dict[str, dict[str, int]]:
    """Return the number of images with votes, and with valence and arousal, by split; without any, nothing."""
    columns = {"votes": "votes", "affect": "valence"}
    found = {name: [row for row in rows if getattr(row, column)] for name, column in columns.items()}
    return {name: totals(count(some, emotions)) for name, some in found.items() if some}


def labelled_rows(dataset: Artifact) -> list[Row]:
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


def check_leaks(path: Path, leaks: list[tuple[str, str]], folded: Collection[str] = ()) -> None:
    """Raise LeakError if there are leaks.

    Args:
        path: Path of the dataset, for messages.
        leaks: Pairs of paths, from `find_leaks`.
        folded: Paths of the images whose split is that of their fold.
    """
    if leaks:
        folded = set(folded)
        advice = (
            "re-import it with --folds, which keeps identical images in one fold"
            if any(folded.issuperset(pair) for pair in leaks)
            else f"remove them with 'fer clean {path} CLEANED', or pack the benchmark as published with --allow-leaks"
        )
        raise LeakError(
            f"{path}: images that appear in more than one split: {len(leaks):,} "
            f"(such as {' and '.join(leaks[0])}); {advice}"
        )


def common_format(
    dataset: Artifact, rows: Sequence[Row], size: int | None, color: Color | None, progress: Progress
) -> tuple[int, Color]:
    """Return a pack's size and colour: those given, otherwise those common to all images.

    Raises:
        UsageError: the images differ in size and none is given.
    """
    if size is not None and color is not None:
        return size, color
    paths = (dataset.path / row.path for row in rows)
    formats = set(progress.track(map(image_info, paths), "inspecting", len(rows)))
    found: Color = color or ("gray" if all(gray for _, _, gray in formats) else "rgb")
    sizes = {(height, width) for height, width, _ in formats}
    if size is not None:
        return size, found
    height, width = next(iter(sizes))
    if len(sizes) > 1 or height != width or height > MAX_SIZE:
        example = f"{width} x {height}" if len(sizes) == 1 else f"{len(sizes)} different sizes"
        raise UsageError(
            f"{dataset.path}: the images are not square, of equal size and at most {MAX_SIZE} pixels ({example}); "
            "set --size N"
        )
    return height, found


def _max_file_size(rows: list[Row], image: int, votes: int) -> int:
    """Return an upper bound of the file's size in bytes, with `image` bytes for each image."""
    # Of these, 36 bytes for a JPEG's length and digest, and 8 for valence and arousal.
    face = image + 1 + 32 + 4 * votes + 36 + 8
    paths = sum(16 + len(row.path.encode()) + 64 for row in rows)  # a reference, and an entry in the heap
    return face * len(rows) + paths + (1 << 20)


def _write(
    file: h5py.File,
    writer: ShardWriter | None,
    dataset: Artifact,
    rows: list[Row],
    votes: dict[str, Votes],
    size: int,
    color: Color,
    created: Mapping[str, Path],
    workers: int | None,
    progress: Progress,
) -> list[str]:
    """Write the file split by split, and the images to its shards if there are any; return the packed images' digests.

    The digests are in row order.
    """
    label = {emotion: number for number, emotion in enumerate(dataset.manifest.emotions)}
    digests: list[str] = []

    def read(chunk: list[Row]) -> list[tuple[str, Pixels | None, bytes]]:
        """Return the digest of each face, and the face, or its bytes for a shard."""
        pictures = (read_checked(created.get(row.path, dataset.path), row) for row in chunk)
        faces = [fit_square(as_color(pixels, color), size) for pixels in pictures]
        if writer:
            return [(pixel_digest(face), None, writer.encode(face)) for face in faces]
        return [(pixel_digest(face), face, b"") for face in faces]

    with progress.task("packing", len(rows)):
        for split in dict.fromkeys(row.split for row in rows):
            part = [row for row in rows if row.split == split]
            images = file.create_group(split) if writer else create_split(file, split, len(part), size, color)
            done = 0
            chunks = (part[start : start + _CHUNK] for start in range(0, len(part), _CHUNK))
            for found in in_threads(read, chunks, workers):  # with bounded read-ahead
                if writer:
                    writer.append(data for _, _, data in found)
                else:  # one write per chunk: writes are slow
                    images[done : done + len(found)] = np.stack([face for _, face, _ in found if face is not None])
                digests += [digest for digest, _, _ in found]
                done += len(found)
                progress.advance(len(found))
            labels, paths = [label[row.emotion] for row in part], [row.path for row in part]
            finish_split(file, split, labels, paths, [row.sha256 for row in part], votes.get(split))
            if writer:
                writer.finish_split(file[split])
            write_affect(file[split], affect_of(dataset.path, part))
    return digests
