"""What is kept of each face: its heat in heatmaps.npz, its figures in explanation.json."""

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

HEATMAPS = "heatmaps.npz"


@dataclass(frozen=True, slots=True)
class Record:
    """One explained face.

    Attributes:
        path: Of its picture.
        box: Left, top, width, height in the picture, pixels; None where the picture is the face.
        emotion: Its label, where one is known.
        predicted: The model's emotion.
        probability: What the model gives that emotion, 0..1.
        explained: The emotion whose evidence is shown.
        explained_probability: What the model gives that one.
        peak: Where the heat is strongest: x and y as shares of the face; None where there is no heat.
        heat_in_regions: Share of the heat within the action units' regions of the explained emotion; None where it has
            none, or the face no heat.
        area_of_regions: The regions' share of the face's area; None where it has none.
        units: Share of the heat where each of the emotion's action units is seen, by its FACS number.
        overlay: Place of its picture within the explanation.
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
        """Return it ready for JSON."""
        return asdict(self)


class HeatFile:
    """Collects heat maps on disk, so that memory does not grow with the faces.

    Args:
        folder: The explanation's.
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
        """Write heatmaps.npz: `heat` float32 (N, size, size), never scaled, `path`, `box` (N, 4) and `emotion`.

        A box of NaN says that the picture is the face; `emotion` is the explained one.
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
    """Return the figures over all faces, and by explained emotion."""
    by_emotion = {emotion: [record for record in records if record.explained == emotion] for emotion in emotions}
    predicted = Counter(record.predicted for record in records)
    return {
        "faces": len(records),
        "emotions": {emotion: _figures(own) for emotion, own in by_emotion.items() if own},
        **{key: value for key, value in _figures(records).items() if key != "faces"},
        "predicted": {emotion: predicted[emotion] for emotion in emotions},
    }


def _figures(records: Sequence[Record]) -> dict[str, Any]:
    """Return the mean share of heat and of area of the faces that have both, and how often the area's it is."""
    pairs = [(r.heat_in_regions, r.area_of_regions) for r in records]
    known = np.array([(heat, area) for heat, area in pairs if heat is not None and area is not None]).reshape(-1, 2)
    heat, area = known.mean(0).tolist() if len(known) else (None, None)
    return {
        "faces": len(records),
        "without_heat": sum(record.peak is None for record in records),
        "measured": len(known),
        "heat_in_regions": heat,
        "area_of_regions": area,
        "ratio": heat / area if heat is not None and area else None,
    }
