"""The forest plot is drawn for one panel and several, with and without intervals."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from fercli.report.forest_plot import ForestRow, forest_plot

ROWS = (
    ForestRow("accuracy", 1.5, (0.2, 2.8)),
    ForestRow("$odd$ name\nof two lines", -3.0, (-4.0, -1.0)),
    ForestRow("recall", 0.0, None, gap=True),
    ForestRow("absent", None, None),
)


def colors(png: bytes) -> set[tuple[int, int, int]]:
    image = Image.open(io.BytesIO(png)).convert("RGB")
    return {color for _, color in image.getcolors(1 << 24)}


@pytest.mark.slow
@pytest.mark.parametrize("panels", [1, 3])
def test_intervals_that_exclude_zero_are_coloured(panels: int) -> None:
    found = colors(forest_plot([("title", ROWS)] * panels, "points"))
    assert {(0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)} <= found
    muted = colors(forest_plot([("title", (ForestRow("a", 0.5, (-1.0, 2.0)),))] * panels, "points"))
    assert not {(0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)} & muted
