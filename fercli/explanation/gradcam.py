"""Grad-CAM: where the evidence for an emotion lies (Selvaraju et al. 2017, section 3).

The map of emotion c is ReLU(sum_k a_k A_k): A_k are the feature maps of a layer, and a_k is the spatial mean of the
gradient of c's logit (before the softmax) with respect to A_k. Only evidence for c is kept; a map of zeros means that
the layer has none.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fercli.errors import UsageError, did_you_mean


def grad_cam(
    model: nn.Module, layer: str, faces: Tensor, emotions: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the maps of a batch of faces, with one forward pass and one backward pass to the layer.

    In evaluation mode faces do not affect each other's logits, so the gradient of the summed logits contains that of
    each face. The model's mode, gradients and hooks are restored, even on error.

    Args:
        model: Maps (B, channels, H, W) to logits (B, classes).
        layer: Name of the module whose output, (B, C, h, w), is explained.
        faces: (B, channels, H, W), normalised.
        emotions: int64 (B,), index of the emotion to explain; None: the predicted emotion of each face.

    Returns:
        Non-negative maps (B, h, w), logits (B, classes), and the explained emotions (B,).

    Raises:
        UsageError: the model has no such layer, does not run it exactly once to compute its logits, or its output is
            not feature maps.
    """
    module = _find_layer(model, layer)
    captured: list[Tensor] = []

    def capture(_module: nn.Module, _inputs: object, output: object) -> Tensor:
        if not isinstance(output, Tensor) or output.ndim != 4:
            returned = f"a tensor of {tuple(output.shape)}" if isinstance(output, Tensor) else "no tensor"
            raise UsageError(f"layer '{layer}' returns {returned}, not maps of (faces, channels, height, width)")
        # Gradients are only needed from here on. Later layers get a copy, which they may modify in place.
        captured.append(output.detach().requires_grad_())
        return captured[-1].clone()

    with frozen(model), torch.enable_grad():
        handle = module.register_forward_hook(capture)
        try:
            logits = model(faces)
        finally:
            handle.remove()
        if len(captured) != 1:
            raise UsageError(f"layer '{layer}' runs {len(captured)} times per forward pass; choose one that runs once")
        (maps,) = captured
        explained = logits.argmax(1) if emotions is None else emotions.to(logits.device)
        gradient = None
        if logits.requires_grad:
            score = logits.gather(1, explained[:, None]).sum()
            (gradient,) = torch.autograd.grad(score, maps, allow_unused=True)
        if gradient is None:
            raise UsageError(f"layer '{layer}' does not affect the logits; choose one that does")
    maps = maps.detach()
    weights = gradient.mean((2, 3), keepdim=True)
    return F.relu((weights * maps).sum(1)), logits.detach(), explained


def upsample(maps: Tensor, size: int) -> Tensor:
    """Resize maps (B, h, w) bilinearly to the input size, (B, size, size)."""
    return F.interpolate(maps[:, None], size=(size, size), mode="bilinear", align_corners=False)[:, 0]


def normalise(heat: Tensor) -> Tensor:
    """Scale the heat of each face (B, H, W) to 0..1 by its maximum; all-zero maps stay zero."""
    peak = heat.amax((1, 2), keepdim=True)
    return torch.where(peak > 0, heat / peak.clamp_min(torch.finfo(heat.dtype).tiny), torch.zeros_like(heat))


def _find_layer(model: nn.Module, layer: str) -> nn.Module:
    modules: dict[str, nn.Module] = dict(model.named_modules())
    modules.pop("", None)  # the model itself, whose output is the logits
    if layer not in modules:
        raise UsageError(did_you_mean("layer", layer, list(modules), "'--layer' takes a module's name"))
    return modules[layer]


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Put a model in evaluation mode with frozen parameters, and restore both afterwards.

    Parameter gradients are not needed; without them nothing before the layer is kept for the backward pass.
    """
    modes = [(module, module.training) for module in model.modules()]
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in trainable:
        parameter.requires_grad_(False)
    model.eval()
    try:
        yield
    finally:
        for parameter in trainable:
            parameter.requires_grad_(True)
        for module, training in modes:
            module.training = training
