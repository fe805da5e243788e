"""The heat map of a matrix: one cell to many, undefined cells, names like formulas, nothing is cut off."""

from __future__ import annotations

import pytest

from fercli.images import decode
from fercli.report.matrix_plot import HeatCell, matrix_plot


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (6, 2), (2, 9)])
def test_matrix_plot(rows: int, columns: int) -> None:
    cells = [[HeatCell(k / 9, "10.0% to 20.0%", k == 0) for k in range(columns)] for _ in range(rows)]
    cells[0][-1] = HeatCell(None, "no image")
    names = ["$\\x$ a very long name of a run", *map(str, range(9))]
    png = matrix_plot(cells, names[:rows], names[:columns], "Accuracy")
    pixels = decode(png, "figure")
    assert (pixels[[0, -1]] == 255).all()
    assert (pixels[:, [0, -1]] == 255).all()
    assert matrix_plot(cells, names[:rows], names[:columns], "Accuracy") == png
