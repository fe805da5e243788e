"""The rows of a prediction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fercli.faces.base import Face
from fercli.files import as_text
from fercli.sanitize import path_cell, word_cell

COLUMNS = ("source", "frame", "time", "face", "face_id", "left", "top", "width", "height", "score", "emotion")


@dataclass(frozen=True)
class Row:
    """One face of one frame; a frame without a face has one row, whose `face` is None.

    Attributes:
        source: The photograph or video.
        frame: Number of the frame, from 0.
        time: Seconds since the video's start; None for a photograph.
        index: Of the face within its frame, largest first, from 0.
        face: Where it is. Of a face that was cut out already it is the whole picture, its score no number.
        probabilities: One an emotion, adding up to 1.
        emotion: The most probable one.
        face_id: A number that a face keeps from frame to frame of a video, from 0001, by its place and look; what a
            dataset says; empty in a photograph.
    """

    source: str
    frame: int
    time: float | None
    index: int | None = None
    face: Face | None = None
    probabilities: tuple[float, ...] = ()
    emotion: str = ""
    face_id: str = ""

    def cells(self, emotions: int) -> list[str]:
        """Return the row's cells: those of COLUMNS, then one probability an emotion; empty where there is no face."""
        time = "" if self.time is None else f"{self.time:.3f}"
        start = [inert_path(self.source), str(self.frame), time]
        if self.face is None:
            return [*start, *[""] * (len(COLUMNS) - 3 + emotions)]
        box = (f"{value:.1f}" for value in self.face.box)
        score = "" if math.isnan(self.face.score) else f"{self.face.score:.4f}"
        chances = (f"{value:.6f}" for value in self.probabilities)
        return [*start, str(self.index), inert(self.face_id), *box, score, inert(self.emotion), *chances]

    def as_dict(self, emotions: Sequence[str]) -> dict[str, Any]:
        """Return the row as JSON has it."""
        face = self.face
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
        }


def inert_path(path: str) -> str:
    """Return a path as a cell of a table that no spreadsheet takes for a formula, and no terminal for a command.

    `=cmd.jpg` becomes `./=cmd.jpg`, which is the same file; characters that are not printable become escapes.
    """
    return path_cell(_visible(path))


def inert(text: str) -> str:
    """Return any other text as such a cell: an apostrophe before what a spreadsheet would take for a formula."""
    return word_cell(_visible(text))


def _visible(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in as_text(text))
