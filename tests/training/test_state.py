"""The file to resume from; what it holds is tested in test_loop.py."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fercli.errors import FerError
from fercli.training.state import read_training_state, save_training_state

CPU = torch.device("cpu")


def test_round_trip(tmp_path: Path) -> None:
    file = tmp_path / "resume" / "state.pt"
    assert read_training_state(file, CPU) is None
    save_training_state({"epoch": 3, "weights": torch.arange(4)}, file)
    state = read_training_state(file, CPU)
    assert state is not None
    assert state["epoch"] == 3
    assert torch.equal(state["weights"], torch.arange(4))
    assert [path.name for path in file.parent.iterdir()] == ["state.pt"]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not an archive", b"\x80\x04cos\nsystem\n."])
def test_a_broken_file_is_an_error_with_advice(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "resume" / "state.pt"
    file.parent.mkdir()
    file.write_bytes(content)
    with pytest.raises(FerError, match=r"state\.pt: cannot be read; remove the folder .* to start over"):
        read_training_state(file, CPU)
