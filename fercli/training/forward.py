"""The forward pass of a training, whose gradients are averaged over all devices."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from fercli.distributed.batch_norm import synchronising
from fercli.distributed.group import Group


class TrainingForward:
    """A model's forward pass in training.

    A model with an extra loss has a method `training_forward`, which also takes the targets, and returns the loss along
    with the logits.

    Args:
        model: The model, on its device.
        device: Its device.
        group: The processes of the training.
        shape: Of an input: channels, height, width of a face.
        compile: Whether to compile it.
        sync_batch_norm: Whether batch norm uses the faces of all devices.
    """

    def __init__(
        self,
        model: nn.Module,
        device: torch.device,
        group: Group,
        shape: tuple[int, ...],
        *,
        compile: bool,
        sync_batch_norm: bool,
    ) -> None:
        own: Callable[..., Any] | None = getattr(model, "training_forward", None)
        self.has_own_loss = own is not None
        self._group, self._device, self._sync = group, device, sync_batch_norm and group.size > 1
        self._model, self._shape = model, shape
        self._parallel: DistributedDataParallel | None = None
        self._forward: Callable[..., Any] = own or model
        self._compile = compile
        if group.size > 1:
            self.enter_phase()
        elif compile:
            self._forward = torch.compile(self._forward)

    def enter_phase(self) -> None:
        """Prepare the exchange of the gradients of the parameters that are not frozen now."""
        if self._group.size == 1:
            return
        # That of the phase before has hooks on the parameters until it is collected.
        self._parallel, self._forward = None, self._model
        gc.collect()
        with warnings.catch_warnings():
            # torch 2.15 has another name for `broadcast_buffers`, which earlier versions do not know.
            warnings.simplefilter("ignore", FutureWarning)
            self._parallel = DistributedDataParallel(
                _WithTargets(self._model) if self.has_own_loss else self._model,
                [self._device] if self._device.type == "cuda" else None,
                broadcast_buffers=not self._sync,  # synchronised batch norms have equal statistics everywhere
                find_unused_parameters=self.has_own_loss or has_unused_parameters(self._model, self._shape),
                gradient_as_bucket_view=True,
            )
        self._forward = torch.compile(self._parallel) if self._compile else self._parallel

    def __call__(self, x: Tensor, targets: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the logits (B, classes) of normalised faces (B, C, H, W), and the model's extra loss if it has one."""
        with synchronising(self._device) if self._sync else nullcontext():
            output = self._forward(x, targets) if self.has_own_loss else self._forward(x)
        logits, loss = output if self.has_own_loss else (output, None)
        return logits, loss

    def accumulating(self) -> AbstractContextManager[object]:
        """Return a context in which gradients are added up on each device, and not exchanged."""
        return nullcontext() if self._parallel is None else self._parallel.no_sync()


def has_unused_parameters(model: nn.Module, shape: tuple[int, ...]) -> bool:
    """Return whether the logits do not depend on some trainable parameters, for which no gradient would be exchanged.

    Args:
        model: Maps (B, channels, H, W) to logits; its mode is restored, and its gradients are cleared.
        shape: Of an input: channels, height, width of a face.
    """
    modes = [(module, module.training) for module in model.modules()]
    trainable = [p for p in model.parameters() if p.requires_grad]
    faces = torch.zeros(2, *shape, device=trainable[0].device)
    try:
        model.eval()(faces).sum().backward()
        return any(p.grad is None for p in trainable)
    finally:
        model.zero_grad()
        for module, training in modes:
            module.training = training


class _WithTargets(nn.Module):
    """Calls a model's `training_forward` as a module's forward pass, as DistributedDataParallel needs it."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, targets: Tensor) -> Any:
        """Return the logits and the extra loss."""
        return self.model.training_forward(x, targets)  # type: ignore[operator]
