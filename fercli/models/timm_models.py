"""Any classifier of timm, as it is: `timm/<name>`, with or without the tag of its weights.

What the table says of the other models is asked of timm and of the model itself here, on torch's meta device, where
nothing is computed: its parameters, the inputs it can take, the layer that Grad-CAM explains. That takes a tenth of a
second, or a few seconds for large ones.
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
"""What makes timm's models take inputs of any size, as far as a model knows one of them."""
LEAST, SMALL = 16, 101
"""Sides, pixels: the least that is tried, and one that a model must take to count as one of any size."""
MULTIPLES = (1, 4, 8, 16, 32)
"""Of pixels: what the sides that a model takes can be multiples of."""
SEARCH = "timm.list_models() lists all"


@cache
def timm_spec(name: str) -> ModelSpec:
    """Return the entry of timm's model `name`.

    What a model is given is resized to what its architecture can take (`build`): the next multiple of some pixels, or
    its own size where that is the only one.

    Raises:
        UsageError: timm has no such model or weights, or the model takes neither grey nor RGB.
    """
    config = _config(name)
    channels, side = config.input_size[0], config.input_size[-1]
    if channels not in (1, 3):
        raise UsageError(f"model timm/{name}: takes {channels} channels; faces are grey or RGB")
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
        smallest_why="found by trying",
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
        name: timm's.
        multiple: Pixels; what the model is given is enlarged to the next multiple, bilinearly.
        side: Pixels; what the model is given is resized to it instead. 0: not so.
    """
    model = _create(name, classes)
    if side or multiple > 1:
        model.register_forward_pre_hook(Resize(multiple, side))
    return model


class Resize:
    """A hook that resizes a module's input, (B, C, H, W); the module's weights keep their names."""

    def __init__(self, multiple: int, side: int) -> None:
        self.multiple, self.side = multiple, side

    def __call__(self, _module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return the inputs, the first of them resized."""
        x, *others = inputs
        rows, columns = (self.side or _up(side, self.multiple) for side in x.shape[-2:])
        if x.shape[-2:] != (rows, columns):
            x = F.interpolate(x, size=(rows, columns), mode="bilinear", antialias=rows < x.shape[-2])
        return (x, *others)


def _config(name: str) -> PretrainedCfg:
    """Return what timm tells of a model and its weights.

    Raises:
        UsageError: there is no such model, or there are no such weights; the message names near ones.
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
    """Create a model that takes inputs of any size, where timm has it so."""
    for options in ANY_SIZE:
        try:
            flexible: nn.Module = timm.create_model(name, num_classes=classes, **options)
        except TypeError:  # the model knows no such option
            continue
        return flexible
    plain: nn.Module = timm.create_model(name, num_classes=classes)
    return plain


def _each(values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    """Return one value a channel; of RGB values for a grey model their average."""
    return tuple(values) if len(values) == channels else (sum(values) / len(values),) * channels


def _takes(model: nn.Module, channels: int, side: int) -> bool:
    try:
        logits: Tensor = model(torch.empty(1, channels, side, side))
    except (RuntimeError, AssertionError, ValueError, IndexError, ZeroDivisionError):  # each architecture its own
        return False
    return logits.shape == (1, len(EMOTIONS))


def _up(side: int, multiple: int) -> int:
    """Return the next multiple from `side` up."""
    return -(-side // multiple) * multiple


def _multiple(model: nn.Module, channels: int, own: int) -> int:
    """Return what the sides that a model takes must be multiples of, pixels; 0 where it takes its own alone."""
    for multiple in MULTIPLES:
        # Odd multiples, so that no window fits by chance: a small one, and one larger than its own.
        small, large = ((_up(side, multiple) // multiple | 1) * multiple for side in (min(SMALL, own), own + 1))
        if _takes(model, channels, large) and _takes(model, channels, small):
            return multiple
    return 0


def _smallest(model: nn.Module, channels: int, multiple: int) -> int:
    """Return the least input that a model takes once it is enlarged to a multiple, pixels."""
    sides = range(LEAST, SMALL)  # those that it takes lie behind those that it does not
    if _takes(model, channels, _up(LEAST, multiple)):
        return LEAST
    return LEAST + bisect_left(sides, True, key=lambda side: _takes(model, channels, _up(side, multiple)))


def _map_layer(model: nn.Module, image: Tensor) -> str:
    """Return the last of the layers that timm names whose output is maps, (B, C, h, w); empty where there is none."""
    info: Any = getattr(model, "feature_info", None) or ()
    modules = dict(model.named_modules())
    wanted = {stage["module"]: stage["num_chs"] for stage in info if stage.get("module") in modules}
    found: dict[str, list[Any]] = {layer: [] for layer in wanted}
    handles = [
        modules[layer].register_forward_hook(lambda _m, _i, output, layer=layer: found[layer].append(output))
        for layer in wanted
    ]
    try:
        model(image)
    finally:
        for handle in handles:
            handle.remove()
    for layer, outputs in reversed(found.items()):
        if len(outputs) == 1 and _is_maps(outputs[0], wanted[layer]):
            return layer
    return ""


def _is_maps(output: Any, channels: int) -> bool:
    """Tell (B, C, h, w) from tokens, (B, n, C), and from maps whose channels come last."""
    return isinstance(output, Tensor) and output.ndim == 4 and output.shape[1] == channels and output.shape[2] > 1


def _backbone(model: nn.Module, classifier: str | tuple[str, ...] | None) -> tuple[str, ...]:
    """Return what the names of all parameters but the classifier's begin with: a module's name, or a whole one's."""
    heads = tuple(f"{head}." for head in ([classifier] if isinstance(classifier, str) else classifier or ("head",)))
    mixed = {head.partition(".")[0] for head in heads}  # modules that hold a classifier, and may hold more
    found: list[str] = []
    for name, _ in model.named_parameters():
        module, _, rest = name.partition(".")
        if not name.startswith(heads):
            found.append(f"{module}." if rest and module not in mixed else name)
    return tuple(dict.fromkeys(found))
