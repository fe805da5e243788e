"""Environment variables that are set for a while."""

import os
from contextlib import suppress

import pytest

from fercli.environment import default_environment, under_torchrun


def test_variables_are_set_for_the_block_unless_they_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FERCLI_TEST_GIVEN", "mine")
    monkeypatch.delenv("FERCLI_TEST_NEW", raising=False)
    with default_environment({"FERCLI_TEST_GIVEN": "other", "FERCLI_TEST_NEW": "new"}):
        assert (os.environ["FERCLI_TEST_GIVEN"], os.environ["FERCLI_TEST_NEW"]) == ("mine", "new")
    assert os.environ["FERCLI_TEST_GIVEN"] == "mine"
    assert "FERCLI_TEST_NEW" not in os.environ


def test_they_are_removed_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FERCLI_TEST_NEW", raising=False)
    with suppress(KeyError), default_environment({"FERCLI_TEST_NEW": "new"}):
        raise KeyError
    assert "FERCLI_TEST_NEW" not in os.environ


def test_torchrun_is_recognised_by_its_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "localhost", "MASTER_PORT": "29500"}
    for name in variables:
        monkeypatch.delenv(name, raising=False)
    assert not under_torchrun()
    for name, value in variables.items():
        assert not under_torchrun()
        monkeypatch.setenv(name, value)
    assert under_torchrun()
