"""Class activation maps: where in a face the evidence for each emotion lies (Zhou et al. 2016, section 2).

The map of emotion l is M_l = sum_k w_lk F_k: F_k are the last feature maps, and w_lk the weights of the linear layer
that follows their global average pooling. So the mean of M_l, plus the bias, is the logit of l.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from fercli.errors import UsageError

_TOLERANCE = 1e-3
"""Relative difference of two ways to compute the same values, in float32 or TF32."""


class ActivationMaps:
    """The class activation maps of a model, from its forward pass.

    The feature maps are found by running the model once: they are the last output of a module whose spatial mean is
    the input of the linear layer that returns the logits. Dropout may come in between, since it does nothing in
    evaluation mode.

    Args:
        model: Maps (B, channels, H, W) to logits (B, classes); its mode is restored.
        option: The option that needs the maps, for the message.
        shape: Shape of a face: channels, height, width.

    Raises:
        UsageError: the model has no such layers.
    """

    def __init__(self, model: nn.Module, option: str, shape: tuple[int, int, int]) -> None:
        found = _find(model, shape)
        if found is None:
            raise UsageError(
                f"{option}: needs a model that ends in a feature map of more than one pixel, its global average and "
                "one linear layer, such as quick, small or resnet50; this one does not"
            )
        self._layer, self._classifier = found

    @contextmanager
    def recorded(self) -> Iterator[list[Tensor]]:
        """Yield a list that collects the last feature maps, (B, C, h, w), of each forward pass inside the block."""
        found: list[Tensor] = []

        def record(layer: nn.Module, inputs: Any, output: Tensor) -> None:  # noqa: ARG001
            found.append(output)  # as it is: an activation after it may yet change it in place

        # For the passes alone: a copy of the model, such as its moving average, would copy a hook.
        handle = self._layer.register_forward_hook(record)
        try:
            yield found
        finally:
            handle.remove()

    def of(self, features: Tensor) -> Tensor:
        """Return the maps of all emotions, float32 (B, classes, h, w), of feature maps (B, C, h, w).

        The linear layer's weights are constants in them: they have no gradient here.
        """
        with torch.autocast(features.device.type, enabled=False):
            return torch.einsum("lk,bkhw->blhw", self._classifier.weight.detach().float(), features.float())


def _find(model: nn.Module, shape: tuple[int, int, int]) -> tuple[nn.Module, nn.Linear] | None:
    """Return the module whose output are the last feature maps, and the linear layer; None if there are none such."""
    maps: list[tuple[nn.Module, Tensor]] = []
    linear: list[tuple[nn.Linear, Tensor, Tensor]] = []

    def record(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if isinstance(module, nn.Linear):
            linear.append((module, inputs[0], output))
        elif isinstance(output, Tensor) and output.ndim == 4:
            maps.append((module, output))

    device = next(model.parameters()).device
    modes = [(module, module.training) for module in model.modules()]
    faces = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0)).to(device)
    handles = [module.register_forward_hook(record) for module in model.modules()]
    try:
        with torch.no_grad():
            logits = model.eval()(faces)
    finally:
        for handle in handles:
            handle.remove()
        for module, training in modes:
            module.training = training
    for classifier, features, output in reversed(linear):
        if not _equal(output, logits):
            continue
        for module, output in reversed(maps):
            once = sum(other is module for other, _ in maps) == 1
            if once and output.shape[2:].numel() > 1 and _equal(output.mean((2, 3)), features):
                return module, classifier
    return None


def _equal(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape:
        return False
    return bool((one - other).abs().max() <= _TOLERANCE * other.abs().max())
