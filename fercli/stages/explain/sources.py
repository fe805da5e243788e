"""Pictures to explain: files, folders, datasets and packs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from fercli.artifacts import MANIFEST, Artifact, Input, artifact_input, input_of, open_artifact
from fercli.artifacts.digests import digest_source, walk_files
from fercli.datasets.index import read_index
from fercli.emotions import canonical, in_order
from fercli.errors import DataError
from fercli.images import Pixels, has_image_suffix, read_image
from fercli.packs.file import read_labels, read_paths, stored_images
from fercli.packs.opening import open_pack
from fercli.stages.base import check_exists


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture, not read yet.

    Attributes:
        path: Its file, as named by the call, or its path in a pack.
        read: Returns its pixels; raises ImageError.
        emotion: Its label, or the name of its folder if that is an emotion; else empty.
        face: Whether it is known to be a cropped face.
        file: Its file, if it has one.
    """

    path: str
    read: Callable[[], Pixels]
    emotion: str = ""
    face: bool = False
    file: Path | None = None


def gather(sources: tuple[Path, ...], split: str) -> tuple[list[Input], list[Picture]]:
    """Return the sources as inputs of an artifact, and their pictures in a fixed order.

    Args:
        sources: Files, folders, and artifacts of the kinds dataset, pack and photographs.
        split: The split of artifacts to use.

    Raises:
        DataError: a source does not exist, is an artifact of another kind, or contains no pictures.
    """
    inputs: list[Input] = []
    pictures: list[Picture] = []
    for source in sources:
        check_exists(source, "picture or folder")
        if (source / MANIFEST).is_file():
            artifact = open_artifact(source, *_READERS)
            inputs.append(artifact_input("images", artifact))
            found = list(_READERS[artifact.manifest.kind](artifact, split))
        else:
            inputs.append(input_of("images", source, "raw", digest_source(source)))
            found = list(_files(source))
        if not found:
            raise DataError(f"{source}: contains no pictures")
        pictures += found
    return inputs, pictures


def choose(pictures: list[Picture], limit: int | None, seed: int) -> list[Picture]:
    """Return a random sample of at most `limit` pictures, balanced over the emotions, in the original order."""
    if limit is None or limit >= len(pictures):
        return pictures
    groups: dict[str, list[int]] = defaultdict(list)
    for number, picture in enumerate(pictures):
        groups[picture.emotion].append(number)
    shuffled = [
        np.random.default_rng([seed, index]).permutation(groups[emotion]).tolist()
        for index, emotion in enumerate(in_order(set(groups)))
    ]
    chosen: list[int] = []
    while len(chosen) < limit:  # one of each remaining emotion in turn
        chosen += [group.pop() for group in shuffled if group][: limit - len(chosen)]
    return [pictures[number] for number in sorted(chosen)]


def _files(source: Path) -> Iterator[Picture]:
    """Yield the file itself, whatever its suffix, or the pictures of a folder."""
    for file in [source] if source.is_file() else filter(has_image_suffix, walk_files(source)):
        yield Picture(file.as_posix(), partial(read_image, file), canonical(file.parent.name) or "", file=file)


def _photographs(photographs: Artifact, split: str) -> Iterator[Picture]:
    if not (photographs.path / split).is_dir():
        raise DataError(f"{photographs.path}: the photographs have no {split} split; choose another with --split")
    return _files(photographs.path / split)


def _dataset(dataset: Artifact, split: str) -> Iterator[Picture]:
    rows = read_index(dataset)
    splits = dict.fromkeys(row.split for row in rows)
    if split not in splits:
        raise DataError(
            f"{dataset.path}: the dataset has no {split} split; it has {', '.join(splits)}: choose one with --split"
        )
    for row in rows:
        if row.split == split:
            file = dataset.path / row.path
            yield Picture(file.as_posix(), partial(read_image, file), row.emotion, face=True, file=file)


def _pack(pack: Artifact, split: str) -> Iterator[Picture]:
    info = open_pack(pack)
    labels, paths = read_labels(info, split), read_paths(info, split)
    if not len(labels):
        return
    faces = stored_images(info, split)  # reads only the faces used
    for number, (label, path) in enumerate(zip(labels, paths, strict=True)):
        yield Picture(path, partial(faces.__getitem__, number), info.emotions[label], face=True)


_READERS = {"dataset": _dataset, "pack": _pack, "photographs": _photographs}
