"""The index of the faces: splits, names, and what the detector said."""

from __future__ import annotations

from collections.abc import Sequence

from fercli.datasets.index import Row
from fercli.datasets.names import Names, clean_name, printable
from fercli.datasets.readers.base import Item
from fercli.datasets.splitting import stratified
from fercli.faces.base import Face
from fercli.stages.detect.finding import Found


def rows_of(items: Sequence[Item], found: Sequence[Found], seed: int) -> list[list[Row]]:
    """Return the rows of each photograph's faces, splits that are open cut by photograph, equal ones together."""
    open_ = [k for k, item in enumerate(items) if item.split == "" and found[k].faces]
    faces = [k for k in open_ for _ in found[k].faces]
    groups = [found[k].photograph for k in faces]
    cut = dict(zip(faces, stratified([items[k].emotion for k in faces], groups=groups, seed=seed), strict=True))
    names = Names()
    result = []
    for k, (item, one) in enumerate(zip(items, found, strict=True)):
        split = item.split or cut.get(k, "")
        folder = f"{split}/{item.emotion}" if item.emotion else split
        own = []
        for number, (face, digest) in enumerate(zip(one.faces, one.sha256, strict=True)):
            path = names.unique(f"{folder}/{clean_name(item.name)}-{number}", ".png")
            own.append(_row(path, split, item, face, digest))
        result.append(own)
    return result


def _row(path: str, split: str, item: Item, face: Face, digest: str) -> Row:
    return Row(
        path,
        split,
        item.emotion,
        source=printable(item.source),
        photograph=printable(item.source),
        box=_numbers(face.box),
        landmarks=_numbers([value for point in face.landmarks or () for value in point]),
        score=f"{face.score:.4f}",
        sha256=digest,
    )


def _numbers(values: Sequence[float]) -> str:
    return " ".join(f"{value:.2f}" for value in values)
