"""Grad-CAM: where the evidence for an emotion lies (Selvaraju et al. 2017, section 3).

The map of emotion c is ReLU(sum_k a_k A_k): A_k are the feature maps that a layer puts out, and a_k is the mean over
the map of the gradient of c's logit (before the softmax) by A_k. Only evidence for c is kept; a map of zeros says that
the layer holds none.
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

    In evaluation no face's logits depend on another's, so the gradient of the logits' sum holds each face's own. The
    model comes back as it was: mode, gradients and hooks, whatever happens.

    Args:
        model: From (B, channels, H, W) to logits (B, classes).
        layer: Name of the module whose output, (B, C, h, w), is explained.
        faces: (B, channels, H, W), normalised.
        emotions: int64 (B,), the place of the emotion to explain; None: of each face's predicted one.

    Returns:
        Maps (B, h, w) of values from 0, logits (B, classes), and the explained emotions (B,).

    Raises:
        UsageError: the model has no such layer, does not run it once on the way to its logits, or it puts out no maps.
    """
    module = _find(model, layer)
    captured: list[Tensor] = []

    def capture(_module: nn.Module, _inputs: object, output: object) -> Tensor:
        if not isinstance(output, Tensor) or output.ndim != 4:
            given = f"a tensor of {tuple(output.shape)}" if isinstance(output, Tensor) else "no tensor"
            raise UsageError(f"layer '{layer}' gives {given}, not maps of (faces, channels, height, width)")
        # The gradient is wanted from here on alone. What follows gets a copy, which it may change in place.
        captured.append(output.detach().requires_grad_())
        return captured[-1].clone()

    with frozen(model), torch.enable_grad():
        handle = module.register_forward_hook(capture)
        try:
            logits = model(faces)
        finally:
            handle.remove()
        if len(captured) != 1:
            raise UsageError(
                f"layer '{layer}' runs {len(captured) or 'no'} times for a face; choose one that runs once"
            )
        (maps,) = captured
        wanted = logits.argmax(1) if emotions is None else emotions.to(logits.device)
        gradient = None
        if logits.requires_grad:
            score = logits.gather(1, wanted[:, None]).sum()
            (gradient,) = torch.autograd.grad(score, maps, allow_unused=True)
        if gradient is None:
            raise UsageError(f"layer '{layer}' does not lead to the logits; choose one that does")
    maps = maps.detach()
    weights = gradient.mean((2, 3), keepdim=True)
    return F.relu((weights * maps).sum(1)), logits.detach(), wanted


def upsample(maps: Tensor, size: int) -> Tensor:
    """Bring maps (B, h, w) bilinearly to the input's size, (B, size, size)."""
    return F.interpolate(maps[:, None], size=(size, size), mode="bilinear", align_corners=False)[:, 0]


def normalise(heat: Tensor) -> Tensor:
    """Scale each face's heat (B, H, W) to 0..1 by its own maximum; where there is none it stays zero."""
    peak = heat.amax((1, 2), keepdim=True)
    return torch.where(peak > 0, heat / peak.clamp_min(torch.finfo(heat.dtype).tiny), torch.zeros_like(heat))


def _find(model: nn.Module, layer: str) -> nn.Module:
    modules: dict[str, nn.Module] = dict(model.named_modules())
    modules.pop("", None)  # the model itself, whose output is the logits
    if layer not in modules:
        raise UsageError(did_you_mean("layer", layer, list(modules), "'--layer' takes a module's name"))
    return modules[layer]


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Hold a model in evaluation mode, its parameters without gradient, and put everything back afterwards.

    No parameter's gradient is wanted, and without them nothing before the layer is kept for a backward pass.
    """
    modes = [(module, module.training) for module in model.modules()]
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in learning:
        parameter.requires_grad_(False)
    model.eval()
    try:
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)
        for module, training in modes:
            module.training = training
