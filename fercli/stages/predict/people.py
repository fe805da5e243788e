"""The people in a film: their probabilities over time, smoothed, and their shares of time by emotion."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fercli.images import Pixels
from fercli.metrics.smoothing import moving_mean, split_at_gaps
from fercli.stages.predict.rows import Row

Floats = npt.NDArray[np.float64]

GAP_STEPS = 2.5
"""Sampling steps without a face that make a gap: with one missed frame the line goes on."""


@dataclass(frozen=True)
class Person:
    """One person (face_id) in a film.

    Attributes:
        face_id: Its number.
        times: Seconds of the frames in which its face was found, (N,).
        raw: The probabilities in each, (N, C).
        smoothed: The same, smoothed within each piece.
        pieces: The pieces between gaps, as slices of the frames.
        shares: Share of its frames by the emotion with the largest smoothed probability, (C,).
        seconds: Seconds for which it is seen: its frames times the sampling step.
        crop: The largest of its face crops, uint8 (H, W) or (H, W, 3).
    """

    face_id: str
    times: Floats
    raw: Floats
    smoothed: Floats
    pieces: list[slice]
    shares: Floats
    seconds: float
    crop: Pixels


class Timeline:
    """Collects the faces of a film, frame by frame.

    Args:
        emotions: The model's emotions, in order.
        rate: Sampled frames per second; 0 if unknown, in which case it is estimated from the frames' times.
        smooth: Window of the moving mean, seconds.
    """

    def __init__(self, emotions: Sequence[str], rate: float, smooth: float) -> None:
        self.emotions, self._rate, self._smooth = list(emotions), rate, smooth
        self._times: dict[str, array[float]] = {}
        self._values: dict[str, array[float]] = {}
        self._crops: dict[str, tuple[float, Pixels]] = {}
        self._frames = array("d")
        self.without_face = 0

    def add(self, rows: Sequence[Row], crops: Sequence[Pixels]) -> None:
        """Add the rows of the next frame, and the crop of each face in it."""
        time = rows[0].time if rows else None
        if time is None:
            return
        self._frames.append(time)
        self.without_face += all(row.face is None for row in rows)
        for row, crop in zip(rows, crops, strict=False):  # without a face there is a row, but no crop
            if row.face is not None:
                area = row.face.box[2] * row.face.box[3]
                if area > self._crops.get(row.face_id, (-1.0, crop))[0]:
                    self._crops[row.face_id] = area, crop.copy()  # not the whole batch that it is part of
                self._times.setdefault(row.face_id, array("d")).append(time)
                self._values.setdefault(row.face_id, array("f")).extend(row.probabilities)

    @property
    def frames(self) -> int:
        """The number of frames."""
        return len(self._frames)

    @property
    def end(self) -> float:
        """The time of the last frame, seconds."""
        return self._frames[-1] if self._frames else 0.0

    @property
    def step(self) -> float:
        """The sampling step, seconds."""
        if len(self._frames) > 1:
            return float(np.median(np.diff(np.asarray(self._frames))))
        return 1 / self._rate if self._rate else 1.0

    def people(self) -> Iterator[Person]:
        """Yield the people in order of their first frame."""
        step, classes = self.step, len(self.emotions)
        for face_id in sorted(self._times, key=lambda one: (self._times[one][0], one)):
            times = np.asarray(self._times[face_id], np.float64)
            raw = np.asarray(self._values[face_id], np.float64).reshape(-1, classes)
            pieces = split_at_gaps(times, GAP_STEPS * step)
            smoothed = np.concatenate([moving_mean(times[p], raw[p], self._smooth) for p in pieces])
            shares = np.bincount(smoothed.argmax(1), minlength=classes) / len(times)
            crop = self._crops[face_id][1]
            yield Person(face_id, times, raw, smoothed, pieces, shares, len(times) * step, crop)
