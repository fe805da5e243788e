"""Results of each face: its heat map in heatmaps.npz, its metrics in explanation.json."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fercli.explanation.regions import Heat
from fercli.faces.base import Box
from fercli.files import as_text
from fercli.stages.explain.summary import RegionMetrics

HEATMAPS = "heatmaps.npz"


@dataclass(frozen=True, slots=True)
class Record:
    """One explained face.

    Attributes:
        path: Path of its picture.
        box: Bounding box in the picture (left, top, width, height), pixels; None if the picture is the face.
        emotion: Its label; empty if unknown.
        predicted: The predicted emotion.
        probability: Predicted probability of that emotion, 0..1.
        explained: The emotion explained.
        explained_probability: Predicted probability of the explained emotion, 0..1.
        peak: Location of the maximum, (x, y) relative to the face; None without heat.
        heat_in_regions: Share of the heat within the action unit regions of the explained emotion; None if it has no
            action units, or without heat.
        area_of_regions: Share of the face's area within the regions; None if it has no action units.
        units: Share of the heat within the region of each action unit of the emotion, by FACS number.
        overlay: Path of its overlay within the explanation.
    """

    path: str
    box: Box | None
    emotion: str
    predicted: str
    probability: float
    explained: str
    explained_probability: float
    peak: tuple[float, float] | None
    heat_in_regions: float | None
    area_of_regions: float | None
    units: dict[str, float]
    overlay: str

    def as_dict(self) -> dict[str, Any]:
        """Return the record for JSON."""
        return asdict(self)


class HeatFile:
    """Collects heat maps on disk, so that memory does not grow with the number of faces.

    Args:
        folder: Output folder.
        size: Side of each map, pixels.
    """

    def __init__(self, folder: Path, size: int) -> None:
        self._folder, self._size, self._count = folder, size, 0
        self._raw = folder / "heat.raw"
        self._raw.touch()

    def add(self, heat: Heat) -> None:
        """Add maps (B, size, size)."""
        with self._raw.open("ab") as file:
            file.write(np.ascontiguousarray(heat, np.float32).tobytes())
        self._count += len(heat)

    def finish(self, records: Sequence[Record]) -> Path:
        """Write heatmaps.npz: `heat` float32 (N, size, size), unscaled, `path`, `box` (N, 4) and `emotion`.

        The box is NaN if the picture is the face; `emotion` is the explained one.
        """
        heat = np.memmap(self._raw, np.float32, "r", shape=(self._count, self._size, self._size))
        box = [record.box or (np.nan,) * 4 for record in records]
        path = self._folder / HEATMAPS
        np.savez(
            path,
            heat=heat,
            path=np.array([as_text(record.path) for record in records], np.str_),
            box=np.array(box, np.float64),
            emotion=np.array([as_text(record.explained) for record in records], np.str_),
        )
        del heat
        self._raw.unlink()
        return path


def summarise(records: Sequence[Record], emotions: Sequence[str]) -> dict[str, Any]:
    """Return the metrics of all faces, and by explained emotion."""
    by_emotion = {emotion: [record for record in records if record.explained == emotion] for emotion in emotions}
    predicted = Counter(record.predicted for record in records)
    return {
        **region_metrics(records).as_dict(),
        "emotions": {emotion: region_metrics(part) for emotion, part in by_emotion.items() if part},
        "predicted": {emotion: predicted[emotion] for emotion in emotions},
    }


def region_metrics(records: Sequence[Record]) -> RegionMetrics:
    """Return the mean shares of heat and of area over the faces that have both, and their ratio."""
    pairs = [(r.heat_in_regions, r.area_of_regions) for r in records]
    known = np.array([(heat, area) for heat, area in pairs if heat is not None and area is not None]).reshape(-1, 2)
    heat, area = known.mean(0).tolist() if len(known) else (None, None)
    return RegionMetrics(
        faces=len(records),
        without_heat=sum(record.peak is None for record in records),
        measured=len(known),
        heat_in_regions=heat,
        area_of_regions=area,
        ratio=heat / area if heat is not None and area else None,
    )
