"""The forward pass of a training, whose gradients are averaged over all devices."""

from __future__ import annotations

import gc
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
        compile: Whether to compile it.
        sync_batch_norm: Whether batch norm uses the faces of all devices.
    """

    def __init__(
        self, model: nn.Module, device: torch.device, group: Group, *, compile: bool, sync_batch_norm: bool
    ) -> None:
        own: Callable[..., Any] | None = getattr(model, "training_forward", None)
        self.has_own_loss = own is not None
        self._group, self._device, self._sync = group, device, sync_batch_norm and group.size > 1
        self._model = model
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
        self._parallel = DistributedDataParallel(
            _WithTargets(self._model) if self.has_own_loss else self._model,
            [self._device] if self._device.type == "cuda" else None,
            broadcast_buffers=not self._sync,  # synchronised batch norms have equal statistics everywhere
            find_unused_parameters=True,
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


class _WithTargets(nn.Module):
    """Calls a model's `training_forward` as a module's forward pass, as DistributedDataParallel needs it."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, targets: Tensor) -> Any:
        """Return the logits and the extra loss."""
        return self.model.training_forward(x, targets)  # type: ignore[operator]
