"""Cross-validation and search on the workers of Ray: the results of one process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import fercli
from fercli.artifacts import Artifact
from fercli.errors import FerError, UsageError
from fercli.stages.train_jobs import job_options
from fercli.stages.tune.config import TuneConfig
from tests.helpers.crossvalidation import OPTIONS, make_faces, rows_of
from tests.helpers.packs import QUICK, make_pack
from tests.helpers.ray_cluster import two_workers

SPACE = "lr = [0.01, 0.1]\nepochs = [1, 2]\n"


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[None]:
    """Ray with two workers, shared by the tests of this module."""
    with two_workers():
        yield


def search(pack: Artifact, out: Path, **options: object) -> Artifact:
    (out.parent / "space.toml").write_text(SPACE)
    settings = QUICK | {"search": "grid", "prune": "none", "space": str(out.parent / "space.toml"), "device": "cpu"}
    return fercli.tune(pack, out, **settings | options)


@pytest.mark.long
@pytest.mark.usefixtures("ray_cluster")
class TestTwoWorkers:
    def test_folds(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)  # relative paths: the workers have another working directory
        dataset = make_faces(tmp_path / "faces")
        options = OPTIONS | {"device": "cpu", "threads": 1}
        one = fercli.crossvalidate(dataset, "one", **options)
        two = fercli.crossvalidate("faces", "two", **options, engine="ray", jobs=2)
        assert rows_of(one, "folds.csv") == rows_of(two, "folds.csv")
        assert one.manifest.digest == two.manifest.digest
        assert fercli.crossvalidate("faces", "two", **options).up_to_date  # the engine is not part of the result

    def test_failing_fold_is_named(self, tmp_path: Path) -> None:
        dataset = make_faces(tmp_path / "faces")
        next(dataset.path.glob("train/happy/*.png")).unlink()
        options = OPTIONS | {"size": 16, "color": "gray", "engine": "ray", "jobs": 2}  # so that only folds read images
        with pytest.raises(FerError, match=r"^fold 1/3: .*the dataset is damaged"):
            fercli.crossvalidate(dataset, tmp_path / "cross", **options)

    def test_trials(self, tmp_path: Path) -> None:
        pack = make_pack(tmp_path / "pack")
        one, two = search(pack, tmp_path / "one"), search(pack, tmp_path / "two", engine="ray", jobs=2)
        found = [
            {row["lr"] + row["epochs"]: row["accuracy"] for row in rows_of(each, "trials.csv")} for each in (one, two)
        ]
        assert len(found[0]) == 4
        assert found[0] == found[1]
        assert search(pack, tmp_path / "two").up_to_date

    def test_share_of_a_missing_gpu(self, tmp_path: Path) -> None:
        with pytest.raises(FerError, match="Ray: the cluster has no GPU"):
            search(make_pack(tmp_path / "pack"), tmp_path / "study", engine="ray", gpus=0.5)


def test_options_of_the_other_engine(tmp_path: Path) -> None:
    pack = make_pack(tmp_path / "pack")
    for options, message in (
        ({"gpus": 1.0}, "--gpus: only with --engine ray"),
        ({"ray_address": "auto"}, "--ray-address: only with --engine ray"),
        ({"engine": "ray", "devices": "2"}, "--devices: only with --engine local"),
    ):
        with pytest.raises(UsageError, match=message):
            search(pack, tmp_path / "study", **options)
        with pytest.raises(UsageError, match=message):
            fercli.crossvalidate(pack, tmp_path / "cross", **options)


def test_job_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.safetensors").touch()
    config = TuneConfig(engine="ray", jobs=8, weights="weights.safetensors", gpus=0.5)
    own = job_options(config)
    assert (own.jobs, own.engine, own.device, own.weights) == (
        1,
        "local",
        "cuda",
        str(tmp_path / "weights.safetensors"),
    )
    assert job_options(config.model_copy(update={"weights": "imagenet", "gpus": 0})).weights == "imagenet"
