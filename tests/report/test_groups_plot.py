"""The plot of groups: one to many groups, names that are long or would be parsed as formulas, nothing is cut off."""

from __future__ import annotations

import pytest

from fercli.images import decode
from fercli.report.groups_plot import MAX_ROWS, GroupRow, groups_plot


def row(number: int, name: str = "", emphasis: bool = False) -> GroupRow:
    return GroupRow(name or f"group {number}", 10 + number, 0.5, (0.4, 0.6), emphasis)


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 7, MAX_ROWS])
def test_groups_plot(count: int) -> None:
    rows = [row(0, "$\\x$ " + "long " * 20, True), *(row(number) for number in range(1, count))]
    png = groups_plot(rows, 0.55, "a $long$ column's name.csv")
    pixels = decode(png, "figure")
    assert (pixels[[0, -1]] == 255).all()
    assert (pixels[:, [0, -1]] == 255).all()
    assert pixels.shape[0] == pytest.approx(150 * (1.7 + 0.31 * count), abs=2)
    assert groups_plot(rows, 0.55, "a $long$ column's name.csv") == png


@pytest.mark.slow
def test_only_the_largest_groups_and_the_gap_are_drawn() -> None:
    rows = [row(0, emphasis=True), *(row(number) for number in range(1, MAX_ROWS + 20))]
    kept = [rows[0], *rows[-MAX_ROWS + 1 :]]
    tall = decode(groups_plot(rows, 0.55, "subject"), "figure")
    assert tall.shape == decode(groups_plot(kept, 0.55, "subject"), "figure").shape
    assert (decode(groups_plot(kept, 0.55, "x"), "x")[150:] == decode(groups_plot(rows, 0.55, "x"), "x")[150:]).all()
