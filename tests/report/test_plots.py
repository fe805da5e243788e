"""Every plot is a valid PNG of sensible size that is not blank, even for extreme input."""

from __future__ import annotations

import base64
import math
import subprocess
import sys

import numpy as np
import pytest

from fercli.emotions import CONTEMPT, EMOTIONS
from fercli.images import decode
from fercli.metrics.curves import roc_curves
from fercli.report import plots as plots
from fercli.report.style import line_styles

HOSTILE = ["$\\frac{$", "<b>happy</b>", "a name " + "so " * 30 + "long", "\udcff\n"]


def _faults(png: bytes) -> list[str]:
    """Return the faults of a figure: wrong size, blank, or cut off at the edge."""
    pixels = decode(png, "figure")
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    checks = {
        "not a colour picture": pixels.ndim != 3,
        "height": not 400 <= pixels.shape[0] <= 3000,
        "width": not 600 <= pixels.shape[1] <= 3000,
        "empty": len(np.unique(pixels[::3, ::3].reshape(-1, 3), axis=0)) <= 20,
        "something is cut off at the edge": not (border == 255).all(),
    }
    return [fault for fault, failed in checks.items() if failed]


def _epochs(n: int) -> dict[str, list[float]]:
    t = np.arange(n)
    return {
        "epoch": (t + 1).tolist(),
        "train_loss": np.exp(-t / 20).tolist(),
        "train_accuracy": (1 - np.exp(-(t + 1) / 20)).tolist(),
        "train_macro_f1": [0.5] * n,
        "validation_loss": (1 + np.exp(-t / 10)).tolist(),
        "validation_accuracy": (0.7 - 0.5 * np.exp(-t / 10)).tolist(),
        "validation_macro_f1": [0.5] * n,
        "learning_rate": (0.1 * 0.95**t).tolist(),
        "images_per_second": [900.0] * n,
    }


@pytest.mark.slow
@pytest.mark.parametrize("emotions", [EMOTIONS, (*EMOTIONS, CONTEMPT), ("happy",), HOSTILE])
def test_confusion(emotions):
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 20_000, (len(emotions), len(emotions)))
    counts[0] = 0  # a class that does not occur
    assert (
        _faults(plots.confusion_plot(counts, emotions, "test, n = 3,589\n$accuracy 71 %$ \\frac " + 20 * "and more "))
        == []
    )


@pytest.mark.slow
def test_equal_metrics_give_equal_bytes():
    counts = np.array([[3, 1], [2, 4]])
    first, second = (plots.confusion_plot(counts, ["happy", "sad"], "test") for _ in range(2))
    assert first == second


@pytest.mark.slow
@pytest.mark.parametrize("title", ["a\x1b[31m run", "実行 of 데이터"])
@pytest.mark.filterwarnings("error")
def test_titles_of_any_script_cause_no_warning(title):
    assert plots.confusion_plot(np.eye(7, dtype=int), EMOTIONS, title).startswith(b"\x89PNG")


@pytest.mark.slow
def test_confusion_shows_the_counts():
    counts = np.array([[3, 1], [2, 4]])
    other = np.array([[30, 10], [20, 40]])  # the same shares
    assert plots.confusion_plot(counts, ["a", "b"], "") != plots.confusion_plot(other, ["a", "b"], "")


def test_confusion_with_another_number_of_emotions():
    with pytest.raises(ValueError, match="for 3 emotions"):
        plots.confusion_plot(np.zeros((2, 2), np.int64), ["a", "b", "c"], "")


@pytest.mark.slow
@pytest.mark.parametrize("n", [1, 2, 200])
def test_curves(n):
    assert _faults(plots.curves_plot(_epochs(n))) == []


@pytest.mark.slow
def test_curves_with_gaps_and_missing_columns():
    epochs = _epochs(8)
    epochs["validation_accuracy"] = [math.nan] * 7 + [0.5]
    epochs["learning_rate"] = [0.0] * 8
    del epochs["train_loss"], epochs["validation_loss"]
    assert _faults(plots.curves_plot(epochs)) == []
    epochs["validation_accuracy"] = [math.nan] * 8
    assert _faults(plots.curves_plot(epochs)) == []


@pytest.mark.slow
def test_curves_mark_the_given_epoch():
    epochs = _epochs(8)
    assert plots.curves_plot(epochs) == plots.curves_plot(epochs, best_epoch=8)
    assert plots.curves_plot(epochs) != plots.curves_plot(epochs, best_epoch=3)
    with pytest.raises(ValueError, match="epoch 9"):
        plots.curves_plot(epochs, best_epoch=9)


@pytest.mark.slow
@pytest.mark.parametrize("emotions", [(*EMOTIONS, CONTEMPT), HOSTILE])
def test_roc(emotions):
    rng = np.random.default_rng(1)
    labels = rng.integers(0, len(emotions), 500)
    scores = rng.random((500, len(emotions))) + np.eye(len(emotions))[labels]
    assert _faults(plots.roc_plot(roc_curves(labels, scores, emotions))) == []


@pytest.mark.slow
def test_roc_of_one_class():
    assert _faults(plots.roc_plot({})) == []


def test_emotions_have_distinct_fixed_colors():
    styles = line_styles([*EMOTIONS, CONTEMPT, "awe", "bored"])
    assert len({style.color for style in styles.values()}) == 10
    assert line_styles(["sad"])["sad"] == styles["sad"]


@pytest.mark.parametrize("shape", [(48, 48), (48, 48, 3), (30, 90)])
def test_face_uri_is_lossless(shape):
    face = np.random.default_rng(2).integers(0, 256, shape, np.uint8)
    head, _, body = plots.face_uri(face).partition(",")
    assert head == "data:image/png;base64"
    np.testing.assert_array_equal(decode(base64.b64decode(body), "face"), face)


def test_large_face_is_downscaled():
    body = plots.face_uri(np.zeros((224, 224, 3), np.uint8)).partition(",")[2]
    assert decode(base64.b64decode(body), "face").shape == (160, 160, 3)


@pytest.mark.slow
def test_neither_pyplot_nor_torch_is_imported():
    code = "import sys, fercli.report.pages; print(*({'matplotlib.pyplot', 'torch'} & set(sys.modules)))"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout.strip() == ""
