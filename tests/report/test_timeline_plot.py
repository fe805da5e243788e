"""Emotions over time: gaps are white, a single frame has a width, and no people are no error."""

from __future__ import annotations

import numpy as np
import pytest

from fercli.emotions import EMOTIONS
from fercli.images import decode
from fercli.report.style import line_styles
from fercli.report.timeline_plot import Band, timeline_plot


def count(pixels: np.ndarray, emotion: str) -> int:
    color = line_styles([emotion])[emotion].color
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return int((pixels == (red, green, blue)).all(2).sum())


@pytest.mark.slow
def test_areas_and_gaps() -> None:
    values = np.zeros((20, 7))
    values[:10, EMOTIONS.index("happy")] = values[10:, EMOTIONS.index("sad")] = 1
    times = np.concatenate([np.arange(10) / 10, 3 + np.arange(10) / 10])
    gap = Band("0001: happy in 50% of 2 s", times, values, [slice(0, 10), slice(10, 20)])
    through = Band("0001: happy in 50% of 2 s", times, values, [slice(0, 20)])
    with_gap, without = (decode(timeline_plot([one], EMOTIONS, 4.0, 0.1), "figure") for one in (gap, through))
    happy, sad = count(with_gap, "happy"), count(with_gap, "sad")
    assert happy == pytest.approx(sad, rel=0.15)
    assert count(without, "happy") > 1.5 * happy


@pytest.mark.slow
def test_one_frame_and_nobody() -> None:
    alone = Band("0001", np.array([1.0]), np.eye(7)[:1], [slice(0, 1)])
    pixels = decode(timeline_plot([alone] * 8, EMOTIONS, 100.0, 0.5), "figure")
    assert count(pixels, EMOTIONS[0]) > 100
    assert (pixels[0] == 255).all()
    assert decode(timeline_plot([], EMOTIONS, 0.0, 1.0), "figure").shape[2] == 3
