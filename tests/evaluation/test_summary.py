"""The summary of an evaluation. The tests of evaluate compare its metrics to scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest

from fercli.evaluation.summary import interval_of, summarise
from fercli.metrics.intervals import wilson_interval
from tests.helpers.datasets import python

LABELS = np.array([0, 1, 1, 0])
PROBABILITIES = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.6, 0.4]])


def test_metrics_and_settings() -> None:
    summary = summarise(LABELS, PROBABILITIES, ["a", "b"], split="test", tta="flip", selection="random")
    assert (summary["split"], summary["n"], summary["tta"], summary["selection"]) == ("test", 4, "flip", "random")
    assert summary["accuracy"] == 0.75
    assert summary["accuracy_interval"] == list(wilson_interval(3, 4))
    assert summary["confusion"] == [[2, 0], [1, 1]]
    assert summary["per_class"]["b"]["recall"] == 0.5
    assert summary["averaged_over"] == 2
    assert summary["without_leaks"] is None


@pytest.mark.parametrize(("unseen", "correct"), [([1, 0, 1, 0], 1), ([0, 0, 1, 0], 0), ([0, 0, 0, 0], 0)])
def test_metrics_without_leaks(unseen: list[int], correct: int) -> None:
    kept = np.array(unseen, bool)
    summary = summarise(LABELS, PROBABILITIES, ["a", "b"], split="test", tta="none", selection="", unseen=kept)
    n = int(kept.sum())
    expected = {"n": n, "accuracy": correct / n if n else None, "accuracy_interval": list(wilson_interval(correct, n))}
    assert summary["without_leaks"] == expected
    assert summary["n"] == 4
    assert interval_of(kept) == list(wilson_interval(n, 4))


@pytest.mark.slow
def test_torch_is_not_imported() -> None:
    out, errors = python("import sys, fercli.evaluation.summary; print('torch' in sys.modules)").communicate()
    assert out == "False\n", errors
