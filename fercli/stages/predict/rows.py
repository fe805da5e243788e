"""The rows of a prediction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fercli.datasets.affect import AFFECT
from fercli.faces.base import Face
from fercli.files import as_text
from fercli.sanitize import path_cell, word_cell

COLUMNS = ("source", "frame", "time", "face", "face_id", "left", "top", "width", "height", "score", "emotion")


@dataclass(frozen=True)
class Row:
    """One face in one frame; a frame without faces has one row, whose `face` is None.

    Attributes:
        source: The photograph or video.
        frame: Frame number, from 0.
        time: Seconds from the start of the video; None for a photograph.
        index: Number of the face within the frame, from 0, largest first.
        face: The detected face. For a face crop, its box is the whole image and its score NaN.
        probabilities: Probability of each emotion; they sum to 1.
        emotion: The most probable emotion.
        face_id: Track of the face in a video, from 0001, by position and appearance; the dataset's `face_id`; empty for
            a photograph.
        affect: Valence and arousal, in -1..1; None if the model does not predict them.
    """

    source: str
    frame: int
    time: float | None
    index: int | None = None
    face: Face | None = None
    probabilities: tuple[float, ...] = ()
    emotion: str = ""
    face_id: str = ""
    affect: tuple[float, float] | None = None

    def cells(self, values: int) -> list[str]:
        """Return the row's cells: COLUMNS, then `values` numbers: a probability per emotion, valence and arousal.

        Without a face, most are empty.
        """
        time = "" if self.time is None else f"{self.time:.3f}"
        start = [safe_path_cell(self.source), str(self.frame), time]
        if self.face is None:
            return [*start, *[""] * (len(COLUMNS) - 3 + values)]
        box = (f"{value:.1f}" for value in self.face.box)
        score = "" if math.isnan(self.face.score) else f"{self.face.score:.4f}"
        numbers = (f"{value:.6f}" for value in (*self.probabilities, *(self.affect or ())))
        return [*start, str(self.index), safe_cell(self.face_id), *box, score, safe_cell(self.emotion), *numbers]

    def as_dict(self, emotions: Sequence[str]) -> dict[str, Any]:
        """Return the row as a JSON object; a face has valence and arousal if the model predicts them."""
        face = self.face
        affect = {} if self.affect is None else {k: round(v, 6) for k, v in zip(AFFECT, self.affect, strict=True)}
        return {
            "source": as_text(self.source),
            "frame": self.frame,
            "time": self.time,
            "face": self.index,
            "face_id": self.face_id or None,
            "box": [round(value, 1) for value in face.box] if face else None,
            "score": round(face.score, 4) if face and not math.isnan(face.score) else None,
            "emotion": self.emotion or None,
            "probabilities": dict(zip(emotions, (round(p, 6) for p in self.probabilities), strict=False)) or None,
            **affect,
        }


def safe_path_cell(path: str) -> str:
    """Return a path as a CSV cell that is neither a spreadsheet formula nor a terminal escape sequence.

    `=cmd.jpg` becomes `./=cmd.jpg`, which is the same file; unprintable characters are escaped.
    """
    return path_cell(_escape(path))


def safe_cell(text: str) -> str:
    """Return other text as such a cell, with an apostrophe before a formula."""
    return word_cell(_escape(text))


def _escape(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in as_text(text))
