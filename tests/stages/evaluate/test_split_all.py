"""`--split all`: all of another dataset, without images that the run was trained or selected on."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fercli.artifacts import Artifact
from fercli.errors import DataError, UsageError
from fercli.stages.ensemble.config import EnsembleConfig
from fercli.stages.ensemble.stage import ensemble
from fercli.stages.evaluate.config import EvaluateConfig
from fercli.stages.evaluate.stage import evaluate
from tests.helpers.models import make_run
from tests.helpers.packs import draw_faces, make_pack


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return make_pack(tmp_path_factory.mktemp("pack") / "pack")


@pytest.fixture(scope="module")
def run(pack: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return make_run(tmp_path_factory.mktemp("run") / "run", pack)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """Another dataset, with faces of another size."""
    return make_pack(tmp_path_factory.mktemp("other") / "other", {"train": 9, "validation": 0, "test": 5}, side=20)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A dataset whose train split contains six training images of the run, and four others."""
    known, labels = draw_faces(np.arange(28) % 7, 16, "gray", 0)[:6], np.arange(4) % 7
    train = np.concatenate([known, draw_faces(labels, 16, "gray", 77)])
    given = [*(k % 7 for k in range(6)), *labels.tolist()]
    folder = tmp_path_factory.mktemp("mixed") / "mixed"
    return make_pack(folder, {"train": 10, "test": 5}, images={"train": train}, labels={"train": given})


def evaluate_all(run: Artifact, pack: Artifact, out: Path, **options: Any) -> Artifact:
    return evaluate(
        EvaluateConfig.of(checkpoint=run.path, pack=pack.path, out=out, split="all", device="cpu", **options)
    )


def rows(evaluation: Artifact) -> list[dict[str, str]]:
    with (evaluation.path / "predictions.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_all_splits_of_another_dataset(run: Artifact, other: Artifact, tmp_path: Path) -> None:
    evaluation = evaluate_all(run, other, tmp_path / "all")
    assert (evaluation.summary["split"], evaluation.summary["n"], evaluation.summary["without_leaks"]) == (
        "all",
        14,
        None,
    )
    assert [row["split"] for row in rows(evaluation)] == ["train"] * 9 + ["test"] * 5
    assert [row["path"].split("/")[0] for row in rows(evaluation)] == ["train"] * 9 + ["test"] * 5
    one = evaluate(EvaluateConfig.of(checkpoint=run.path, pack=other.path, out=tmp_path / "test", device="cpu"))
    assert list(rows(one)[0])[:2] == ["path", "label"]  # no split column for a single split
    assert [{**row, "split": "test"} for row in rows(one)] == [
        row for row in rows(evaluation) if row["split"] == "test"
    ]
    assert ", all splits" in (evaluation.path / "report.html").read_text()


@pytest.mark.slow
def test_training_images_are_rejected_or_excluded(run: Artifact, mixed: Artifact, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"mixed: 6 of its 15 images were trained on; exclude them with --without-l"):
        evaluate_all(run, mixed, tmp_path / "refused")
    evaluation = evaluate_all(run, mixed, tmp_path / "left", without_leaks=True)
    assert (evaluation.summary["n"], evaluation.summary["without_leaks"]) == (9, None)
    assert [row["path"] for row in rows(evaluation)[:4]] == [f"train/{e}/{k}.png" for k, e in enumerate(
        ["angry", "disgust", "fear", "happy"], 6
    )]  # fmt: skip
    assert "6 of its 15 images were trained on" in (evaluation.path / "report.html").read_text()


@pytest.mark.slow
def test_only_test_is_left_of_the_training_pack(run: Artifact, pack: Artifact, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="28 of its 63 images were trained on, and 14 were used to select"):
        evaluate_all(run, pack, tmp_path / "refused")
    evaluation = evaluate_all(run, pack, tmp_path / "left", without_leaks=True)
    assert {row["split"] for row in rows(evaluation)} == {"test"}
    assert evaluation.summary["n"] == 21


def test_no_images_left_or_no_training_digests(run: Artifact, tmp_path: Path) -> None:
    train = make_pack(tmp_path / "train", {"train": 28})
    with pytest.raises(DataError, match="no images are left to evaluate"):
        evaluate_all(run, train, tmp_path / "out", without_leaks=True)
    empty = make_pack(tmp_path / "empty", {"train": 0, "test": 0})
    with pytest.raises(DataError, match="empty: the pack has no labelled images"):
        evaluate_all(run, empty, tmp_path / "out")
    shutil.copytree(run.path / "best", tmp_path / "alone")
    with pytest.raises(DataError, match=r"--split all requires training_sha256\.npy next to it; use a run"):
        evaluate(EvaluateConfig.of(checkpoint=tmp_path / "alone", pack=train.path, out=tmp_path / "out", split="all"))


@pytest.mark.slow
def test_ensemble_on_all_splits(
    run: Artifact, pack: Artifact, other: Artifact, mixed: Artifact, tmp_path: Path
) -> None:
    paths = [run.path, make_run(tmp_path / "second", pack, seed=1).path]
    options: dict[str, Any] = {"checkpoints": paths, "split": "all", "device": "cpu"}
    evaluation = ensemble(EnsembleConfig.of(pack=other.path, out=tmp_path / "e", **options))
    assert (evaluation.summary["n"], len(evaluation.summary["members"])) == (14, 2)
    assert {row["split"] for row in rows(evaluation)} == {"train", "test"}
    with pytest.raises(DataError, match="6 of its 15 images were trained on"):
        ensemble(EnsembleConfig.of(pack=mixed.path, out=tmp_path / "f", **options))
    left = ensemble(EnsembleConfig.of(pack=mixed.path, out=tmp_path / "f", without_leaks=True, **options))
    assert left.summary["n"] == 9
    with pytest.raises(UsageError, match="weights and members are selected on validation"):
        EnsembleConfig.of(pack=other.path, select=True, **options)
