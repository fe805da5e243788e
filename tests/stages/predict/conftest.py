"""An untrained model, and a fake detector of bright squares."""

from __future__ import annotations

from pathlib import Path

import pytest

from fercli.stages.predict import detection
from tests.helpers.prediction import Squares, save_model


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with random weights, for tests that only read it."""
    return save_model(tmp_path_factory.mktemp("checkpoint") / "checkpoint")


@pytest.fixture(autouse=True)
def _squares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detection, "create_detector", lambda name, weights: Squares())
