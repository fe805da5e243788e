"""Batch norm over the faces of all devices, so that a training does not depend on how many there are."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.overrides import TorchFunctionMode


def has_batch_norm(model: nn.Module) -> bool:
    """Return whether a model has batch norms."""
    return any(isinstance(module, _BatchNorm) for module in model.modules())


def synchronised(model: nn.Module, device: torch.device) -> nn.Module:
    """Return a model whose batch norms are synchronised on CUDA devices; elsewhere it is `synchronising` that does it.

    torch's SyncBatchNorm runs on CUDA only. The names of the weights do not change.
    """
    if device.type != "cuda":
        return model
    from timm.layers.norm_act import convert_sync_batchnorm

    converted: nn.Module = convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
    return converted


def synchronising(device: torch.device) -> AbstractContextManager[object]:
    """Return a context in which the batch norms of a forward pass on the CPU are synchronised."""
    return nullcontext() if device.type == "cuda" else _Synchronising()


class _Synchronising(TorchFunctionMode):
    """Replaces `F.batch_norm` in training mode, whatever the module that calls it."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not F.batch_norm:
            return func(*args, **(kwargs or {}))
        return _batch_norm(*args, **(kwargs or {}))


def _batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise like `F.batch_norm`, in training with the statistics of all processes' faces.

    Args:
        input: (B, C, …), with any B, which may differ between processes.
        running_mean: (C,), updated in training.
        running_var: (C,), updated in training.
        weight: (C,).
        bias: (C,).
        training: Whether to use the statistics of the batch.
        momentum: Weight of the batch in the running statistics.
        eps: Added to the variance.
    """
    if not training:
        return F.batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    normalised, mean, var, count = _Normalise.apply(input, eps)
    if running_mean is not None and running_var is not None:
        with torch.no_grad():
            running_mean.lerp_(mean.to(running_mean.dtype), momentum)
            running_var.lerp_((var * count / (count - 1)).to(running_var.dtype), momentum)
    shape = (1, -1, *[1] * (input.ndim - 2))
    if weight is not None:
        normalised = normalised * weight.view(shape)
    if bias is not None:
        normalised = normalised + bias.view(shape)
    result: Tensor = normalised.to(input.dtype)
    return result


class _Normalise(torch.autograd.Function):
    """Subtract the mean and divide by the standard deviation per channel, over all processes, in float32."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        x = input.float()
        axes = [0, *range(2, x.ndim)]
        shape = (1, -1, *[1] * (x.ndim - 2))
        var, mean = torch.var_mean(x, axes, correction=0)
        own = torch.stack([mean, var, torch.full_like(mean, x.numel() / x.shape[1])])
        parts = [torch.empty_like(own) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, own)
        means, variances, counts = torch.stack(parts, 1).double()
        count = counts.sum(0)
        mean = (means * counts).sum(0) / count
        var = ((variances + (means - mean) ** 2) * counts).sum(0) / count
        scale = (var + eps).rsqrt().float()
        normalised = (x - mean.float().view(shape)) * scale.view(shape)
        ctx.save_for_backward(normalised, scale, count)
        ctx.dtype = input.dtype
        mean, var, count = mean.float(), var.float(), count.float()
        ctx.mark_non_differentiable(mean, var, count)
        return normalised, mean, var, count

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        normalised, scale, count = ctx.saved_tensors
        gradient = gradients[0]
        axes = [0, *range(2, gradient.ndim)]
        shape = (1, -1, *[1] * (gradient.ndim - 2))
        sums = torch.stack([gradient.sum(axes), (gradient * normalised).sum(axes)])
        dist.all_reduce(sums)
        mean, projection = (sums / count).float()
        inner = gradient - mean.view(shape) - normalised * projection.view(shape)
        return (inner * scale.view(shape)).to(ctx.dtype), None
