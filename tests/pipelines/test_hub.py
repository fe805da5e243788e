"""Models from the hub wherever a checkpoint is taken: pinned to their commit, and of the same numbers as local ones."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import fercli
from fercli.artifacts import Artifact, open_artifact
from fercli.artifacts.lineage import ancestors
from fercli.emotions import EMOTIONS
from fercli.errors import DataError, UsageError
from fercli.models.registry import create_model
from fercli.publishing.push import prepare_push
from tests.helpers.cli import CliResult
from tests.helpers.datasets import names
from tests.helpers.hub import StandIn, go_offline
from tests.helpers.models import make_run
from tests.helpers.packs import QUICK, make_pack
from tests.helpers.prediction import picture
from tests.helpers.publishing import make_evaluated

Fer = Callable[..., CliResult]
HUB = "hf://anna/faces"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs on a pack."""
    home = tmp_path_factory.mktemp("models")
    pack = make_pack(home / "pack")
    make_run(home / "run", pack)
    make_run(home / "other", pack, seed=1)
    return home


@pytest.fixture
def commit(hub: StandIn, home: Path) -> str:
    """The commit of the run on the hub."""
    return prepare_push(home / "run", "anna/faces").send().commit


def input_of(artifact: Artifact, name: str = "checkpoint") -> tuple[str, str]:
    found = next(one for one in artifact.manifest.inputs if one.name == name)
    return found.kind, found.path


def test_evaluations_are_pinned_and_equal(commit: str, home: Path, tmp_path: Path, hub: StandIn, fer: Fer) -> None:
    local = fercli.evaluate(home / "run", home / "pack", tmp_path / "local", device="cpu")
    found = fercli.evaluate(HUB, home / "pack", tmp_path / "evaluation", device="cpu", without_leaks=True)
    assert input_of(found) == ("hub", f"{HUB}@{commit}")
    assert {**dict(found.summary), "without_leaks": None} == dict(local.summary)
    assert found.summary.without_leaks is not None
    (first, *_) = ancestors(found)
    assert (first.kind, first.name, first.state) == ("hub", f"{HUB}@{commit}", "raw")
    shown = fer("show", tmp_path / "evaluation")
    assert f"{HUB}@{commit}" in shown.out
    listed = json.loads(fer("show", tmp_path / "evaluation", "--json").out)["lineage"]
    assert [one["path"] for one in listed if one["kind"] == "hub"] == [f"{HUB}@{commit}"]
    page = (tmp_path / "evaluation" / "report.html").read_text("utf-8")
    assert f"anna/faces@{commit[:8]}" in page
    assert "snapshots" not in page + (tmp_path / "evaluation" / "artifact.json").read_text("utf-8")
    assert open_artifact(tmp_path / "evaluation").manifest.details["origin"]["model"] == "quick"


