"""Any classifier of timm, unchanged: `timm/<name>`, with or without the tag of its weights.

The spec is determined from timm and from the model itself on torch's meta device, where nothing is computed: number of
parameters, supported input sizes, Grad-CAM layer. That takes a tenth of a second, or a few seconds for large models.
"""

from __future__ import annotations

import warnings
from bisect import bisect_left
from functools import cache
from typing import Any

import timm
import torch
import torch.nn.functional as F
from timm.models import PretrainedCfg
from torch import Tensor, nn

from fercli.emotions import EMOTIONS
from fercli.errors import UsageError, did_you_mean
from fercli.models.spec import IMAGENET_MEAN, IMAGENET_STD, ModelSpec

ANY_SIZE: tuple[dict[str, Any], ...] = (
    {"dynamic_img_size": True, "dynamic_img_pad": True},
    {"dynamic_img_size": True},
    {"strict_img_size": False},
)
"""Options that make timm's models accept any input size; a model supports one of them or none."""
LEAST, SMALL = 16, 101
"""Sides, pixels: the smallest tried, and one that a model must accept to count as flexible."""
MULTIPLES = (1, 4, 8, 16, 32)
"""Candidates for the number of pixels of which a model's input sides must be multiples."""
SEARCH = "timm.list_models() lists all"


@cache
def timm_spec(name: str) -> ModelSpec:
    """Return the spec of timm's model `name`.

    Inputs are resized to what the architecture accepts (`build`): the next multiple of a number of pixels, or its
    native size if it accepts no other.

    Raises:
        UsageError: timm has no such model or weights, or the model accepts neither grey nor RGB.
    """
    config = _config(name)
    channels, side = config.input_size[0], config.input_size[-1]
    if channels not in (1, 3):
        raise UsageError(f"model timm/{name}: expects {channels} channels; faces are grey or RGB")
    with torch.device("meta"), warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        model = _create(name, len(EMOTIONS)).eval()
        multiple = _multiple(model, channels, side)
        smallest = _smallest(model, channels, multiple) if multiple else LEAST
        gradcam = _map_layer(model, torch.empty(1, channels, side, side))
    return ModelSpec(
        name=f"timm/{name}",
        family="timm_models",
        paper="timm",
        build="fercli.models.timm_models:build",
        arguments={"name": name, "multiple": multiple, "side": 0 if multiple else side},
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        input_size=side,
        smallest=smallest,
        smallest_why="determined by trial",
        mean=_each(config.mean or IMAGENET_MEAN, channels),
        std=_each(config.std or IMAGENET_STD, channels),
        gradcam=gradcam,
        recipe="timm",
        imagenet=name if config.has_weights else "",
        backbone=_backbone(model, config.classifier),
    )


def build(classes: int, name: str, multiple: int = 1, side: int = 0) -> nn.Module:
    """Build a classifier of timm with random weights.

    Args:
        classes: Number of emotions.
        name: Its name in timm.
        multiple: Inputs are enlarged bilinearly to the next multiple, pixels.
        side: Inputs are resized to this side instead, pixels; 0: not.
    """
    model = _create(name, classes)
    if side or multiple > 1:
        model.register_forward_pre_hook(Resize(multiple, side))
    return model


