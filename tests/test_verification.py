"""Verification: intact artifacts of every kind pass, and every change of the payload is found."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import fercli
from fercli import verification as verification
from fercli.artifacts import Artifact, open_artifact, payload_digests
from fercli.artifacts.digests import digest_file
from fercli.verification import verify
from tests.helpers.datasets import face, make_dataset
from tests.helpers.evidence import make_cross_validation, make_study
from tests.helpers.packs import QUICK, make_pack

SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    """One artifact of every kind."""
    home = tmp_path_factory.mktemp("made")
    images = {
        f"{split}/{emotion}/0.png": face(7 * s + e, 16)
        for s, split in enumerate(SPLITS)
        for e, emotion in enumerate(("happy", "sad", "neutral"))
    }
    data = make_dataset(home / "dataset", images)
    pack = fercli.pack(data.path, home / "pack")
    run = fercli.train(pack.path, home / "run", **{**QUICK, "epochs": 1}, snapshots="1")
    other = fercli.train(pack.path, home / "other", **{**QUICK, "epochs": 1}, seed=1)
    found = [
        fercli.sample(home / "photographs", images=21, workers=0),
        data,
        pack,
        run,
        open_artifact(run.path / "best"),
        fercli.evaluate(run.path, pack.path, home / "evaluation", device="cpu"),
        fercli.matrix([run.path, pack.path], home / "matrix", device="cpu"),
        fercli.explain(run.path, pack.path, home / "explanation", split="test", device="cpu"),
        fercli.export(run.path, home / "export"),
        make_study(pack.path, home / "study"),
        make_cross_validation(home / "cross"),
        fercli.compare([run.path, other.path], home / "comparison", device="cpu"),
        fercli.balance(target="fer2013", policy="500", out=home / "plan"),
        fercli.clean(data.path, home / "report", report_only=True),
    ]
    return {artifact.manifest.kind: open_artifact(artifact.path) for artifact in found}


each_kind = pytest.mark.parametrize("kind", sorted(verification.CHECKS))


def copy(artifact: Artifact, folder: Path) -> Artifact:
    shutil.copytree(artifact.path, folder)
    return open_artifact(folder)


def edit_manifest(artifact: Artifact, change: Callable[[dict[str, Any]], None]) -> Artifact:
    file = artifact.path / "artifact.json"
    manifest = json.loads(file.read_text())
    change(manifest)
    file.write_text(json.dumps(manifest))
    return open_artifact(artifact.path)


def payload_files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and p.parent != folder) + [
        p.name for p in folder.iterdir() if p.is_file() and p.name != "artifact.json"
    ]


@pytest.mark.slow
@each_kind
def test_intact_artifacts_have_no_faults(artifacts: dict[str, Artifact], kind: str) -> None:
    assert verify(artifacts[kind]) == []


@pytest.mark.slow
@each_kind
def test_changed_and_missing_files_are_found(artifacts: dict[str, Artifact], kind: str, tmp_path: Path) -> None:
    for number, name in enumerate(payload_files(artifacts[kind].path)):
        artifact = copy(artifacts[kind], tmp_path / str(number))
        file = artifact.path / name
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 0x55
        file.write_bytes(data)
        assert any(name in str(fault) for fault in verify(artifact)), name
        file.unlink()
        assert any(name in str(fault) for fault in verify(artifact)), name


@pytest.mark.slow
@each_kind
def test_older_artifacts_without_file_digests(artifacts: dict[str, Artifact], kind: str, tmp_path: Path) -> None:
    """The artifact's digest covers what later stages read."""
    covered = {
        "photographs": "truth.csv",
        "dataset": "index.csv",
        "pack": "faces.h5",
        "run": "best/model.safetensors",
        "checkpoint": "model.json",
        "evaluation": "predictions.csv",
        "explanation": "heatmaps.npz",
        "matrix": "matrix.csv",
        "study": "trials.csv",
        "crossvalidation": "predictions.csv",
        "comparison": "comparison.json",
        "plan": "prompts.jsonl",
        "report": "report.json",
        "export": "model.onnx",
    }
    artifact = edit_manifest(copy(artifacts[kind], tmp_path / "old"), lambda m: m.pop("files", None))
    assert verify(artifact) == []
    with (artifact.path / covered[kind]).open("ab") as file:
        file.write(b"\n ")
    assert verify(artifact) != []


