"""Reading face crops from datasets and packs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from fercli.artifacts import Artifact
from fercli.datasets.index import Row, read_index
from fercli.errors import DataError, ImageError
from fercli.images import Color, Pixels, as_color, fit_square, read_image
from fercli.packs.file import read_paths, stored_images
from fercli.packs.opening import open_pack
from fercli.packs.stored import StoredImages
from fercli.stages.predict.frames import Frame

ALL = "all"


def count_faces(artifact: Artifact, split: str) -> int:
    """Return the number of images in a split of a dataset or pack, or in all splits.

    Raises:
        DataError: it has no such split.
    """
    if artifact.manifest.kind == "pack":
        counts = open_pack(artifact).counts
    else:
        counts = {name: sum(by.values()) for name, by in artifact.manifest.counts.items()}
    if split != ALL and split not in counts:
        raise DataError(f"{artifact.path}: has no {split} split; it has {', '.join(counts)}: select one with --split")
    return counts[split] if split != ALL else sum(counts.values())


def iterate_faces(artifact: Artifact, split: str) -> Iterator[Callable[[], Frame]]:
    """Yield a function per image of a dataset or pack that reads it, split by split."""
    if artifact.manifest.kind == "pack":
        yield from _iterate_pack(artifact, split)
        return
    for row in read_index(artifact):
        if split in (ALL, row.split):
            yield partial(_from_dataset, artifact.path / row.path, row)


def as_packed(pixels: Pixels, size: int, color: Color) -> Pixels:
    """Return a face in the size and colour that `fer pack` would store."""
    return fit_square(as_color(pixels, color), size)


def _from_dataset(file: Path, row: Row) -> Frame:
    number = row.frame_number or 0
    try:
        return Frame(row.path, number, None, read_image(file), file=file, face_id=row.face_id)
    except ImageError as error:
        return Frame(row.path, number, None, problem=error)


def _iterate_pack(pack: Artifact, split: str) -> Iterator[Callable[[], Frame]]:
    info = open_pack(pack)
    for name in info.counts if split == ALL else [split]:
        if info.counts[name]:
            faces = stored_images(info, name)  # read on access
            for number, path in enumerate(read_paths(info, name)):
                yield partial(_from_pack, faces, number, path)


def _from_pack(faces: StoredImages, number: int, path: str) -> Frame:
    return Frame(path, 0, None, faces[number])
