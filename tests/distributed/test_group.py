"""The group of one, dividing items, and torchrun's environment. Exchanges are tested in test_launching.py."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fercli.distributed.group import ALONE, current_group, even_slices, joined, local_device
from fercli.errors import UsageError

TORCHRUN = {"RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "4", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}


@given(count=st.integers(0, 300), parts=st.integers(1, 40))
def test_even_slices_cover_all_items_once(count: int, parts: int) -> None:
    slices = even_slices(count, parts)
    assert len(slices) == parts
    assert [item for one in slices for item in range(count)[one]] == list(range(count))
    sizes = [one.stop - one.start for one in slices]
    assert max(sizes) - min(sizes) <= 1


def test_a_group_of_one_exchanges_nothing() -> None:
    rows = torch.rand(3, 2)
    assert ALONE.leads
    assert current_group() == ALONE
    assert ALONE.broadcast({"a": 1}) == {"a": 1}
    assert ALONE.sum_(rows) is rows
    assert ALONE.gather_rows(rows, 3) is rows
    assert ALONE.slice(7) == slice(0, 7)
    ALONE.broadcast_([rows])


@pytest.mark.parametrize(
    ("device", "gpus", "wanted"),
    [("cpu", 4, "cpu"), ("auto", 0, "cpu"), ("auto", 4, "cuda:1"), ("cuda", 2, "cuda:1")],
)
def test_each_process_has_the_device_of_its_number(
    device: str, gpus: int, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert str(local_device(device)) == wanted


@pytest.mark.parametrize(
    ("device", "gpus", "message"),
    [
        ("cuda:0", 4, "several processes cannot all use cuda:0; set device to cuda or cpu"),
        ("mps", 0, "several processes cannot all use mps"),
        ("cuda", 1, "this machine has 1 CUDA devices, fewer than processes"),
        ("cuda", 0, "this machine has 0 CUDA devices"),
    ],
)
def test_devices_that_processes_cannot_have(
    device: str, gpus: int, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    with pytest.raises(UsageError, match=message):
        local_device(device)


def test_only_cuda_and_the_cpu_can_join() -> None:
    with pytest.raises(UsageError, match="several mps devices cannot train together"), joined(torch.device("mps")):
        pass
