"""Plots of a search: they can be drawn for any result, and have the size of a page."""

from __future__ import annotations

import math

import pytest

from fercli.images import decode
from fercli.report.study_plots import Axis, Point, history_plot, importance_plot, parallel_plot, slices_plot

AXES = [Axis("optimizer", ("sgd", "adam")), Axis("lr", None, log=True), Axis("epochs", None)]


def points(complete: int, ended: int) -> list[Point]:
    return [
        Point(
            n,
            {"optimizer": ("sgd", "adam")[n % 2], "lr": 0.01 * (1 + n), "epochs": 5},
            0.5 + n / 100 if n < complete else math.nan,
        )
        for n in range(complete + ended)
    ]


@pytest.mark.parametrize(("complete", "ended"), [(0, 2), (1, 0), (8, 3)])
@pytest.mark.parametrize("minimise", [False, True])
def test_plots(complete: int, ended: int, minimise: bool) -> None:
    given = points(complete, ended)
    pictures = [history_plot(given, "accuracy", minimise=minimise), slices_plot(given, AXES, "accuracy")]
    if complete:
        pictures.append(parallel_plot(given, AXES, "accuracy", minimise))
    pictures.append(importance_plot({"lr": 0.7, "optimizer": 0.3}))
    for picture in pictures:
        assert decode(picture, "figure").shape[1] == 1350


def test_places() -> None:
    assert [AXES[0].place(value) for value in ("sgd", "adam")] == [0.0, 1.0]
    assert AXES[1].place(0.5) == 0.5
    assert not Point(0, {}, math.nan).complete
