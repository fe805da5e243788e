"""`fer evaluate --track`: the training's tracked run gets the metrics and pictures."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from fercli.artifacts import Artifact
from fercli.errors import UsageError
from fercli.stages.evaluate.config import EvaluateConfig
from fercli.stages.evaluate.stage import evaluate
from fercli.trackers.base import Position
from fercli.verification import verify
from tests.helpers.packs import make_pack
from tests.helpers.trackers import RECORDING, Recording
from tests.helpers.training import go


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A pack that tests only read."""
    return make_pack(tmp_path_factory.mktemp("pack") / "pack")


@pytest.fixture(scope="module")
def run(pack: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A tracked run."""
    return go(pack, tmp_path_factory.mktemp("run") / "run", track=[RECORDING])


def track(checkpoint: Path, pack: Artifact, out: Path, **options: Any) -> tuple[Artifact, list[tuple[Any, ...]]]:
    """Evaluate, and return what the tracker was told."""
    Recording.calls.clear()
    config = EvaluateConfig.of(
        checkpoint=checkpoint, pack=pack.path, out=out, device="cpu", **{"track": [RECORDING], **options}
    )
    return evaluate(config), Recording.calls[""]


def test_metrics_and_pictures_are_added(run: Artifact, pack: Artifact, tmp_path: Path) -> None:
    evaluation, calls = track(run.path, pack, tmp_path / "evaluation")
    name, told, position = calls[0]
    assert (name, told.name, position) == ("begin", "run", Position("number 1", 2))
    assert calls[1] == (
        "summary",
        {f"test_{name}": evaluation.summary[name] for name in ("accuracy", "macro_f1", "balanced_accuracy", "n")},
    )
    pictures = {call[1]: call[2] for call in calls if call[0] == "picture"}
    assert pictures["test/confusion"] == (evaluation.path / "confusion.png").read_bytes()
    assert set(pictures) == {f"test/{file.stem}" for file in evaluation.path.glob("*.png")}
    assert calls[-1] == ("end", "finished")
    assert verify(run) == []  # the run is not touched
    again, calls = track(run.path, pack, tmp_path / "evaluation")
    assert again.up_to_date  # and told once more: it may have been evaluated without --track before
    assert calls[1][0] == "summary"


def test_what_was_evaluated_is_named(run: Artifact, pack: Artifact, tmp_path: Path) -> None:
    _, calls = track(run.path / "last", pack, tmp_path / "a", split="validation", tta="flip")
    assert "validation_last_flip_accuracy" in calls[1][1]
    other = make_pack(tmp_path / "other: faces", {"train": 7, "validation": 7, "test": 7}, side=16)
    _, calls = track(run.path, other, tmp_path / "b")
    assert "other__faces_test_accuracy" in calls[1][1]


def test_runs_that_were_not_tracked(run: Artifact, pack: Artifact, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="run was not trained with --track mlflow; leave it out"):
        track(run.path, pack, tmp_path / "out", track="mlflow")
    shutil.copytree(run.path / "best", tmp_path / "alone")
    with pytest.raises(UsageError, match="alone is not a run"):
        track(tmp_path / "alone", pack, tmp_path / "out")
    assert not (tmp_path / "out").exists()
