"""A model with random weights."""

from pathlib import Path

import pytest

from tests.helpers.prediction import save_model


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("serving") / "run")