class Resize:
    """A pre-hook that resizes a module's input, (B, C, H, W); unlike a wrapper, it keeps the names of the weights."""

    def __init__(self, multiple: int, side: int) -> None:
        self.multiple, self.side = multiple, side

    def __call__(self, _module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return the inputs with the first one resized."""
        x, *others = inputs
        rows, columns = (self.side or _round_up(side, self.multiple) for side in x.shape[-2:])
        if x.shape[-2:] != (rows, columns):
            x = F.interpolate(x, size=(rows, columns), mode="bilinear", antialias=rows < x.shape[-2])
        return (x, *others)


def _config(name: str) -> PretrainedCfg:
    """Return timm's configuration of a model and its weights.

    Raises:
        UsageError: there is no such model, or there are no such weights; the message suggests similar names.
    """
    architecture, _, tag = name.partition(".")
    names = timm.list_models()
    if architecture not in names:
        raise UsageError(did_you_mean("model", f"timm/{architecture}", [f"timm/{one}" for one in names], SEARCH))
    try:
        config = timm.get_pretrained_cfg(name)
    except RuntimeError:
        tags = [one.partition(".")[2] for one in timm.list_pretrained(f"{architecture}.*")]
        raise UsageError(f"model timm/{architecture}: {did_you_mean('weights', tag, tags)}") from None
    return config or PretrainedCfg()


def _create(name: str, classes: int) -> nn.Module:
    """Create a model, accepting any input size if timm supports that."""
    for options in ANY_SIZE:
        try:
            flexible: nn.Module = timm.create_model(name, num_classes=classes, **options)
        except TypeError:  # the model has no such option
            continue
        return flexible
    plain: nn.Module = timm.create_model(name, num_classes=classes)
    return plain


def _each(values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    """Return one value per channel; for a grey model the average of RGB values."""
    return tuple(values) if len(values) == channels else (sum(values) / len(values),) * channels


def _accepts(model: nn.Module, channels: int, side: int) -> bool:
    try:
        logits: Tensor = model(torch.empty(1, channels, side, side))
    except (RuntimeError, AssertionError, ValueError, IndexError, ZeroDivisionError):  # depends on the architecture
        return False
    return logits.shape == (1, len(EMOTIONS))


def _round_up(side: int, multiple: int) -> int:
    return -(-side // multiple) * multiple


def _multiple(model: nn.Module, channels: int, native: int) -> int:
    """Return the pixels of which a model's input sides must be multiples; 0 if it only accepts its native size."""
    for multiple in MULTIPLES:
        # Odd multiples, so that no window fits by chance: a small one, and one above the native size.
        small, large = (
            (_round_up(side, multiple) // multiple | 1) * multiple for side in (min(SMALL, native), native + 1)
        )
        if _accepts(model, channels, large) and _accepts(model, channels, small):
            return multiple
    return 0


def _smallest(model: nn.Module, channels: int, multiple: int) -> int:
    """Return the smallest input that a model accepts once enlarged to a multiple, pixels."""
    if _accepts(model, channels, _round_up(LEAST, multiple)):
        return LEAST
    sides = range(LEAST, SMALL)  # if a side is accepted, all larger ones are
    return LEAST + bisect_left(sides, True, key=lambda side: _accepts(model, channels, _round_up(side, multiple)))


def _map_layer(model: nn.Module, image: Tensor) -> str:
    """Return the last layer in timm's `feature_info` whose output is a map, (B, C, h, w); empty if there is none."""
    info: Any = getattr(model, "feature_info", None) or ()
    modules = dict(model.named_modules())
    channels = {stage["module"]: stage["num_chs"] for stage in info if stage.get("module") in modules}
    outputs: dict[str, list[Any]] = {layer: [] for layer in channels}
    handles = [
        modules[layer].register_forward_hook(lambda _m, _i, output, layer=layer: outputs[layer].append(output))
        for layer in channels
    ]
    try:
        model(image)
    finally:
        for handle in handles:
            handle.remove()
    for layer, calls in reversed(outputs.items()):
        if len(calls) == 1 and _is_map(calls[0], channels[layer]):
            return layer
    return ""


def _is_map(output: Any, channels: int) -> bool:
    """Return whether an output is (B, C, h, w), and not tokens (B, n, C) or a channels-last map."""
    return isinstance(output, Tensor) and output.ndim == 4 and output.shape[1] == channels and output.shape[2] > 1


def _backbone(model: nn.Module, classifier: str | tuple[str, ...] | None) -> tuple[str, ...]:
    """Return name prefixes that match all parameters but the classifier's: modules, or single parameters."""
    heads = tuple(f"{head}." for head in ([classifier] if isinstance(classifier, str) else classifier or ("head",)))
    mixed = {head.partition(".")[0] for head in heads}  # modules that contain a classifier, and maybe more
    prefixes: list[str] = []
    for name, _ in model.named_parameters():
        module, _, rest = name.partition(".")
        if not name.startswith(heads):
            prefixes.append(f"{module}." if rest and module not in mixed else name)
    return tuple(dict.fromkeys(prefixes))
