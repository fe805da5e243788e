"""The figures that were measured here."""

from __future__ import annotations

import pytest

from fercli.metrics.intervals import wilson_interval
from fercli.models.registry import find_model
from fercli.recipes.measured import Measured, measured_of, read_measured


@pytest.mark.parametrize("own", read_measured(), ids=lambda own: f"{own.model} {own.accuracy}")
def test_figures_are_consistent(own: Measured) -> None:
    assert find_model(own.model).name == own.model
    assert own in measured_of(own.model)
    low, high = own.interval
    assert low < own.accuracy < high
    if own.seeds == 1:
        expected = wilson_interval(round(own.accuracy / 100 * own.n), own.n)
        assert own.interval == pytest.approx([100 * bound for bound in expected], abs=0.006)
    assert own.command.startswith(("fer train ", "bash benchmarks/"))
