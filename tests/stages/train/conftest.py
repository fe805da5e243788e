"""A small pack for all trainings, and a single thread where results of two processes are compared."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from fercli.artifacts import Artifact
from tests.helpers.packs import make_pack


@pytest.fixture(scope="session")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A pack that tests only read."""
    return make_pack(tmp_path_factory.mktemp("pack") / "pack")


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Use one thread, as in the killed process: rounding depends on how sums are split over threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
