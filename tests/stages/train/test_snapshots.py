"""Snapshots of a training, and ensembles of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from fercli.artifacts import Artifact, open_artifact
from fercli.models.checkpoints import load_checkpoint
from fercli.progress import Progress
from fercli.runs import display_path, is_run_checkpoint, snapshot_name
from fercli.stages.ensemble.members import member_names
from tests.helpers.packs import QUICK
from tests.helpers.training import go

CYCLES = {"epochs": 5, "schedule": "cyclic", "cycle": 2, "lr": 0.02, "snapshots": "cycles"}


@pytest.fixture(scope="module")
def run(pack: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A run of two and a half cycles."""
    return go(pack, tmp_path_factory.mktemp("run") / "run", **CYCLES)


def snapshots(run: Artifact) -> list[str]:
    return sorted(path.name for path in run.path.glob("snapshot-*"))


@pytest.mark.slow
def test_snapshot_at_the_end_of_each_cycle(run: Artifact, pack: Artifact) -> None:
    assert snapshots(run) == run.summary["snapshots"] == ["snapshot-002", "snapshot-004"]
    for name, epoch in (("snapshot-002", 2), ("snapshot-004", 4)):
        checkpoint = load_checkpoint(run.path / name)
        assert checkpoint.metadata.epoch == epoch
        assert checkpoint.metadata.selection == "snapshot at the end of a cycle"
        assert checkpoint.metadata.training_data == pack.manifest.digest
        assert open_artifact(run.path / name, "checkpoint").manifest.inputs[0].name == "pack"
    first, second = (load_file(run.path / name / "model.safetensors") for name in snapshots(run))
    assert not torch.equal(first["classifier.weight"], second["classifier.weight"])


@pytest.mark.slow
def test_snapshot_matches_a_shorter_training(run: Artifact, pack: Artifact, tmp_path: Path) -> None:
    shorter = go(pack, tmp_path / "run", **{**CYCLES, "epochs": 2})
    expected, found = (
        load_file(path / "model.safetensors") for path in (shorter.path / "last", run.path / "snapshot-002")
    )
    assert all(torch.equal(expected[name], found[name]) for name in expected)


@pytest.mark.slow
def test_snapshots_do_not_affect_training(run: Artifact, pack: Artifact, tmp_path: Path) -> None:
    without = go(pack, tmp_path / "run", **{**CYCLES, "snapshots": ""})
    assert snapshots(without) == without.summary["snapshots"] == []
    for part in ("best", "last"):
        file = f"{part}/model.safetensors"
        assert (without.path / file).read_bytes() == (run.path / file).read_bytes()
    assert without.manifest.digest != run.manifest.digest


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"epochs": 3, "snapshots": "1,3"}, ["snapshot-001", "snapshot-003"]),
        ({"epochs": 1, "snapshots": "1"}, ["snapshot-001"]),
        ({"epochs": 2, "snapshots": "3", "phase": ["epochs=1"]}, ["snapshot-003"]),
        (
            # Epochs are numbered across phases; here the second phase has cycles of 1 and 2 epochs.
            {"epochs": 2, "snapshots": "cycles", "phase": ["epochs=3,schedule=warm-restarts,cycle=1,cycle-growth=2"]},
            ["snapshot-003", "snapshot-005"],
        ),
    ],
)
def test_named_epochs_and_later_phases(
    options: dict[str, Any], names: list[str], pack: Artifact, tmp_path: Path
) -> None:
    run = go(pack, tmp_path / "run", **options)
    assert snapshots(run) == run.summary["snapshots"] == names
    selection = "snapshot at the end of a cycle" if options["snapshots"] == "cycles" else "snapshot at a set epoch"
    assert {load_checkpoint(run.path / name).metadata.selection for name in names} == {selection}


@pytest.mark.slow
def test_interrupted_run_has_all_snapshots(run: Artifact, pack: Artifact, tmp_path: Path) -> None:
    class Interrupting(Progress):
        steps = 0

        def advance(self, count: int = 1, note: str = "") -> None:
            self.steps += not note
            if self.steps == 8:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        go(pack, tmp_path / "run", Interrupting(), **CYCLES)
    again = go(pack, tmp_path / "run", **CYCLES)
    assert snapshots(again) == again.summary["snapshots"] == snapshots(run)
    assert again.manifest.digest == run.manifest.digest


@pytest.mark.slow
def test_snapshots_form_an_ensemble(fer: Callable[..., Any], run: Artifact, pack: Artifact, tmp_path: Path) -> None:
    paths = [run.path / name for name in snapshots(run)]
    ended = fer("ensemble", *paths, "--pack", pack.path, "--out", tmp_path / "e", "--device=cpu", "--json")
    assert ended.code == 0, ended.err
    summary = json.loads(ended.out)
    assert [member["checkpoint"] for member in summary["members"]] == ["run/snapshot-002", "run/snapshot-004"]
    assert "each snapshot at the end of a cycle (epochs 2, 4)" in json.dumps(summary)
    assert fer("evaluate", paths[0], pack.path, tmp_path / "s", "--device=cpu").code == 0


@pytest.mark.slow
def test_ensemble_is_named_after_the_run(
    fer: Callable[..., Any], run: Artifact, pack: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = fer("ensemble", *(run.path / name for name in snapshots(run)), "--device=cpu")
    assert ended.code == 0, ended.err
    assert [path.name.rpartition("-")[0] for path in (tmp_path / "artifacts").iterdir()] == ["ensemble-run"]
    inside = fer("ensemble", *(run.path / name for name in snapshots(run)), "--device=cpu", "--out", run.path / "e")
    assert inside.code == 2
    assert "is inside the input" in inside.err


@pytest.mark.slow
def test_command_lists_snapshots(fer: Callable[..., Any], pack: Artifact, tmp_path: Path) -> None:
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in {**QUICK, "epochs": 2}.items()]
    ended = fer("train", pack.path, tmp_path / "run", *flags, "--snapshots=1,2", "--phase", "none")
    assert ended.code == 0, ended.err
    assert "snapshots for fer ensemble: snapshot-001, snapshot-002" in ended.out


def test_names() -> None:
    assert [snapshot_name(epoch) for epoch in (1, 30, 1000)] == ["snapshot-001", "snapshot-030", "snapshot-1000"]
    inside = ["best", "last", "snapshot-030", "snapshot-1000"]
    outside = ["besta", "snapshot", "snapshot-", "snapshot-3", "my-snapshot-030", "run"]
    assert [is_run_checkpoint(Path("run") / name) for name in inside + outside] == [True] * 4 + [False] * 6
    assert display_path(Path("a/run/snapshot-030")) == Path("a/run")
    assert display_path(Path("a/snapshot-x")) == Path("a/snapshot-x")
    paths = [Path("a/run/best"), Path("a/run/snapshot-030"), Path("a/run/last"), Path("a/other")]
    assert member_names(paths) == ["run", "run/snapshot-030", "run/last", "other"]
    assert member_names([Path("a/run/snapshot-030"), Path("b/run/snapshot-030")]) == [
        "a/run/snapshot-030",
        "b/run/snapshot-030",
    ]
