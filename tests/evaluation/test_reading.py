"""Predictions of evaluations and cross-validations, read back; whatever is wrong with them is one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from fercli.artifacts import Artifact, open_artifact
from fercli.errors import DataError
from fercli.evaluation.reading import read_predictions
from tests.helpers.comparison import EMOTIONS, make_evaluation, probabilities

LABELS = np.array([0, 1, 2, 1])
PREDICTED = np.array([0, 2, 2, 1])


def test_what_was_written_is_read(tmp_path: Path) -> None:
    found = read_predictions(make_evaluation(tmp_path / "a", LABELS, PREDICTED))
    assert found.emotions == EMOTIONS
    assert found.labels.tolist() == LABELS.tolist()
    assert found.predicted.tolist() == PREDICTED.tolist()
    assert found.probabilities == pytest.approx(probabilities(PREDICTED), abs=1e-6)
    assert found.keys[1] == ("test/sad/1.png", "", 0)


def test_rows_and_columns_are_reordered_by_name(tmp_path: Path) -> None:
    found = read_predictions(make_evaluation(tmp_path / "a", LABELS, PREDICTED))
    other = found.reordered([2, 0, 1, 3], ("neutral", "happy", "sad"))
    names = [other.emotions[label] for label in other.labels]
    assert names == ["neutral", "happy", "sad", "sad"]
    assert [other.emotions[label] for label in other.predicted] == ["neutral", "happy", "neutral", "sad"]
    assert other.paths[0] == "test/neutral/2.png"
    assert other.probabilities[1] == pytest.approx(found.probabilities[0][[2, 0, 1]])


def test_names_that_were_escaped_are_unescaped(tmp_path: Path) -> None:
    folder = make_evaluation(tmp_path / "a", LABELS, PREDICTED).path
    rewrite(folder, "path,label,'=x,sad\n./=cmd.png,'=x,0.9,0.1\n")
    found = read_predictions(open_artifact(folder))
    assert (found.paths, found.emotions, found.labels.tolist()) == (["=cmd.png"], ("=x", "sad"), [0])


def rewrite(folder: Path, text: str) -> Artifact:
    """Replace the predictions, and what the manifest says of them."""
    (folder / "predictions.csv").write_text(text, encoding="latin-1")
    manifest = json.loads((folder / "artifact.json").read_text())
    manifest["files"].pop("predictions.csv")
    (folder / "artifact.json").write_text(json.dumps(manifest))
    return open_artifact(folder)


HEAD = "path,label,happy,sad\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "columns missing"),
        ("file,label,happy,sad\na,happy,1,0\n", "columns file, label, happy, sad"),
        ("path,fold,label,happy,sad\na,1,happy,1,0\n", "columns path, fold, label"),
        ("path,label,happy\na,happy,1\n", "columns path, label, happy"),
        ("path,label,happy,happy\na,happy,1,0\n", "columns path, label, happy, happy"),
        (HEAD, "no images"),
        (HEAD + "a,happy,1\n", "line 2 has 3 cells, not 4"),
        (HEAD + "a,fear,1,0\n", "line 2: 'fear' is not one of its emotions"),
        (HEAD + "a,happy,much,0\n", "could not convert string to float: 'much'"),
        (HEAD + "a,happy,1,0\nb,sad,nan,0\n", "line 3 has a value that is not a probability"),
        (HEAD + "a,happy,1.5,0\n", "line 2 has a value that is not a probability"),
        (HEAD + "a,happy,1,0\nb,sad,0.9,0.9\n", "line 3 has probabilities that do not add up to 1"),
        (HEAD + "a,happy,1,0\na,happy,1,0\n", "'a' is listed twice"),
        (HEAD + "caf\xe9,happy,1,0\n", "can't decode"),
        ("path,repeat,fold,label,happy,sad\na,1,0,happy,1,0\n", "a repeat or fold is not a number from 1"),
        ("path,repeat,fold,label,happy,sad\na,1,one,happy,1,0\n", "invalid literal"),
    ],
)
def test_invalid_predictions_are_one_line(tmp_path: Path, text: str, message: str) -> None:
    artifact = rewrite(make_evaluation(tmp_path / "a", LABELS, PREDICTED).path, text)
    with pytest.raises(DataError, match=r"predictions.csv: cannot be read as predictions \(") as raised:
        read_predictions(artifact)
    assert message in str(raised.value)


def test_modified_and_missing_files_are_reported(tmp_path: Path) -> None:
    artifact = make_evaluation(tmp_path / "a", LABELS, PREDICTED)
    file = artifact.path / "predictions.csv"
    file.write_text(file.read_text().replace("sad,", "happy,", 1))
    with pytest.raises(DataError, match=r"predictions.csv: was modified after it was written"):
        read_predictions(artifact)
    file.unlink()
    with pytest.raises(DataError, match=r"predictions.csv: cannot be read"):
        read_predictions(artifact)
