"""What a push contains, and that a repeated one sends what is missing."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from safetensors.numpy import load

import fercli
from fercli.artifacts import MANIFEST, Manifest, open_artifact
from fercli.errors import DataError, FerError, UsageError
from fercli.models.checkpoints import TRAINING_DIGESTS
from fercli.publishing.push import Push, prepare_push
from tests.helpers.hub import TOKEN, StandIn, stand_in
from tests.helpers.progress import Log
from tests.helpers.publishing import make_evaluated

CHECKPOINT = ["README.md", "artifact.json", "model.json", "model.safetensors", "training_sha256.safetensors"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("push")
    make_evaluated(home)
    return home


def push(home: Path, source: str = "run", name: str = "anna/faces", **options: Any) -> Push:
    return prepare_push(home / source, name, **options)


def published(hub: StandIn, name: str = "anna/faces", branch: str = "main") -> dict[str, bytes]:
    repository = hub.repositories[name]
    return {k: v for k, v in repository.commits[repository.refs[branch]].items() if k != ".gitattributes"}


def metadata_of(readme: bytes) -> dict[str, Any]:
    return dict(yaml.safe_load(readme.decode().split("---\n")[1]))


def test_a_checkpoint_is_published_privately_and_can_be_used(hub: StandIn, home: Path) -> None:
    sent = push(home, evaluations=[home / "evaluation"]).send()
    assert (sent.created, sent.private, sent.url) == (True, True, f"{hub.url}/anna/faces")
    assert hub.repositories["anna/faces"].private
    files = published(hub)
    assert sorted(files) == sorted([*CHECKPOINT, "evaluation/report.html"])
    assert files["model.safetensors"] == (home / "run" / "best" / "model.safetensors").read_bytes()
    digests = load(files["training_sha256.safetensors"])["sha256"]
    np.testing.assert_array_equal(digests, np.load(home / "run" / TRAINING_DIGESTS))
    theirs, ours = fercli.load("hf://anna/faces", device="cpu"), fercli.load(home / "run", device="cpu")
    assert theirs.name == f"hf://anna/faces@{sent.commit}"
    faces = np.random.default_rng(0).integers(0, 256, (5, 16, 16), np.uint8)
    np.testing.assert_array_equal(theirs.predict_faces(faces), ours.predict_faces(faces))


def test_nothing_of_this_machine_is_published(hub: StandIn, home: Path) -> None:
    push(home, evaluations=[home / "evaluation"]).send()
    for name, data in published(hub).items():
        for secret in (str(home), str(Path.home()) + os.sep, TOKEN, os.getcwd(), home.name):
            assert secret.encode() not in data, (name, secret)
    found = Manifest.model_validate_json(published(hub)[MANIFEST])
    run, checkpoint = open_artifact(home / "run").manifest, open_artifact(home / "run" / "best").manifest
    assert (found.digest, found.counts, found.seed) == (checkpoint.digest, run.counts, run.seed)
    assert [one.path for one in found.inputs] == [Path(one.path).name for one in checkpoint.inputs]
    assert {one.split(" ")[0] for one in hub.authorizations if one} == {"Bearer"}


def test_an_evaluations_page_shows_no_faces(hub: StandIn, home: Path) -> None:
    page = {one.path: one.content for one in push(home, evaluations=[home / "evaluation"]).uploads}
    text = page["evaluation/report.html"]
    assert isinstance(text, bytes)
    assert b"faces on pack test" in text
    assert b"Pictures of faces are left out here" in text
    assert b"most confident mistakes" not in text
    assert b"most confident mistakes" in (home / "evaluation" / "report.html").read_bytes()


def test_the_card_has_the_metadata_of_the_hub(hub: StandIn, home: Path) -> None:
    push(home, evaluations=[home / "evaluation"], licence="mit").send()
    readme = published(hub)["README.md"]
    data, summary = metadata_of(readme), open_artifact(home / "evaluation").summary
    assert data["license"] == "mit"
    assert data["library_name"] == "fercli"
    assert data["pipeline_tag"] == "image-classification"
    assert data["tags"][-1] == "quick"
    assert data["datasets"]
    (result,) = data["model-index"][0]["results"]
    assert data["model-index"][0]["name"] == "faces"
    assert (result["task"]["type"], result["dataset"]["split"]) == ("image-classification", "test")
    assert result["dataset"]["type"] == data["datasets"][0]
    accuracy, f1, error = result["metrics"]
    low, high = summary["accuracy_interval"]
    assert (accuracy["type"], accuracy["value"]) == ("accuracy", round(summary["accuracy"], 6))
    assert accuracy["name"] == f"Accuracy (95 % interval {low:.1%} to {high:.1%}, n = 12)"
    assert accuracy["args"]["interval_95"] == [round(low, 6), round(high, 6)]
    assert (f1["type"], f1["value"]) == ("f1", round(summary["macro_f1"], 6))
    assert error["type"] == "expected_calibration_error"
    text = readme.decode()
    assert "# faces\n" in text
    assert "fer predict hf://anna/faces photo.jpg" in text
    assert "[pack test](evaluation/report.html)" in text
    assert "## Terms" in text


def test_without_a_licence_the_terms_of_the_data_hold(hub: StandIn, home: Path) -> None:
    push(home).send()
    data = metadata_of(published(hub)["README.md"])
    assert (data["license"], data["license_name"]) == ("other", "terms-of-the-training-data")
    assert data["license_link"] == f"{hub.url}/anna/faces#terms"
    assert "model-index" not in data
    with pytest.raises(UsageError, match="'Do what you want' is not a licence of the hub"):
        push(home, licence="Do what you want")


def test_a_second_push_sends_nothing(hub: StandIn, home: Path) -> None:
    first = push(home).send()
    hub.requests.clear()
    again = push(home)
    assert {state for *_, state in again.files()} == {"unchanged"}
    sent = again.send()
    assert (sent.commit, sent.created) == (first.commit, False)
    assert hub.uploads() == []
    changed = push(home, evaluations=[home / "evaluation"])
    states = {path: state for path, _, state in changed.files()}
    assert (states["README.md"], states["model.safetensors"]) == ("changed", "unchanged")
    assert states["evaluation/report.html"] == "new"
    changed.send()
    assert not [one for one in hub.requests if one.startswith("PUT")]


def test_a_broken_push_resumes(hub: StandIn, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    pushed = push(home)
    large = {path: size for path, size, _ in pushed.files() if path.endswith(".safetensors")}
    hub.failing["/commit/main"] = 500
    with pytest.raises(FerError, match=r"^hf://anna/faces: cannot be written \(HTTP 500.*; repeat the call later, it"):
        pushed.send()
    assert len(hub.large) == len(large)
    assert sorted(published(hub)) == []
    hub.failing.clear()
    hub.requests.clear()
    push(home).send()
    assert not [one for one in hub.requests if one.startswith("PUT")]  # the large files are there
    assert sorted(published(hub)) == CHECKPOINT


def test_a_broken_connection_resumes(hub: StandIn, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    weights = next(one for one in push(home).uploads if one.path == "model.safetensors")
    hub.broken.add(weights.digests()[0])
    with pytest.raises(FerError, match=r"^hf://anna/faces: http.* cannot be reached"):
        push(home).send()
    hub.broken.clear()
    push(home).send()
    assert sorted(published(hub)) == CHECKPOINT


def test_visibility(hub: StandIn, home: Path) -> None:
    assert push(home, public=True).send().private is False
    assert not hub.repositories["anna/faces"].private
    with pytest.raises(DataError, match=r"^anna/faces: is public; push to it with --public, or choose another name"):
        push(home)
    push(home, name="anna/own").send()
    with pytest.raises(DataError, match=r"^anna/own: is private; push without --public, or make it public on its page"):
        push(home, name="anna/own", public=True)


def test_branches(hub: StandIn, home: Path) -> None:
    push(home).send()
    experiment = push(home, branch="experiment", evaluations=[home / "evaluation"], message="with figures")
    commit = experiment.send().commit
    assert "evaluation/report.html" in published(hub, branch="experiment")
    assert "evaluation/report.html" not in published(hub)
    assert hub.repositories["anna/faces"].messages[commit] == "with figures"
    assert push(home, branch="experiment", evaluations=[home / "evaluation"]).send().commit == commit
    with pytest.raises(UsageError, match="not an address on the hub"):
        push(home, branch="../x")
    push(home, name="anna/new", branch="first").send()
    assert sorted(published(hub, "anna/new", "first")) == CHECKPOINT
    assert sorted(published(hub, "anna/new")) == []


def test_a_dry_run_needs_no_login_and_no_hub(
    tmp_path: Path, home: Path, hub: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stand_in(tmp_path / "other", monkeypatch, token="") as other:
        with pytest.raises(FerError, match="not logged in to the hub; log in with hf auth login, or set HF_TOKEN"):
            push(home)
        log = Log()
        found = push(home, dry_run=True, progress=log).files()
        assert [(path, state) for path, _, state in found] == [(path, "new") for path in CHECKPOINT]
        assert "not logged in" in log.lines[-1]
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
        found = push(home, dry_run=True, progress=log).files()
        assert {state for *_, state in found} == {None}
        assert log.lines[-1].startswith("not compared with the hub: hf://anna/faces: http://127.0.0.1:9 cannot be reac")
        assert other.uploads() == []


def test_unsuitable_sources_are_refused(hub: StandIn, home: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not the name of a repository; write OWNER/NAME"):
        push(home, name="faces")
    with pytest.raises(DataError, match="no such path"):
        push(home, source="none")
    (tmp_path / "program").mkdir()
    (tmp_path / "program" / "model.pt2").write_bytes(b"")
    with pytest.raises(UsageError, match="is loaded by pickle, which can run code; export it with --format onnx"):
        push(tmp_path, source="program")
    with pytest.raises(DataError, match="pack"):
        push(home, evaluations=[home / "pack"])
    with pytest.raises(UsageError, match="ferplus has its figures with it; leave out the evaluations"):
        prepare_push(Path("ferplus"), "anna/x", evaluations=[home / "evaluation"])


def test_own_models_can_be_published(hub: StandIn) -> None:
    prepare_push(Path("ferplus"), "anna/x").send()
    assert sorted(published(hub, "anna/x")) == CHECKPOINT
    results = metadata_of(published(hub, "anna/x")["README.md"])["model-index"][0]["results"]
    assert results[0]["dataset"]["name"] == "FER+ test, majority"
    assert fercli.load("hf://anna/x", device="cpu").emotions == fercli.load("ferplus", device="cpu").emotions


@pytest.fixture(scope="module")
def exported(home: Path) -> Path:
    return fercli.export(home / "run", home / "exported").path


@pytest.mark.slow
def test_an_export_is_published(hub: StandIn, home: Path, exported: Path) -> None:
    fercli.evaluate(exported, home / "pack", home / "of-export", device="cpu")
    push(home, source="exported", evaluations=[home / "of-export"]).send()
    files = published(hub)
    expected = {"README.md", "artifact.json", "model.onnx", "export.json", "parity.csv", "speed.csv", "example.py"}
    assert set(files) == expected | {"example.js", "evaluation/report.html"}
    assert files["model.onnx"] == (exported / "model.onnx").read_bytes()
    assert "onnx" in metadata_of(files["README.md"])["tags"]
    text = files["README.md"].decode()
    assert "## Figures of model.onnx" in text
    assert "fer predict model.onnx photo.jpg" in text
    assert str(home).encode() not in b"".join(files.values())
    assert json.loads(files["artifact.json"])["inputs"][0]["path"] == "best"
    with pytest.raises(DataError, match="is not an evaluation of"):
        push(home, source="exported", evaluations=[home / "evaluation"])
    with pytest.raises(DataError, match=r"holds an exported model"):
        fercli.load("hf://anna/faces")
