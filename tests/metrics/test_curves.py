"""ROC and precision-recall curves: against scikit-learn, known areas, and absent classes."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from fercli.metrics.curves import roc_auc, roc_curves

NAMES = ["angry", "fear", "happy", "sad"]


@pytest.fixture
def scored():
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 4, 300)
    logits = rng.normal(size=(300, 4)) + 1.5 * np.eye(4)[labels]
    exp = np.exp(logits)
    return labels, exp / exp.sum(axis=1, keepdims=True)


def test_roc_auc_matches_scikit_learn(scored):
    labels, probabilities = scored
    oracle = sk.roc_auc_score(labels, probabilities, multi_class="ovr", average="macro")
    assert roc_auc(labels.astype(np.uint8), probabilities) == pytest.approx(oracle)


def test_absent_class_is_excluded(scored):
    labels, probabilities = scored
    kept = labels != 1
    areas = [sk.roc_auc_score(labels[kept] == c, probabilities[kept, c]) for c in (0, 2, 3)]
    assert roc_auc(labels[kept], probabilities[kept]) == pytest.approx(np.mean(areas))
    assert list(roc_curves(labels[kept], probabilities[kept], NAMES)) == ["angry", "happy", "sad"]


@pytest.mark.parametrize("n", [0, 1, 5])
def test_single_class_has_no_roc_auc(n):
    labels, probabilities = np.full(n, 2), np.full((n, 4), 0.25)
    assert roc_auc(labels, probabilities) is None
    assert roc_curves(labels, probabilities, NAMES) == {}


def test_roc_auc_of_perfect_inverted_and_constant_scores():
    labels = np.array([0, 1, 0, 1])
    perfect = np.eye(2)[labels]
    assert roc_auc(labels, perfect) == 1.0
    assert roc_auc(labels, 1 - perfect) == 0.0
    assert roc_auc(labels, np.full((4, 2), 0.5)) == 0.5


def test_curves(scored):
    labels, probabilities = scored
    curves = roc_curves(labels, probabilities, NAMES)
    assert np.mean([c.auc for c in curves.values()]) == pytest.approx(roc_auc(labels, probabilities))
    for c, curve in enumerate(curves.values()):
        assert (curve.fpr[0], curve.tpr[0], curve.fpr[-1], curve.tpr[-1]) == (0, 0, 1, 1)
        assert (np.diff(curve.fpr) >= 0).all()
        assert (np.diff(curve.tpr) >= 0).all()
        assert (np.diff(curve.recall) <= 0).all()
        assert curve.auc == pytest.approx(sk.roc_auc_score(labels == c, probabilities[:, c]))
        oracle = sk.average_precision_score(labels == c, probabilities[:, c])
        assert curve.average_precision == pytest.approx(oracle)


def test_invalid_input(scored):
    labels, probabilities = scored
    with pytest.raises(ValueError, match="labels of shape"):
        roc_auc(labels[:-1], probabilities)
    with pytest.raises(ValueError, match="outside 0 to 1"):
        roc_auc(labels, probabilities[:, :2])
    with pytest.raises(ValueError, match="for 2 emotions"):
        roc_curves(labels, probabilities, ["happy", "sad"])
    probabilities[4, 2] = np.nan
    with pytest.raises(ValueError, match="not a finite number"):
        roc_auc(labels, probabilities)