def test_the_same_commit_is_up_to_date_and_a_moved_branch_is_not(
    commit: str, home: Path, tmp_path: Path, hub: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    def evaluate(address: str) -> Artifact:
        return fercli.evaluate(address, home / "pack", tmp_path / "evaluation", device="cpu")

    evaluate(HUB)
    assert evaluate(HUB).up_to_date
    assert evaluate(f"{HUB}@{commit}").up_to_date
    hub.publish("anna/faces", {"README.md": b"only words"})
    assert evaluate(HUB).up_to_date
    prepare_push(home / "other", "anna/faces").send()
    with pytest.raises(DataError, match="exists"):
        evaluate(HUB)
    assert evaluate(f"{HUB}@{commit}").up_to_date
    go_offline(monkeypatch)
    assert evaluate(f"{HUB}@{commit}").up_to_date


def test_every_stage_that_takes_a_checkpoint(
    commit: str, home: Path, tmp_path: Path, hub: StandIn, fer: Fer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = fercli.ensemble([HUB, home / "other"], pack=home / "pack", out=tmp_path / "ensemble", device="cpu")
    assert input_of(made) == ("hub", f"{HUB}@{commit}")
    assert made.summary.members[0].checkpoint == f"faces@{commit[:8]}"
    made = fercli.matrix([HUB, home / "other", home / "pack"], tmp_path / "matrix", device="cpu")
    assert made.summary.checkpoints == [f"faces@{commit[:8]}", "other"]
    assert made.summary.cells[0].trained_on == 28
    made = fercli.explain(HUB, home / "pack", tmp_path / "explanation", limit=3, device="cpu")
    assert input_of(made) == ("hub", f"{HUB}@{commit}")
    made = fercli.train(
        home / "pack", tmp_path / "tuned", **{**QUICK, "epochs": 1, "device": "cpu"}, weights=HUB, progress=False
    )
    assert input_of(made, "weights") == ("hub", f"{HUB}@{commit}/model.safetensors")
    config = json.loads((tmp_path / "tuned" / "config.json").read_text())
    assert config["weights"] == f"{HUB}@{commit}/model.safetensors"
    best = open_artifact(tmp_path / "tuned" / "best").manifest
    assert [one.path for one in best.inputs if one.kind == "hub"] == [f"{HUB}@{commit}/model.safetensors"]
    result = fer("evaluate", HUB, home / "pack", "--quiet")
    assert Path(result.out.strip()).name.startswith(f"evaluate-faces@{commit[:8]}-")
    card = fer("card", HUB)
    assert f"fer predict {HUB}@{commit} photo.jpg" in card.out
    assert card.out.startswith("# faces\n")
    fercli.evaluate(HUB, home / "pack", tmp_path / "evaluation", device="cpu")
    assert "Not evaluated" not in fer("card", HUB, tmp_path / "evaluation").out
    result = fer("compare", HUB, home / "run")
    assert result.code == 2
    assert result.err.endswith(f"{HUB}: compare takes evaluations and runs; evaluate it (fer evaluate) first\n")


def test_predictions(commit: str, home: Path, tmp_path: Path, fer: Fer) -> None:
    from PIL import Image

    Image.fromarray(picture(5)).save(tmp_path / "photo.png")
    options = ("--faces", "crop", "--device", "cpu", "--csv")
    assert fer("predict", HUB, tmp_path / "photo.png", *options, tmp_path / "hub.csv").code == 0
    assert fer("predict", home / "run", tmp_path / "photo.png", *options, tmp_path / "local.csv").code == 0
    assert (tmp_path / "hub.csv").read_text() == (tmp_path / "local.csv").read_text()
    alone = fer("predict", HUB)
    assert alone.code == 2
    assert "name what to predict" in alone.err


def test_label_errors(hub: StandIn, tmp_path: Path) -> None:
    pytest.importorskip("cleanlab")
    make_evaluated(tmp_path)
    prepare_push(tmp_path / "run", "anna/faces").send()
    found = fercli.clean(tmp_path / "faces", tmp_path / "cleaned", labels=[HUB], progress=False, device="cpu")
    assert [one.path for one in found.manifest.inputs if one.kind == "hub"]


def test_published_weights_of_a_known_architecture(
    hub: StandIn, home: Path, tmp_path: Path, fer: Fer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    torch.manual_seed(5)
    save_file(create_model("resmasking", 7, reduced=True).state_dict(), tmp_path / "rmn.safetensors")
    pinned = hub.publish("anna/rmn", {"rmn.safetensors": (tmp_path / "rmn.safetensors").read_bytes()})
    Image.fromarray(picture(5)).save(tmp_path / "photo.png")
    options = ["--model", "resmasking", "--reduced", "--faces", "crop", "--device", "cpu", "photo.png", "--csv"]
    result = fer("predict", "--weights", "hf://anna/rmn", *options, "hub.csv")
    assert result.code == 0, result.err
    assert "the order of its emotions" in result.err or "order of its emotions" in result.err
    assert fer("predict", "--weights", "rmn.safetensors", *options, "local.csv").code == 0
    assert Path("hub.csv").read_text() == Path("local.csv").read_text()
    with Path("hub.csv").open(newline="") as file:
        assert {*EMOTIONS} <= set(next(csv.reader(file)))
    made = fercli.evaluate(
        home / "pack", out=None, weights="hf://anna/rmn", model="resmasking", reduced=True, device="cpu"
    )
    assert made.path.name.startswith(f"evaluate-rmn@{pinned[:8]}-")
    assert input_of(made, "weights") == ("hub", f"hf://anna/rmn@{pinned}/rmn.safetensors")
    with pytest.raises(
        DataError, match=rf"^hf://anna/rmn@{pinned}/rmn\.safetensors: not the weights of quick|does not"
    ):
        fercli.predict("photo.png", weights="hf://anna/rmn", model="quick")
    with pytest.raises(UsageError, match=r"weights: specify the architecture of hf://anna/rmn with --model"):
        fercli.predict("photo.png", weights="hf://anna/rmn")
    with pytest.raises(UsageError, match="replace the checkpoint; give only what to predict"):
        fercli.predict("ferplus", "photo.png", weights="rmn.safetensors", model="resmasking")


def test_members_from_two_commits_have_different_names(commit: str, home: Path, tmp_path: Path, hub: StandIn) -> None:
    later = prepare_push(home / "other", "anna/faces").send().commit
    made = fercli.ensemble(
        [f"{HUB}@{commit}", f"{HUB}@main"], pack=home / "pack", out=tmp_path / "ensemble", device="cpu"
    )
    assert [one.checkpoint for one in made.summary.members] == [f"faces@{commit[:8]}", f"faces@{later[:8]}"]
    with pytest.raises(UsageError, match="are the same model"):
        fercli.ensemble([f"{HUB}@{commit}", home / "run"], pack=home / "pack", out=tmp_path / "x", device="cpu")


def test_damaged_metadata_is_named_by_the_address(hub: StandIn, home: Path) -> None:
    files = {p.name: p.read_bytes() for p in (home / "run" / "best").iterdir()}
    hub.publish("anna/broken", {**files, "model.json": b"{"})
    with pytest.raises(DataError, match=r"^hf://anna/broken@\w{40}/model\.json: not valid checkpoint metadata$"):
        fercli.load("hf://anna/broken")
    hub.publish("anna/short", {**files, "model.safetensors": files["model.safetensors"][:-9]})
    with pytest.raises(DataError, match=r"^hf://anna/short@\w{40}/model\.safetensors: not a valid safetensors file"):
        fercli.load("hf://anna/short")


@pytest.mark.slow
def test_exports(commit: str, home: Path, tmp_path: Path) -> None:
    made = fercli.export(HUB, tmp_path / "exported")
    assert input_of(made) == ("hub", f"{HUB}@{commit}")
    digests = np.load(tmp_path / "exported" / "training_sha256.npy")
    np.testing.assert_array_equal(digests, np.load(home / "run" / "training_sha256.npy"))
    assert "model.onnx" in names(tmp_path / "exported")
