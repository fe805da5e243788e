"""Batch norm over several processes, compared with torch's over the whole batch."""

from __future__ import annotations

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import nn

from fercli.distributed.batch_norm import has_batch_norm, synchronised
from fercli.distributed.launching import run_on_devices
from fercli.models.registry import create_model
from fercli.progress import SILENT


@pytest.mark.long
@pytest.mark.parametrize(("shape", "split"), [((7, 3, 4, 5), 3), ((6, 2), 1)])
def test_two_processes_normalise_like_one(shape: tuple[int, ...], split: int) -> None:
    torch.manual_seed(0)
    x, factors = torch.randn(shape) * 3 + 100, torch.randn(shape)
    weight, bias = torch.rand(shape[1]) + 0.5, torch.randn(shape[1])
    task = {"split": split, **{k: v.tolist() for k, v in locals().items() if k in ("x", "factors", "weight", "bias")}}
    found = run_on_devices("tests.helpers.distributed:normalise", task, 2, SILENT, lambda content: None)

    mean, var = torch.zeros(shape[1]), torch.ones(shape[1])
    x.requires_grad_(), weight.requires_grad_(), bias.requires_grad_()
    y = F.batch_norm(x, mean, var, weight, bias, training=True, momentum=0.2)
    (y * factors).sum().backward()
    torch.testing.assert_close(torch.tensor(found["both"][0]), y.detach(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(torch.tensor(found["both"][1]), x.grad, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(torch.tensor(found["weight"]), weight.grad, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(torch.tensor(found["bias"]), bias.grad, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(torch.tensor(found["running"]), torch.stack([mean, var]), rtol=1e-4, atol=1e-4)
    assert found["fixed"]


def test_models_with_batch_norm_are_recognised() -> None:
    assert has_batch_norm(create_model("quick", 7))
    assert not has_batch_norm(nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2)))


def test_on_cuda_all_batch_norms_become_torchs_synchronised_ones() -> None:
    model = timm.create_model("resnet18", num_classes=7)
    before = model.state_dict()
    assert synchronised(model, torch.device("cpu")) is model
    converted = synchronised(model, torch.device("cuda"))
    norms = [module for module in converted.modules() if type(module).__name__.startswith("BatchNorm")]
    assert norms == []
    assert sum(isinstance(module, nn.SyncBatchNorm) for module in converted.modules()) == 20
    after = converted.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)
