"""The index of the faces: splits, names, and what the detector said."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from fercli.datasets.index import Row
from fercli.datasets.names import Names, clean_name, printable
from fercli.stages.detect.face_extractor import DetectionResult, FrameFaces

PictureRows = tuple[FrameFaces, list[Row]]


def rows_of(
    all_found: Iterable[DetectionResult], splits: Iterator[str]
) -> Iterator[tuple[DetectionResult, list[PictureRows]]]:
    """Yield each photograph or video with the rows of its faces, picture by picture.

    Args:
        all_found: What came of them, in order.
        splits: The split of each that has a face and whose own is open.
    """
    names = Names()
    for found in all_found:
        split = found.split or (next(splits) if found.seen else "")
        folder = f"{split}/{found.emotion}" if found.emotion else split
        yield found, [(one, _rows(found, one, split, folder, names)) for one in found.seen]


def _rows(found: DetectionResult, seen: FrameFaces, split: str, folder: str, names: Names) -> list[Row]:
    frame = "" if seen.frame is None else str(seen.frame)
    name = clean_name(found.name) + (f"-{seen.frame:06d}" if seen.frame is not None else "")
    source = printable(found.source)
    result = []
    for number, (face, digest) in enumerate(zip(seen.faces, seen.sha256, strict=True)):
        path = names.unique(f"{folder}/{name}-{number}", ".png")
        row = Row(
            path,
            split,
            found.emotion,
            source=source,
            photograph=source,
            box=_format_numbers(face.box),
            landmarks=_format_numbers([value for point in face.landmarks or () for value in point]),
            score=f"{face.score:.4f}",
            frame=frame,
            face_id=seen.ids[number] if seen.ids else "",
            sha256=digest,
        )
        result.append(row)
    return result


def _format_numbers(values: Sequence[float]) -> str:
    return " ".join(f"{value:.2f}" for value in values)
