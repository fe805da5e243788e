"""An evaluation's figures alone, from labels and probabilities. That they are scikit-learn's is evaluate's test."""

from __future__ import annotations

import numpy as np
import pytest

from fercli.evaluation.summary import interval_of, summarise
from fercli.metrics.intervals import wilson_interval
from tests.helpers.datasets import python

LABELS = np.array([0, 1, 1, 0])
PROBABILITIES = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.6, 0.4]])


def test_figures_and_what_they_were_got_with() -> None:
    found = summarise(LABELS, PROBABILITIES, ["a", "b"], split="test", tta="flip", selection="drawn")
    assert (found["split"], found["n"], found["tta"], found["selection"]) == ("test", 4, "flip", "drawn")
    assert found["accuracy"] == 0.75
    assert found["accuracy_interval"] == list(wilson_interval(3, 4))
    assert found["confusion"] == [[2, 0], [1, 1]]
    assert found["per_class"]["b"]["recall"] == 0.5
    assert found["averaged_over"] == 2
    assert found["without_leaks"] is None


@pytest.mark.parametrize(("fresh", "right"), [([1, 0, 1, 0], 1), ([0, 0, 1, 0], 0), ([0, 0, 0, 0], 0)])
def test_figures_without_leaks(fresh: list[int], right: int) -> None:
    kept = np.array(fresh, bool)
    found = summarise(LABELS, PROBABILITIES, ["a", "b"], split="test", tta="none", selection="", unseen=kept)
    n = int(kept.sum())
    wanted = {"n": n, "accuracy": right / n if n else None, "accuracy_interval": list(wilson_interval(right, n))}
    assert found["without_leaks"] == wanted
    assert found["n"] == 4
    assert interval_of(kept) == list(wilson_interval(n, 4))


def test_no_torch_is_needed() -> None:
    out, errors = python("import sys, fercli.evaluation.summary; print('torch' in sys.modules)").communicate()
    assert out == "False\n", errors
