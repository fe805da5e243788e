"""Finding the cuts of a film, frame by frame.

Two successive frames belong to different shots if they are unlike both in their layout, by the correlation of small
grey images, and in their colours, by the histogram; or if they are wholly unlike in their layout. Motion changes the
layout but hardly the colours; another camera angle changes both. benchmarks/cuts.py measures it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from fercli.images import Pixels, as_color

WIDTH, HEIGHT = 32, 18
"""Size of the grey image that stands for the layout, pixels."""
BINS = (8, 4, 4)
"""Bins of hue, saturation and value."""
UNLIKE_LAYOUT, UNLIKE_COLORS = 0.6, 0.35
"""Below this correlation and above this distance of the histograms (Bhattacharyya, 0..1) at once, there is a cut."""
OTHER_LAYOUT = 0.2
"""Below this correlation there is a cut, whatever the colours: so unlike are two frames of one film by chance."""
_SMALL = 128


@dataclass(frozen=True, slots=True)
class Scene:
    """What a frame looks like: its layout, with mean 0 and norm 1, and its colours, a histogram of sum 1."""

    layout: npt.NDArray[np.float32]
    colors: npt.NDArray[np.float32]


def scene_of(pixels: Pixels) -> Scene:
    """Return what a frame, uint8 (H, W) or (H, W, 3) RGB, looks like."""
    small = cv2.resize(as_color(pixels, "rgb"), (_SMALL, _SMALL * HEIGHT // WIDTH), interpolation=cv2.INTER_AREA)
    grey = cv2.resize(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    layout = grey.astype(np.float32).ravel()
    layout -= layout.mean()
    length = float(np.linalg.norm(layout))
    hsv = cv2.cvtColor(small, cv2.COLOR_RGB2HSV)
    colors = cv2.calcHist([hsv], [0, 1, 2], None, list(BINS), [0, 180, 0, 256, 0, 256]).ravel()
    return Scene(layout / length if length > 1 else np.zeros_like(layout), (colors / colors.sum()).astype(np.float32))


def is_cut(one: Scene, other: Scene) -> bool:
    """Return whether two successive frames belong to different shots."""
    correlation = float(one.layout @ other.layout)
    if not (one.layout.any() and other.layout.any()):  # a frame of one colour, such as a black one
        return bool(one.layout.any() or other.layout.any())
    if correlation < OTHER_LAYOUT:
        return True
    distance = max(0.0, 1 - float(np.sqrt(one.colors * other.colors).sum())) ** 0.5
    return correlation < UNLIKE_LAYOUT and distance > UNLIKE_COLORS
