"""Metrics on corrupted copies, against a loop over a classifier by hand."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score

from fercli.evaluation.corruptions import CORRUPTIONS, corrupt
from fercli.evaluation.robustness import SHEET_SIDE, corruptions_sheet, measure_corruptions, write_corruptions
from fercli.images import decode
from fercli.metrics.intervals import wilson_interval
from tests.helpers.datasets import noise
from tests.helpers.packs import draw_faces


def by_rows(faces: np.ndarray) -> np.ndarray:
    """Classify faces by the brightest of the rows whose bars encode the labels."""
    rows = np.stack([faces[:, k * 2 : k * 2 + 3].mean((1, 2)) for k in range(7)], 1)
    return np.exp(rows / 20) / np.exp(rows / 20).sum(1, keepdims=True)


def test_curves_equal_a_loop(tmp_path: Path) -> None:
    labels = np.arange(70) % 7
    faces = draw_faces(labels)
    clean = float((by_rows(faces).argmax(1) == labels).mean())
    assert 0.8 < clean <= 1
    found = measure_corruptions(("blur", "turn"), faces, labels, clean, 7, by_rows)
    errors = []
    for name in ("blur", "turn"):
        curve = found.corruptions[name]
        for strength in range(1, 6):
            predicted = by_rows(corrupt(faces, name, strength)).argmax(1)
            right = int((predicted == labels).sum())
            assert curve.accuracy[strength - 1] == pytest.approx(right / 70)
            assert curve.accuracy_interval[strength - 1] == list(wilson_interval(right, 70))
            assert curve.macro_f1[strength - 1] == pytest.approx(f1_score(labels, predicted, average="macro"))
            errors.append(1 - right / 70)
        assert curve.error == pytest.approx(np.mean(errors[-5:]))
    assert found.mean_error == pytest.approx(np.mean(errors))
    assert found.mean_error > 0.02
    assert found.added_error == pytest.approx(np.mean(errors) - (1 - clean))
    assert found.relative_error == (None if clean == 1 else pytest.approx(np.mean(errors) / (1 - clean)))
    write_corruptions(tmp_path / "corruptions.csv", found, 70)
    with (tmp_path / "corruptions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["corruption", "strength", "value", "n", "accuracy", "low", "high", "macro_f1"]
    assert [(row["corruption"], row["strength"]) for row in rows] == [
        (c, str(s)) for c in ("blur", "turn") for s in range(1, 6)
    ]
    assert [float(row["value"]) for row in rows[5:]] == list(CORRUPTIONS["turn"].values)
    assert [float(row["accuracy"]) for row in rows] == pytest.approx([1 - error for error in errors], abs=1e-6)


def test_no_errors_on_clean_images() -> None:
    labels = np.arange(14) % 7
    found = measure_corruptions(("contrast",), draw_faces(labels), labels, 1.0, 7, by_rows)
    assert found.relative_error is None
    assert found.clean_error == 0
    assert found.added_error == found.mean_error


@pytest.mark.parametrize("shape", [(48, 48), (224, 224, 3)])
def test_sheet_shows_each_strength(shape: tuple[int, ...]) -> None:
    sheet = decode(corruptions_sheet(("blur", "mouth"), noise(0, *shape)), "sheet")
    assert sheet.shape[1] > 6 * SHEET_SIDE
    assert 2 * SHEET_SIDE < sheet.shape[0] < 4 * SHEET_SIDE
