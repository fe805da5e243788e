"""One small pack for all trainings, and one thread where a training is compared with that of another process."""

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
    """As in the process that is killed: sums are rounded by how they are shared out."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
