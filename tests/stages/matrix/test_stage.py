"""`fer matrix`: its cells against `fer evaluate` and a loop, unknown emotions, training images, and mistakes."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score

import fercli
from fercli.artifacts import Artifact, open_artifact
from fercli.emotions import EMOTIONS
from fercli.errors import DataError, UsageError
from fercli.verification import verify
from tests.helpers.cli import CliResult
from tests.helpers.models import make_run
from tests.helpers.packs import draw_faces, make_pack

Fer = Callable[..., CliResult]
SEVEN = [*EMOTIONS[:6], "contempt"]  # a pack without neutral, with an emotion that the models lack


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs trained on pack `a`; the test split of `b` has four of the images that they were trained on."""
    home = tmp_path_factory.mktemp("matrix")
    a = make_pack(home / "a")
    leaked = draw_faces(np.arange(28) % 7, seed=0)[:4]
    own = np.array([0, 1, 2, 3, *(np.arange(26) % 7)])
    images = np.concatenate([leaked, draw_faces(own[4:], seed=9)])
    make_pack(home / "b", {"test": 30}, emotions=SEVEN, images={"test": images}, labels={"test": own.tolist()})
    for seed in (0, 1):
        make_run(home / f"run-{seed}", a, seed=seed)
    return home


@pytest.fixture(scope="module")
def matrix(home: Path) -> Artifact:
    names = ("b", "run-0", "a", "run-1")  # in any order
    return fercli.matrix([home / name for name in names], home / "matrix", device="cpu")


@pytest.mark.slow
def test_cells_of_known_emotions_equal_evaluate(matrix: Artifact, home: Path, tmp_path: Path) -> None:
    s = matrix.summary
    assert (s["checkpoints"], s["packs"], s["split"]) == (["run-0", "run-1"], ["b", "a"], "test")
    assert [(cell["checkpoint"], cell["pack"]) for cell in s["cells"]] == [
        ("run-0", "b"), ("run-0", "a"), ("run-1", "b"), ("run-1", "a"),
    ]  # fmt: skip
    for seed in (0, 1):
        found = fercli.evaluate(home / f"run-{seed}", home / "a", tmp_path / str(seed), device="cpu").summary
        cell = s["cells"][2 * seed + 1]
        for key in ("n", "accuracy", "accuracy_interval", "macro_f1"):
            assert cell[key] == pytest.approx(found[key])
        assert (cell["left_out"], cell["trained_on"], cell["seen"], cell["unseen_accuracy"]) == (0, 28, 0, None)
        assert cell["macro_f1_interval"][0] < cell["macro_f1"] < cell["macro_f1_interval"][1]


@pytest.mark.slow
def test_only_the_emotions_that_both_know(matrix: Artifact, home: Path, tmp_path: Path) -> None:
    own = np.array([0, 1, 2, 3, *(np.arange(26) % 7)])
    images = np.concatenate([draw_faces(np.arange(28) % 7, seed=0)[:4], draw_faces(own[4:], seed=9)])[own < 6]
    make_pack(tmp_path / "b", {"test": len(images)}, images={"test": images}, labels={"test": own[own < 6].tolist()})
    found = fercli.evaluate(home / "run-0", tmp_path / "b", tmp_path / "evaluation", device="cpu")
    with (found.path / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    labels = [row["label"] for row in rows]
    predicted = [max(SEVEN[:6], key=lambda emotion, row=row: float(row[emotion])) for row in rows]
    right = np.array(labels) == predicted
    cell = matrix.summary["cells"][0]
    assert cell["emotions"] == SEVEN[:6]
    assert (cell["n"], cell["left_out"]) == (len(images), 30 - len(images))
    assert cell["accuracy"] == pytest.approx(right.mean())
    assert cell["macro_f1"] == pytest.approx(f1_score(labels, predicted, average="macro", labels=sorted(set(labels))))
    # No image of pack b was trained on as such, but four of its test images are among the run's training images.
    assert (cell["trained_on"], cell["seen"]) == (0, 4)
    assert cell["unseen_accuracy"] == pytest.approx(right[4:].mean())


@pytest.mark.slow
def test_files(matrix: Artifact) -> None:
    names = sorted(path.name for path in matrix.path.iterdir())
    assert names == ["artifact.json", "matrix.csv", "matrix.json", "matrix.png", "report.html"]
    assert json.loads((matrix.path / "matrix.json").read_text()) == matrix.summary
    with (matrix.path / "matrix.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["accuracy"]) for row in rows] == pytest.approx(
        [cell["accuracy"] for cell in matrix.summary["cells"]], abs=1e-6
    )
    assert rows[0]["emotions"] == " ".join(SEVEN[:6])
    assert verify(open_artifact(matrix.path)) == []
    page = (matrix.path / "report.html").read_text("utf-8")
    assert "run-0 was trained on 4 of the" in page


@pytest.mark.slow
def test_terminal(matrix: Artifact, home: Path, fer: Fer) -> None:
    names = ("b", "run-0", "a", "run-1")
    result = fer("matrix", *(home / name for name in names), "--out", matrix.path, "--device=cpu")
    assert result.code == 0, result.err
    assert result.out.startswith("up to date")
    assert "* trained on images of this pack" in result.out
    assert "run-0 on b: trained on 4 of the" in result.out
    assert "images of emotions that it does not know left out" in result.out


@pytest.mark.slow
def test_checkpoint_alone_has_unknown_training_images(home: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(home / "run-0" / "best", tmp_path / "alone")
    cell = fercli.matrix([tmp_path / "alone", home / "a"], tmp_path / "out", device="cpu").summary["cells"][0]
    assert (cell["trained_on"], cell["seen"]) == (None, None)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        (("run-0", "run-1"), UsageError, "no pack given"),
        (("a", "b"), UsageError, "no checkpoint given"),
        (("run-0", "run-0", "a"), UsageError, "are the same; name each once"),
        (("run-0", "a", "a"), UsageError, "are the same; name each once"),
        (("run-0", "a", "nothing"), DataError, "nothing: no such path"),
        (("run-0", "a", "matrix"), DataError, "is a matrix; expected a run, a checkpoint or a pack"),
    ],
)
def test_mistakes(
    names: tuple[str, ...], error: type[Exception], message: str, home: Path, matrix: Artifact, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        fercli.matrix([home / name for name in names], tmp_path / "out", device="cpu")


@pytest.mark.slow
def test_pack_without_the_split(home: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the pack has no validation split; it has test"):
        fercli.matrix([home / "run-0", home / "b"], tmp_path / "out", split="validation", device="cpu")
