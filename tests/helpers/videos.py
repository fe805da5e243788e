"""Small videos for tests."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from itertools import zip_longest
from pathlib import Path

import numpy as np

from fercli.faces.action_units import sample_strengths
from fercli.faces.synthetic.canvas import Pose
from fercli.faces.synthetic.face import Light, RenderedFace, render_face
from fercli.faces.synthetic.identity import sample_identity
from fercli.videos import Backend, VideoWriter


def film(
    path: Path,
    frames: Iterable[np.ndarray],
    rate: float = 10.0,
    times: Iterable[float | None] = (),
    library: Backend | None = None,
) -> Path:
    """Write RGB frames as a video, at irregular times if given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = VideoWriter(path, rate, library=library)
    for frame, seconds in zip_longest(frames, times):
        writer.write(frame, seconds)
    writer.finish()
    return path


def shade(value: int, height: int = 48, width: int = 64) -> np.ndarray:
    """Return a frame of a uniform orange: its channels differ, so that swapped channels are noticed."""
    return np.full((height, width, 3), (value, value // 2, 0), np.uint8)


@cache
def _person(number: int, turn: float) -> RenderedFace:
    identity = sample_identity(np.random.default_rng(number))
    return render_face(
        identity,
        sample_strengths("neutral", 0.0, np.random.default_rng(number)),
        Pose(turn),
        90,
        Light((0.2, -0.4, 1.0), 0.7),
        (0.0, 0.0),
    )


def scene(*persons: tuple[int, float, float], height: int = 200, width: int = 420, turn: float = 0.0) -> np.ndarray:
    """Return a frame with rendered persons: number, and midpoint between the eyes in pixels."""
    picture = np.repeat(np.linspace(110, 150, width)[None, :, None], height, 0).repeat(3, 2)
    for number, x, y in persons:
        face = _person(number, turn)
        eyes = face.landmarks[:2].mean(0)
        left, top = round(x - eyes[0]), round(y - eyes[1])
        high, wide = face.pixels.shape[:2]
        rows, columns = slice(max(0, top), min(height, top + high)), slice(max(0, left), min(width, left + wide))
        own = face.pixels[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        share = own[..., 3:] / 255
        picture[rows, columns] = picture[rows, columns] * (1 - share) + own[..., :3]
    return picture.clip(0, 255).astype(np.uint8)
