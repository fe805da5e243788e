"""Contempt, the eighth class, from the dataset to the explanation."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fercli
from fercli.artifacts import Artifact
from fercli.emotions import CONTEMPT, EMOTIONS
from fercli.faces.base import Face
from fercli.models.checkpoints import load_checkpoint
from fercli.packs.file import read_split
from fercli.packs.opening import open_pack
from fercli.stages.predict import detection as detection
from tests.helpers.datasets import make_dataset, write_tree
from tests.helpers.packs import QUICK, draw_faces

EIGHT = [*EMOTIONS, CONTEMPT]
EACH = {"train": 6, "validation": 2, "test": 2}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("eight")


@pytest.fixture(scope="module")
def dataset(home: Path) -> Artifact:
    images, columns = {}, {}
    for seed, (split, each) in enumerate(EACH.items()):
        labels = np.arange(8 * each) % 8
        for i, (label, face) in enumerate(zip(labels, draw_faces(labels, 16, seed=seed), strict=True)):
            path = f"{split}/{EIGHT[label]}/{i}.png"
            images[path] = face
            if split == "train":
                columns[path] = {"votes": f"{EIGHT[label]}:7 contempt:3" if label < 7 else "neutral:4 contempt:6"}
    return make_dataset(home / "faces", images, columns=columns)


@pytest.fixture(scope="module")
def pack(dataset: Artifact, home: Path) -> Artifact:
    return fercli.pack(dataset.path, home / "pack")


@pytest.fixture(scope="module")
def runs(pack: Artifact, home: Path) -> list[Artifact]:
    return [
        fercli.train(pack.path, home / f"run-{seed}", **QUICK, seed=seed, class_weights=True, mixup=0.2 * seed)
        for seed in (0, 1)
    ]


def test_pack(pack: Artifact) -> None:
    info = open_pack(pack)
    assert info.emotions == tuple(EIGHT)
    train = read_split(info, "train")
    assert np.bincount(train.labels).tolist() == [6] * 8
    assert train.votes is not None
    np.testing.assert_allclose(train.votes[train.labels == 7], [[0] * 6 + [0.4, 0.6]] * 6, atol=1e-7)
    np.testing.assert_allclose(train.votes[train.labels == 1], [[0, 0.7, 0, 0, 0, 0, 0, 0.3]] * 6, atol=1e-7)
    assert pack.manifest.counts["test"] == dict.fromkeys(EIGHT, 2)


@pytest.mark.slow
def test_train(runs: list[Artifact]) -> None:
    for run in runs:
        assert run.manifest.emotions == EIGHT
        assert run.summary["targets"] == "votes"
        checkpoint = load_checkpoint(run.path)
        assert checkpoint.metadata.emotions == EIGHT
        assert checkpoint.model.classifier.out_features == 8  # type: ignore[union-attr]


@pytest.mark.slow
def test_evaluate(runs: list[Artifact], home: Path) -> None:
    result = fercli.evaluate(runs[0].path, out=home / "evaluation", split="test", device="cpu", tta="flip")
    metrics = json.loads((result.path / "metrics.json").read_text())
    assert metrics["emotions"] == EIGHT
    assert np.array(metrics["confusion"]).shape == (8, 8)
    assert metrics["per_class"][CONTEMPT]["support"] == 2
    with (result.path / "predictions.csv").open(newline="") as file:
        assert next(csv.reader(file)) == ["path", "label", *EIGHT]
    page = (result.path / "report.html").read_text()
    assert f">{CONTEMPT}<" in page or f"{CONTEMPT}<" in page
    assert (result.path / "confusion.png").stat().st_size > 5_000


@pytest.mark.slow
def test_ensemble(runs: list[Artifact], home: Path) -> None:
    result = fercli.ensemble([run.path for run in runs], home / "ensemble", split="test", device="cpu")
    assert result.summary["emotions"] == EIGHT
    assert result.summary["per_class"][CONTEMPT]["support"] == 2


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"emotion": CONTEMPT}, {"method": "weights"}], ids=str)
def test_explain(runs: list[Artifact], dataset: Artifact, home: Path, options: dict[str, str]) -> None:
    images = () if "method" in options else dataset.path / "test" / CONTEMPT
    out = home / f"explanation-{len(options.get('emotion', ''))}"
    result = fercli.explain(runs[0].path, images, out, device="cpu", **options)
    text = (result.path / "explanation.json").read_text()
    assert CONTEMPT in text
    assert result.manifest.kind == "explanation"
    assert any(path.suffix == ".png" for path in result.path.rglob("*"))


class CentreDetector:
    """Detects one face in the middle of the image."""

    name = "whole"

    def detect(self, pixels: np.ndarray) -> list[Face]:
        return [Face((10.0, 10.0, 30.0, 30.0), 1.0)]


@pytest.mark.slow
def test_predict(
    runs: list[Artifact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fer: Callable[..., Any]
) -> None:
    monkeypatch.setattr(detection, "create_detector", lambda name, weights: CentreDetector())
    photographs = write_tree(tmp_path / "photographs", {"a.png": draw_faces(np.array([7]), 50)[0]})
    call = fer(
        "predict", runs[0].path, photographs, "--csv", tmp_path / "out.csv", "--draw", tmp_path / "d", "--device", "cpu"
    )
    assert call.code == 0, call.err
    with (tmp_path / "out.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    assert set(EIGHT) <= set(row)
    assert sum(float(row[emotion]) for emotion in EIGHT) == pytest.approx(1, abs=1e-3)
    assert row["emotion"] in EIGHT
    assert any((tmp_path / "d").iterdir())


@pytest.mark.slow
def test_balance(dataset: Artifact, home: Path) -> None:
    result = fercli.balance(dataset.path, home / "balanced", policy="ratio")
    assert result.manifest.emotions == EIGHT
    assert result.manifest.counts["train"][CONTEMPT] >= 6


@pytest.mark.slow
def test_clean_labels(dataset: Artifact, runs: list[Artifact], home: Path) -> None:
    pytest.importorskip("cleanlab")
    result = fercli.clean(dataset.path, home / "cleaned", labels=[run.path for run in runs], device="cpu")
    issues = result.summary["label_issues"]
    assert issues["examined"] == {"train": 0, "validation": 16, "test": 16}
    assert issues["without_prediction"] == {"train": 48, "validation": 0, "test": 0}
    header = (result.path / "label_issues.csv").read_text().splitlines()[0]
    assert header == f"path,split,emotion,suggested,self_confidence,{','.join(EIGHT)}"
