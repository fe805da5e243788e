"""The table of trackers, and the values of `--track`."""

from __future__ import annotations

import sys
from importlib.metadata import metadata
from pathlib import Path

import pytest

from fercli.errors import FerError, UsageError
from fercli.trackers.table import TRACKERS, Target, create_tracker, parse_targets
from tests.helpers.trackers import RECORDING, Recording


def test_targets() -> None:
    assert parse_targets(["tensorboard", "mlflow=http://host:5000/a=b", " wandb = folder "]) == (
        Target("tensorboard"),
        Target("mlflow", "http://host:5000/a=b"),
        Target("wandb", "folder"),
    )
    assert parse_targets([]) == ()


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["tensorbord"], "no tracker 'tensorbord'; did you mean tensorboard?"),
        (["mlflow", "mlflow=x.db"], "track: mlflow is given twice; keep one"),
        (["mlflow="], "track: 'mlflow=' names no destination; write mlflow=WHERE, or only mlflow"),
        (["mlflow=http://me:secret@host"], "contains a user name or a password"),
        (["mlflow=http://token@host"], "contains a user name or a password"),
    ],
)
def test_wrong_targets(texts: list[str], message: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_targets(texts)
    assert message in str(error.value)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("spec", TRACKERS, ids=lambda spec: spec.name)
def test_a_missing_library(spec: object, monkeypatch: pytest.MonkeyPatch) -> None:
    name = spec.name  # type: ignore[attr-defined]
    monkeypatch.delitem(sys.modules, f"fercli.trackers.{name}", raising=False)
    blocked = {"tensorboard": "torch.utils.tensorboard"}.get(name, name)
    monkeypatch.setitem(sys.modules, blocked, None)
    with pytest.raises(FerError, match=rf"--track {name}: needs .*; install it with: pip install 'fercli\[{name}\]'$"):
        create_tracker(Target(name))


@pytest.mark.parametrize("spec", TRACKERS, ids=lambda spec: spec.name)
def test_every_tracker_has_its_extra(spec: object) -> None:
    assert spec.extra in (metadata("fercli").get_all("Provides-Extra") or []) or spec.extra in (  # type: ignore[attr-defined]
        Path(__file__).parents[2] / "pyproject.toml"
    ).read_text("utf-8")


def test_a_tracker_of_another_package() -> None:
    tracker = create_tracker(Target(RECORDING, "somewhere"))
    assert isinstance(tracker, Recording)
    assert tracker.own is Recording.calls["somewhere"]
