"""A search: its trials, how it continues, and what it writes."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fercli.artifacts import Artifact, open_artifact
from fercli.artifacts.key_metrics import key_metrics
from fercli.errors import BusyError, DataError, DivergedError, FerError, UsageError
from fercli.evaluation.predicting import predict_images, read_faces
from fercli.models.checkpoints import load_checkpoint
from fercli.packs.halves import first_half
from fercli.packs.opening import open_pack
from fercli.stages import train_setup
from fercli.stages.train.config import TrainConfig
from fercli.stages.train.stage import train
from fercli.stages.tune import search, worker
from fercli.stages.tune.config import TuneConfig
from fercli.stages.tune.stage import tune
from tests.helpers.datasets import python
from tests.helpers.packs import QUICK, make_pack
from tests.helpers.progress import Log

SPACE = 'lr = [0.01, 0.1]\noptimizer = ["sgd", "adam"]\nepochs = [1, 2]\n'
Tune = Callable[..., Artifact]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return make_pack(tmp_path_factory.mktemp("pack") / "pack")


@pytest.fixture
def go(pack: Artifact, tmp_path: Path) -> Tune:
    """Search on the small pack, by default over a grid."""
    (tmp_path / "space.toml").write_text(SPACE)

    def call(progress: Log | None = None, **options: Any) -> Artifact:
        given = {"space": str(tmp_path / "space.toml"), "search": "grid", "prune": "none", "out": tmp_path / "study"}
        return tune(TuneConfig.of(**{**QUICK, "pack": pack.path, **given, **options}), progress or Log())

    return call


def trials(study: Artifact) -> list[dict[str, str]]:
    with (study.path / "trials.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def points(study: Artifact) -> set[tuple[str, ...]]:
    return {(row["lr"], row["optimizer"], row["epochs"]) for row in trials(study)}


def test_grid(go: Tune, pack: Artifact, tmp_path: Path) -> None:
    log = Log()
    study = go(log, keep=2)
    rows = trials(study)
    assert len(rows) == len(points(study)) == 8
    assert {row["state"] for row in rows} == {"complete"}
    assert sum(line.startswith("trial ") for line in log.lines) == 8
    best = max(rows, key=lambda row: float(row["accuracy"]))
    found = study.summary["best"]
    assert found["number"] == int(best["trial"])
    assert f"{found['validation']['accuracy']:.6f}" == best["accuracy"]
    assert study.summary["optimism"] == pytest.approx(
        float(best["accuracy"]) - float(best["other_half_accuracy"]), abs=1e-6
    )
    assert len(list((study.path / "runs").iterdir())) == 2
    assert json.loads((study.path / "study.json").read_text()) == dict(study.summary)
    assert "which the search never used" in " ".join((study.path / "report.html").read_text().split())
    metrics = key_metrics(study)
    assert (metrics.accuracy, metrics.n) == (found["other_half"]["accuracy"], found["other_half"]["n"])
    assert go().up_to_date


def test_search_by_loss(go: Tune) -> None:
    study = go(select="loss")
    rows = trials(study)
    assert study.summary["best"]["number"] == int(min(rows, key=lambda row: float(row["loss"]))["trial"])
    best, other = (study.summary["best"][half]["loss"] for half in ("validation", "other_half"))
    assert study.summary["optimism"] == pytest.approx(other - best)
    assert set(study.summary["importance"]) == {"lr", "optimizer", "epochs"}
    assert sum(study.summary["importance"].values()) == pytest.approx(1)


def test_figures_equal_a_training_by_hand(go: Tune, pack: Artifact, tmp_path: Path) -> None:
    study = go(trials=3)
    found = study.summary["best"]
    run = train(
        TrainConfig.of(
            **{**QUICK, **found["settings"], "pack": pack.path, "out": tmp_path / "run", "epochs": found["best_epoch"]}
        )
    )
    info = open_pack(pack)
    faces = read_faces(info, "validation")
    first = first_half(faces.labels, faces.sha256)
    # The study's own run has the epoch that the half chose; if it is the last, the training by hand ends with the same.
    checkpoint = load_checkpoint(study.path / found["run"])
    assert checkpoint.metadata.epoch == found["best_epoch"]
    import torch

    right = predict_images(checkpoint, faces.images, device=torch.device("cpu")).argmax(1) == faces.labels
    assert found["validation"]["n"] == int(first.sum())
    assert found["validation"]["accuracy"] == pytest.approx(right[first].mean())
    assert found["other_half"]["accuracy"] == pytest.approx(right[~first].mean())
    if found["best_epoch"] == found["settings"]["epochs"]:
        last = load_checkpoint(run.path / "last")
        for name, weight in last.model.state_dict().items():
            assert torch.equal(weight, checkpoint.model.state_dict()[name]), name


def test_all_trials_have_the_same_label_noise(go: Tune, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[list[int], list[int]]] = []
    plain = train_setup.with_noise

    def record(faces: Any, digests: Any, noise: Any) -> Any:
        found = plain(faces, digests, noise)
        seen.append((faces.labels.tolist(), found.labels.tolist()))
        return found

    monkeypatch.setattr(train_setup, "with_noise", record)
    study = go(noise=0.25, trials=2)
    assert seen[0] == seen[1]
    assert sum(old != new for old, new in zip(*seen[0], strict=True)) == 7  # of 28
    assert study.summary["noise"] == study.manifest.options["noise"] == 0.25
    run = open_artifact(study.path / study.summary["best"]["run"])
    assert (run.manifest.options["noise"], run.manifest.options["noise_seed"]) == (0.25, 0)
    assert "Label noise" in (study.path / "report.html").read_text("utf-8")
    best = (study.path / "best.toml").read_text("utf-8")
    assert "\nnoise" not in best
    assert "# Found with 0.25 of the training labels swapped" in best
    seen.clear()
    assert "noise" not in go(trials=1, overwrite=True).summary
    assert not seen


def test_options_that_the_model_lacks(go: Tune, tmp_path: Path) -> None:
    (tmp_path / "space.toml").write_text('attention = ["none", "nose"]')
    with pytest.raises(UsageError, match="nose"):
        go()
    (tmp_path / "space.toml").write_text('attention_at = ["stem"]')
    with pytest.raises(UsageError, match=r"attention.at"):
        go()


def test_best_settings_train_a_run(go: Tune, pack: Artifact, tmp_path: Path, fer: Callable[..., Any]) -> None:
    study = go(trials=2)
    found = fer("train", pack.path, tmp_path / "run", "--config", study.path / "best.toml", "--device=cpu", "--json")
    assert found.code == 0, found.err
    options = open_artifact(tmp_path / "run").manifest.options
    for name, value in study.summary["best"]["settings"].items():
        assert options[name] == value


def test_more_trials_continue_a_finished_search(go: Tune) -> None:
    first = trials(go(trials=3))
    log = Log()
    study = go(log, trials=6)
    assert [row | {"run": ""} for row in trials(study)[:3]] == [row | {"run": ""} for row in first]
    assert len(trials(study)) == len(points(study)) == 6
    assert go(trials=4).up_to_date  # fewer than there are
    assert study.manifest.key == go(trials=6).manifest.key


def test_random_search_does_not_depend_on_interruptions(
    go: Tune, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = go(search="random", trials=5, out=tmp_path / "whole")
    original = worker.train_run
    calls = iter(range(100))

    def interrupted(*arguments: Any, **options: Any) -> Artifact:
        if next(calls) == 2:
            raise KeyboardInterrupt
        return original(*arguments, **options)

    monkeypatch.setattr(worker, "train_run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        go(search="random", trials=5)
    study = go(search="random", trials=5)
    columns = ("trial", "accuracy", "lr", "optimizer", "epochs")
    assert [[row[c] for c in columns] for row in trials(study)] == [[row[c] for c in columns] for row in trials(whole)]


def test_first_trial_is_the_recipe(go: Tune) -> None:
    rows = trials(go(search="tpe", trials=1, lr=0.1, optimizer="adam", epochs=2))
    assert (rows[0]["lr"], rows[0]["optimizer"], rows[0]["epochs"]) == ("0.1", "adam", "2")


def test_failed_trials_are_recorded(go: Tune, monkeypatch: pytest.MonkeyPatch) -> None:
    original = worker.train_run

    def failing(options: Any, *arguments: Any, **more: Any) -> Artifact:
        if options.optimizer == "adam":
            raise DivergedError("the loss is not finite in epoch 1")
        return original(options, *arguments, **more)

    monkeypatch.setattr(worker, "train_run", failing)
    study = go()
    failed = [row for row in trials(study) if row["state"] == "failed" or row["state"] == "fail"]
    assert len(failed) == 4
    assert {row["reason"] for row in failed} == {"the loss is not finite in epoch 1"}
    assert (study.summary["complete"], study.summary["failed"]) == (4, 4)

    def always(*_: Any, **__: Any) -> Artifact:
        raise DivergedError("the loss is not finite")

    monkeypatch.setattr(worker, "train_run", always)
    study = go(out=study.path.with_name("none"))
    assert study.summary["best"] is None
    assert not (study.path / "best.toml").exists()
    assert "No trial is complete" in (study.path / "report.html").read_text()


def test_a_full_disk_stops_the_search_and_is_resumed(go: Tune, monkeypatch: pytest.MonkeyPatch) -> None:
    original = worker.train_run
    calls = iter(range(100))

    def full(*arguments: Any, **options: Any) -> Artifact:
        if next(calls) == 3:
            raise FerError("study: the disk is full; free some space and try again")
        return original(*arguments, **options)

    monkeypatch.setattr(worker, "train_run", full)
    with pytest.raises(FerError, match="the disk is full"):
        go()
    assert len(points(go())) == 8


def test_records_that_a_full_disk_cut_off_are_removed(go: Tune) -> None:
    study = go(trials=2)
    journal = study.path / "journal.log"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:-1], lines[-1][:20] + lines[-1], lines[0][:15]]))
    assert len(trials(go(trials=3))) == 3
    assert journal.read_bytes().startswith(b"".join(lines))


def test_pruned_trials_have_no_run(go: Tune, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fercli.stages.tune.study.MedianPruner", lambda **_: _PruneAll())
    study = go(prune="median", trials=8)
    rows = {row["trial"]: row["state"] for row in trials(study)}
    assert set(rows.values()) == {"pruned", "complete"}  # those of one epoch have no epoch left to save
    assert all(trials(study)[int(n)]["epochs"] == "2" for n, state in rows.items() if state == "pruned")
    assert {path.name for path in (study.path / "runs").iterdir()} == {
        f"trial-{int(n):04d}" for n, state in rows.items() if state == "complete"
    }


class _PruneAll:
    def prune(self, study: Any, trial: Any) -> bool:
        return True


@pytest.mark.long
def test_killed_workers_lose_no_trial(pack: Artifact, tmp_path: Path) -> None:
    (tmp_path / "space.toml").write_text(SPACE.replace("[0.01, 0.1]", "[0.01, 0.02, 0.05, 0.1]"))
    code = "from fercli.cli.main import main; main()"
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in QUICK.items() if name != "epochs"]
    call = ("tune", pack.path, tmp_path / "study", "--space", tmp_path / "space.toml", "--search=grid", "--jobs=3")
    process = python(code, *call, *flags)
    journal = tmp_path / ".study.partial" / "journal.log"
    until = time.monotonic() + 120
    workers: set[int] = set()
    while len(workers) < 2 and time.monotonic() < until:
        text = journal.read_text() if journal.exists() else ""
        entries = [json.loads(line).get("user_attr", {}) for line in text.splitlines() if line.endswith("}")]
        workers = {entry["worker"]["process"] for entry in entries if "worker" in entry}
        time.sleep(0.05)
    for victim in sorted(workers)[:2]:
        os.kill(victim, signal.SIGKILL)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    study = open_artifact(tmp_path / "study")
    assert len(points(study)) == len(trials(study)) == study.summary["complete"] == 16


def test_worker_errors_are_reported(go: Tune, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such"):
        go(jobs=2, weights=str(tmp_path / "none.safetensors"))


def test_all_workers_killed(go: Tune, monkeypatch: pytest.MonkeyPatch) -> None:
    original = search.subprocess.Popen

    def killed(*arguments: Any, **options: Any) -> Any:
        process = original(*arguments, **options)
        process.kill()
        return process

    monkeypatch.setattr(search.subprocess, "Popen", killed)
    with pytest.raises(FerError, match="all 2 workers were killed; repeat the call to continue the search"):
        go(jobs=2)


def test_other_settings_in_one_storage(go: Tune, tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'studies.db'}"
    go(storage=storage, trials=2)
    (tmp_path / "space.toml").write_text("lr = [0.1]\n")
    shutil.rmtree(tmp_path / "study")
    with pytest.raises(UsageError, match="holds a study named study with another space, other options or another pack"):
        go(storage=storage)


def test_storage_that_is_not_there(go: Tune, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"storage sqlite:////.*none/x\.db: cannot be opened"):
        go(storage=f"sqlite:///{tmp_path / 'none' / 'x.db'}")
    with pytest.raises(DataError, match="storage nosuch://x: cannot be opened"):
        go(storage="nosuch://x")


def test_another_search_is_being_written(go: Tune, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = worker.train_run

    def nested(*arguments: Any, **options: Any) -> Artifact:
        with pytest.raises(UsageError, match="another call searches another space, or with other options, there"):
            go(search_seed=7)
        return original(*arguments, **options)

    monkeypatch.setattr(worker, "train_run", nested)
    go(trials=1)


def test_busy_runs_are_left_to_others(go: Tune, monkeypatch: pytest.MonkeyPatch) -> None:
    original = worker.train_run
    calls = iter(range(100))

    def busy(*arguments: Any, **options: Any) -> Artifact:
        if next(calls) == 0:
            monkeypatch.setattr("fercli.stages.tune.study.GRACE", -1.0)  # as if the other one had died afterwards
            raise BusyError("is being written by another call")
        return original(*arguments, **options)

    monkeypatch.setattr(worker, "train_run", busy)
    assert len(trials(go(trials=2))) == 2
