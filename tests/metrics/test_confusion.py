"""The confusion matrix and its metrics against scikit-learn; specificity also by hand."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from fercli.metrics.confusion import classification_metrics, confusion_matrix, macro_f1, metric_values

CLASSES = 5
NAMES = ["angry", "disgust", "fear", "happy", "sad"]
pairs = st.lists(st.tuples(st.integers(0, CLASSES - 1), st.integers(0, CLASSES - 1)), min_size=1, max_size=80)


def _arrays(drawn):
    array = np.array(drawn, np.int64)
    return array[:, 0], array[:, 1]


@pytest.mark.slow
@given(pairs)
def test_matrix_matches_scikit_learn(drawn):
    labels, predictions = _arrays(drawn)
    ours = confusion_matrix(labels, predictions, CLASSES)
    assert ours.dtype == np.int64
    np.testing.assert_array_equal(ours, sk.confusion_matrix(labels, predictions, labels=range(CLASSES)))


@pytest.mark.slow
@given(pairs)
def test_metrics_match_scikit_learn(drawn):
    labels, predictions = _arrays(drawn)
    ours = classification_metrics(confusion_matrix(labels, predictions, CLASSES), NAMES)
    precision, recall, f1, support = sk.precision_recall_fscore_support(
        labels, predictions, labels=range(CLASSES), zero_division=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # predicted classes that do not occur in the labels
        balanced = sk.balanced_accuracy_score(labels, predictions)
    assert ours.accuracy == pytest.approx(sk.accuracy_score(labels, predictions))
    assert ours.balanced_accuracy == pytest.approx(balanced)
    occurring = np.unique(labels)
    oracle = sk.f1_score(labels, predictions, labels=occurring, average="macro", zero_division=0)
    assert ours.macro_f1 == pytest.approx(oracle)
    assert ours.averaged_over == len(occurring)
    assert list(ours.per_class) == NAMES
    for c, row in enumerate(ours.per_class.values()):
        assert row.support == support[c]
        if c in occurring:
            assert (row.precision, row.recall, row.f1) == pytest.approx((precision[c], recall[c], f1[c]))
        else:
            assert (row.recall, row.f1) == (None, None)
            assert row.precision == (0.0 if c in predictions else None)


@pytest.mark.slow
@given(pairs)
def test_specificity_is_the_recall_of_the_rest(drawn):
    labels, predictions = _arrays(drawn)
    ours = classification_metrics(confusion_matrix(labels, predictions, CLASSES), NAMES)
    for c, row in enumerate(ours.per_class.values()):
        if (labels == c).all():
            assert row.specificity is None
            continue
        assert row.specificity == pytest.approx(sk.recall_score(labels != c, predictions != c))
        assert 0 <= row.specificity <= 1


def test_specificity_by_hand():
    counts = np.array([[3, 1, 1], [2, 4, 1], [0, 0, 5]])
    ours = classification_metrics(counts, ["a", "b", "c"]).per_class
    assert ours["a"].specificity == pytest.approx(10 / 12)  # 12 others, 2 of them predicted as a
    assert ours["b"].specificity == pytest.approx(9 / 10)  # 10 others, 1 predicted as b
    assert ours["c"].specificity == pytest.approx(10 / 12)  # 12 others, 2 predicted as c


def test_absent_classes_have_no_metrics_and_are_not_averaged():
    ours = classification_metrics(np.array([[4, 0, 0], [0, 0, 0], [0, 0, 0]]), ["a", "b", "c"])
    assert (ours.accuracy, ours.balanced_accuracy, ours.macro_f1, ours.averaged_over) == (1.0, 1.0, 1.0, 1)
    assert ours.per_class["a"].specificity is None  # there are no other classes
    absent = ours.per_class["b"]
    assert (absent.precision, absent.recall, absent.specificity, absent.f1) == (None, None, 1.0, None)


def test_perfect_model_without_neutral_faces():
    ours = classification_metrics(
        np.diag([5, 4, 3, 2, 6, 1, 0]), ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
    )
    assert (ours.macro_f1, ours.balanced_accuracy, ours.averaged_over) == (1.0, 1.0, 6)


def test_class_never_predicted_has_zero_metrics():
    ours = classification_metrics(np.array([[2, 0], [2, 0]]), ["a", "b"])
    assert (ours.per_class["b"].precision, ours.per_class["b"].recall, ours.per_class["b"].f1) == (0.0, 0.0, 0.0)
    assert ours.macro_f1 == pytest.approx(1 / 3)


def test_no_images():
    none = confusion_matrix(np.array([], np.uint8), np.array([], np.int64), 3)
    assert none.shape == (3, 3)
    ours = classification_metrics(none, ["a", "b", "c"])
    assert (ours.accuracy, ours.balanced_accuracy, ours.macro_f1) == (0.0, 0.0, 0.0)


@given(pairs)
def test_macro_f1_matches_classification_metrics(drawn):
    counts = confusion_matrix(*_arrays(drawn), CLASSES)
    assert macro_f1(counts) == classification_metrics(counts, NAMES).macro_f1


def test_many_matrices_have_the_metrics_of_each():
    matrices = np.random.default_rng(0).integers(0, 6, (2, 5, 3, 3))
    matrices[0, 0, 1] = 0  # a class that does not occur
    matrices[1, 2, :, 2] = 0  # a class that is never predicted
    for found, matrix in zip(metric_values(matrices).reshape(-1, 6), matrices.reshape(-1, 3, 3), strict=True):
        expected = classification_metrics(matrix, ["a", "b", "c"])
        means = [expected.accuracy, expected.balanced_accuracy, expected.macro_f1]
        recalls = [np.nan if one.recall is None else one.recall for one in expected.per_class.values()]
        assert found == pytest.approx([*means, *recalls], nan_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(metric_values(np.zeros((3, 3), np.int64))).all()


def test_uint8_labels_do_not_overflow():
    labels = np.full(3, 199, np.uint8)
    assert confusion_matrix(labels, labels, 200)[199, 199] == 3


def test_invalid_input():
    one = np.array([1])
    with pytest.raises(ValueError, match="1 labels, but 2 predictions"):
        confusion_matrix(one, np.array([1, 1]), 3)
    with pytest.raises(ValueError, match="a label is outside 0 to 2"):
        confusion_matrix(np.array([3]), one, 3)
    with pytest.raises(ValueError, match="a prediction is outside 0 to 2"):
        confusion_matrix(one, np.array([-1]), 3)
    with pytest.raises(TypeError):
        confusion_matrix(np.array([0.5]), one, 3)
    with pytest.raises(ValueError, match="for 2 emotions"):
        classification_metrics(np.zeros((3, 3), np.int64), ["a", "b"])


def test_metrics_are_json_serialisable():
    ours = classification_metrics(np.array([[3, 1], [2, 4]]), ["happy", "sad"]).as_dict()
    assert json.loads(json.dumps(ours)) == ours
    assert list(ours) == ["accuracy", "balanced_accuracy", "macro_f1", "averaged_over", "per_class"]
    assert list(ours["per_class"]["sad"]) == ["precision", "recall", "specificity", "f1", "support"]
