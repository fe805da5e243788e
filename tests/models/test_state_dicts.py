"""State_dicts from untrusted files: nothing in them is executed."""

from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fercli.errors import DataError
from fercli.models.registry import create_model
from fercli.models.state_dicts import mismatch, read_state, read_weights


class Malicious:
    """Unpickling it runs a command that writes a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.target}'",)


def weights() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return create_model("quick", 3).state_dict()


@pytest.mark.parametrize("wrapped", ["bare", "among weights", "as the safetensors file"])
@pytest.mark.parametrize("zipped", [True, False])
def test_malicious_pickle_is_not_executed(tmp_path: Path, wrapped: str, zipped: bool) -> None:
    target = tmp_path / "owned"
    payload: Any = Malicious(target)
    if wrapped == "among weights":
        payload = {"state_dict": {"conv": torch.zeros(2)}, "optimizer": payload}
    file = tmp_path / ("model.safetensors" if wrapped == "as the safetensors file" else "weights.pt")
    torch.save(payload, file, _use_new_zipfile_serialization=zipped)
    with pytest.raises(DataError, match=r"could run code when loaded|not a valid safetensors file"):
        read_state(file)
    assert not target.exists()
    # The payload works: an unrestricted load executes it.
    torch.load(file.rename(tmp_path / "payload.pt"), weights_only=False)
    assert target.exists()


def test_plain_pickle_is_not_executed(tmp_path: Path) -> None:
    target = tmp_path / "owned"
    (tmp_path / "weights.pth").write_bytes(pickle.dumps(Malicious(target)))
    with pytest.raises(DataError, match="could run code when loaded"):
        read_state(tmp_path / "weights.pth")
    assert not target.exists()


def test_broken_files_are_rejected(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "archive.pt", "w") as archive:
        archive.writestr("../outside.txt", "x")
    (tmp_path / "garbage.pt").write_bytes(os.urandom(500))
    (tmp_path / "empty.pt").write_bytes(b"")
    torch.save(weights(), tmp_path / "whole.pt")
    (tmp_path / "cut.pt").write_bytes((tmp_path / "whole.pt").read_bytes()[:-200])
    for name in ("archive", "garbage", "empty", "cut"):
        with pytest.raises(DataError, match=rf"{name}\.pt: rejected"):
            read_state(tmp_path / f"{name}.pt")
    assert not (tmp_path.parent / "outside.txt").exists()
    with pytest.raises(DataError, match="a folder, not a weights file"):
        read_state(tmp_path)


@pytest.mark.parametrize(
    "wrong", [[1, 2], {}, {"a": 1}, {"state_dict": {"a": "b"}}, torch.zeros(3), {"state_dict": {}}]
)
def test_files_without_weights_are_rejected(tmp_path: Path, wrong: Any) -> None:
    torch.save(wrong, tmp_path / "x.pt")
    with pytest.raises(DataError, match="contains no state_dict"):
        read_state(tmp_path / "x.pt")


@pytest.mark.parametrize("key", [None, "state_dict", "model_state_dict", "model", "net"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_common_wrappers_are_removed(tmp_path: Path, key: str | None, prefix: str) -> None:
    state = {prefix + "conv.weight": torch.ones(2), prefix + "module.x": torch.zeros(1)}
    torch.save({key: state, "epoch": 3} if key else state, tmp_path / "x.pth")
    found = read_state(tmp_path / "x.pth")
    assert list(found) == ["conv.weight", "module.x" if prefix else "x"]
    assert torch.equal(found["conv.weight"], torch.ones(2))


@pytest.mark.parametrize("name", ["ema", "model_ema", "state_dict_ema"])
def test_moving_average_of_a_training_checkpoint_is_used(tmp_path: Path, name: str) -> None:
    file = {"model": {"w": torch.zeros(2)}, name: {"w": torch.ones(2)}, "best": np.float64(0.7), "epoch": np.int64(3)}
    torch.save(file, tmp_path / "x.pt")
    state, which = read_weights(tmp_path / "x.pt")
    assert torch.equal(state["w"], torch.ones(2))
    assert which == f"the moving average, '{name}', which such training code evaluates"
    torch.save({"model": {"w": torch.zeros(2)}, name: None, "best": np.float32(0.7)}, tmp_path / "y.pt")
    assert torch.equal(read_state(tmp_path / "y.pt")["w"], torch.zeros(2))


def test_object_array_is_not_executed(tmp_path: Path) -> None:
    torch.save(
        {"model": {"w": torch.zeros(2)}, "x": np.array(Malicious(tmp_path / "owned"), object)}, tmp_path / "x.pt"
    )
    with pytest.raises(DataError, match="could run code when loaded"):
        read_state(tmp_path / "x.pt")
    assert not (tmp_path / "owned").exists()


def test_mismatch_phrase() -> None:
    state = weights()
    assert mismatch(state, state) == ""
    given = {**state, "more": torch.zeros(1), "classifier.bias": torch.zeros(4)}
    del given["classifier.weight"]
    assert mismatch(state, given) == (
        "1 missing, such as classifier.weight; 1 unknown, such as more; classifier.bias is (4,), not (3,)"
    )
