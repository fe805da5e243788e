"""The index rows of the faces: splits, file names, and detections."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from fercli.datasets.index import Row
from fercli.datasets.names import Names, clean_name, printable
from fercli.stages.detect.face_extractor import DetectionResult, FrameFaces

PictureRows = tuple[FrameFaces, list[Row]]


def rows_of(
    results: Iterable[DetectionResult], splits: Iterator[str]
) -> Iterator[tuple[DetectionResult, list[PictureRows]]]:
    """Yield each photograph or video with the rows of its faces, per picture.

    Args:
        results: Their results, in order.
        splits: The split of each that has a face and no split yet.
    """
    names = Names()
    for result in results:
        split = result.split or (next(splits) if result.seen else "")
        folder = f"{split}/{result.emotion}" if result.emotion else split
        yield result, [(one, _rows(result, one, split, folder, names)) for one in result.seen]


def _rows(result: DetectionResult, seen: FrameFaces, split: str, folder: str, names: Names) -> list[Row]:
    frame = "" if seen.frame is None else str(seen.frame)
    name = clean_name(result.name) + (f"-{seen.frame:06d}" if seen.frame is not None else "")
    source = printable(result.source)
    rows = []
    for number, (face, digest) in enumerate(zip(seen.faces, seen.sha256, strict=True)):
        path = names.unique(f"{folder}/{name}-{number}", ".png")
        row = Row(
            path,
            split,
            result.emotion,
            source=source,
            photograph=source,
            box=_format_numbers(face.box),
            landmarks=_format_numbers([value for point in face.landmarks or () for value in point]),
            score=f"{face.score:.4f}",
            frame=frame,
            face_id=seen.ids[number] if seen.ids else "",
            sha256=digest,
        )
        rows.append(row)
    return rows


def _format_numbers(values: Sequence[float]) -> str:
    return " ".join(f"{value:.2f}" for value in values)
