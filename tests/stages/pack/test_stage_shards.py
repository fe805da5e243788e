"""Every stage that reads a pack reads one with shards, and JPEG, like one that is a single file."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

import fercli
from fercli.artifacts import Artifact
from tests.helpers.packs import QUICK
from tests.helpers.shards import COUNTS, make_sharded

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def packs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    options = {"single": {"shards": 0}, "raw": {}, "jpeg": {"codec": "jpeg", "quality": 100}}
    return {name: make_sharded(tmp_path_factory.mktemp(name), **given) for name, given in options.items()}


@pytest.fixture(scope="module")
def run(packs: dict[str, Artifact], tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return fercli.train(packs["single"].path, tmp_path_factory.mktemp("run") / "run", **QUICK)


def read_predictions(file: Path) -> dict[str, dict[str, str]]:
    with file.open(newline="") as text:
        return {row["path"]: row for row in csv.DictReader(text)}


def test_evaluations_agree(packs: dict[str, Artifact], run: Artifact, tmp_path: Path) -> None:
    found = {
        name: read_predictions(
            fercli.evaluate(run.path, pack.path, tmp_path / name, split="test", device="cpu").path / "predictions.csv"
        )
        for name, pack in packs.items()
    }
    assert list(found["raw"]) != list(found["single"])  # in another order
    assert found["raw"] == found["single"]
    assert found["jpeg"].keys() == found["single"].keys()
    for path, row in found["jpeg"].items():
        assert float(row["happy"]) == pytest.approx(float(found["single"][path]["happy"]), abs=0.02)


@pytest.mark.parametrize("name", ["raw", "jpeg"])
def test_stages_read_them(packs: dict[str, Artifact], run: Artifact, name: str, tmp_path: Path) -> None:
    pack = packs[name].path
    assert fercli.evaluate(run.path, pack, tmp_path / "all", split="all", without_leaks=True, device="cpu").summary["n"]
    matrix = fercli.matrix([run.path, pack], tmp_path / "matrix", device="cpu")
    assert matrix.summary["cells"][0]["n"] == COUNTS["test"]
    explained = fercli.explain(run.path, pack, tmp_path / "explanation", split="test", device="cpu")
    assert explained.summary["faces"] == COUNTS["test"]
    fercli.predict(run.path, pack, csv=tmp_path / "faces.csv", split="all", device="cpu")
    with (tmp_path / "faces.csv").open(newline="") as text:
        assert len(list(csv.DictReader(text))) == sum(COUNTS.values())
    assert fercli.train(pack, tmp_path / "run", **QUICK).summary["epochs"] == QUICK["epochs"]