@pytest.mark.slow
@each_kind
def test_changed_option_is_found(artifacts: dict[str, Artifact], kind: str, tmp_path: Path) -> None:
    if not artifacts[kind].manifest.key:
        pytest.skip("a checkpoint has no key")
    artifact = edit_manifest(copy(artifacts[kind], tmp_path / "a"), lambda m: m["options"].update(seed=99))
    assert [fault.path for fault in verify(artifact)] == ["artifact.json"]


def test_only_the_changed_image_of_a_dataset_is_reported(artifacts: dict[str, Artifact], tmp_path: Path) -> None:
    data = copy(artifacts["dataset"], tmp_path / "data")
    shutil.copy(data.path / "train/sad/0.png", data.path / "test/happy/0.png")
    assert [str(fault) for fault in verify(data)] == ["test/happy/0.png: its pixels were changed"]
    (data.path / "test/happy/0.png").write_bytes(b"")
    assert [str(fault) for fault in verify(data)] == ["test/happy/0.png: empty"]
    data = edit_manifest(data, lambda m: m["counts"]["test"].update(happy=5))
    assert [fault.what for fault in verify(data)] == ["its counts do not match the index", "empty"]


@pytest.mark.slow
def test_changed_pack_with_an_adapted_digest_is_found(tmp_path: Path) -> None:
    pack = make_pack(tmp_path / "pack", {"test": 7})
    with h5py.File(pack.path / "faces.h5", "r+") as file:
        file["test/images"][2] = np.zeros((16, 16), np.uint8)
        file["test/labels"][5] = 0
    pack = edit_manifest(pack, lambda m: m.update(digest=digest_file(pack.path / "faces.h5")))
    assert [str(fault) for fault in verify(pack)] == [
        "faces.h5: test/fear/2.png: its pixels were changed",
        "faces.h5: test/surprise/5.png: its label was changed",
        "artifact.json: its counts of test do not match the pack's file",
    ]


def test_metrics_that_do_not_match_the_predictions_are_found(artifacts: dict[str, Artifact], tmp_path: Path) -> None:
    evaluation = copy(artifacts["evaluation"], tmp_path / "evaluation")
    better = {**evaluation.summary, "accuracy": evaluation.summary["accuracy"] + 1 / 3}
    (evaluation.path / "metrics.json").write_text(json.dumps(better))
    files = payload_digests(evaluation.path, "evaluation")
    evaluation = edit_manifest(evaluation, lambda m: m.update(summary=better, files=files))
    assert [str(fault) for fault in verify(evaluation)] == ["artifact.json: its metrics do not match the predictions"]


def test_file_outside_the_artifact_is_not_read(artifacts: dict[str, Artifact], tmp_path: Path) -> None:
    for path in ("../secret", "/etc/passwd", "a/../../secret"):
        artifact = edit_manifest(
            copy(artifacts["report"], tmp_path / path.replace("/", "-")),
            lambda m, path=path: m["files"].update({path: "0"}),
        )
        assert [fault.what for fault in verify(artifact)] == ["lists a file outside the artifact"]


def test_only_the_changed_file_of_a_run_is_reported(artifacts: dict[str, Artifact], tmp_path: Path) -> None:
    for number, name in enumerate(("best/model.json", "last/model.safetensors", "metrics.csv")):
        run = copy(artifacts["run"], tmp_path / str(number))
        with (run.path / name).open("ab") as file:
            file.write(b" ")
        assert [str(fault) for fault in verify(run)] == [f"{name}: was changed"]


def test_unknown_kind_is_a_fault(artifacts: dict[str, Artifact], tmp_path: Path) -> None:
    artifact = edit_manifest(copy(artifacts["report"], tmp_path / "a"), lambda m: m.update(kind="weather", key=""))
    assert [str(fault) for fault in verify(artifact)] == ["artifact.json: unknown kind weather"]
