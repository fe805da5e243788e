"""Models whose names are put together, `<backbone>[-<attention>][-<activation>]`, parsed by rule. Read without torch.

A name without an activation is the ResNet50-CBAM or EmotionNet paper's form (ReLU; 224 px, Inception 299; ResNetV2,
which neither has, goes by the Attention + ELU paper's recipe at that size); one with an activation is the Attention +
ELU paper's (80 px), also where that paper does not have the combination. `sa`, spatial attention alone, stands after
one stage, as in EmotionNet; the other attentions stand in every block or stage, or in the VGGs of the Attention + ELU
paper before the fully connected layers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from itertools import product
from typing import Any

from fercli.errors import UsageError, did_you_mean
from fercli.models.spec import IMAGENET_MEAN, IMAGENET_STD, ModelSpec

ATTENTIONS = ("", "se", "eca", "cbam", "sa")
ACTIVATIONS = ("", "relu", "elu", "selu")
SMALL_FACES = 80
"""Input size of the Attention + ELU paper, pixels."""
PLACES = ("layer1", "stem", "layer2", "layer3", "layer4")
"""Where `sa` can stand, EmotionNet's choice first."""


@dataclass(frozen=True)
class Backbone:
    """What the models of one backbone have in common; the fields are `ModelSpec`'s."""

    name: str
    family: str
    gradcam: str
    imagenet: str
    paper: str
    recipe: str
    backbone: tuple[str, ...]
    reduced: dict[str, Any]
    input_size: int = 224
    staged: bool = False
    reduced_size: int = 32
    smallest: int = 32
    smallest_why: str = ""
    rename: str = ""
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    recipes: dict[str, str] = field(default_factory=dict)  # of attentions that have another than `recipe`


_HALVED = "it halves the side five times, so that 32 px come down to a single place"
_HALF = (0.5, 0.5, 0.5)
"""Mean and deviation that timm's ImageNet weights of the families with it were trained with."""
_COMMON: dict[str, dict[str, Any]] = {
    "vgg": {
        "gradcam": "attention.4",  # what goes into the last max-pool: weighed, where attention stands there
        "paper": "ResNet50-CBAM",
        "recipe": "vgg19",
        "backbone": ("features.",),
        "smallest_why": _HALVED,
        "rename": "fercli.models.vgg:rename",
        "reduced": {"widths": (32, 64, 64, 64, 64), "depths": (1, 1, 1, 1, 1), "hidden": 64, "dropout": 0.0},
        "reduced_size": 48,
    },
    "resnet": {
        "gradcam": "layer4",
        "paper": "ResNet50-CBAM",
        "recipe": "resnet50",
        "backbone": ("conv1.", "bn1.", "layer"),
        "staged": True,
        "smallest_why": _HALVED,
        "reduced": {"widths": (32, 64, 128, 128), "depths": (1, 1, 1, 1)},
        "reduced_size": 48,
    },
    "resnetv2": {
        "gradcam": "norm",
        "paper": "Attention + ELU",
        "recipe": "attention-elu",
        "backbone": ("stem.", "stages.", "norm."),
        "staged": True,
        "smallest_why": _HALVED,
        "rename": "fercli.models.resnetv2:rename",
        "mean": _HALF,
        "std": _HALF,
        "reduced": {"widths": (64, 128, 256, 512), "depths": (1, 1, 1, 1)},
        "reduced_size": 48,
    },
    "inception": {
        "gradcam": "attention.Mixed_7c",
        "paper": "ResNet50-CBAM",
        "recipe": "inception-v3",
        "backbone": ("Conv2d", "Mixed"),
        "input_size": 299,
        "smallest": 75,
        "smallest_why": "its last reduction has windows of 3 x 3 places, and a smaller face comes down to 2 x 2 there",
        "rename": "fercli.models.inception:rename",
        "mean": _HALF,
        "std": _HALF,
        "reduced": {
            "divisor": 8,
            "blocks": ("Mixed_5d", "Mixed_6a", "Mixed_6e", "Mixed_7a", "Mixed_7c"),
            "reduction": 4,
        },
        "reduced_size": 112,
    },
}
"""What the backbones of a family have in common."""
_BASELINE: dict[str, Any] = {"recipes": {"": "emotionnet"}}
BACKBONES: tuple[Backbone, ...] = tuple(
    Backbone(name=name, family=family, imagenet=imagenet, **_COMMON[family], **own)
    for family, name, imagenet, own in (
        ("vgg", "vgg16", "vgg16", {}),
        ("vgg", "vgg19", "vgg19", {}),
        ("resnet", "resnet18", "resnet18", _BASELINE),
        ("resnet", "resnet34", "resnet34", {}),
        ("resnet", "resnet50", "resnet50", {}),
        ("resnet", "resnet101", "resnet101", {}),
        ("resnet", "resnet152", "resnet152", {}),
        ("resnetv2", "resnetv2-50", "resnetv2_50", {}),
        ("resnetv2", "resnetv2-101", "resnetv2_101", {}),
        ("resnetv2", "resnetv2-152", "", {}),
        ("inception", "inception-v3", "inception_v3", {}),
    )
)


def parse(name: str) -> ModelSpec | None:
    """Return the entry of a name that begins with a backbone's; None where it does not.

    Raises:
        UsageError: what follows the backbone is no attention and activation, or cannot stand there.
    """
    backbone = max(
        (b for b in BACKBONES if f"{name}-".startswith(f"{b.name}-")), key=lambda b: len(b.name), default=None
    )
    if backbone is None:
        return None
    parts = name[len(backbone.name) + 1 :].split("-") if name != backbone.name else []
    attentions = [part for part in parts if part in ATTENTIONS[1:]]
    activations = [part for part in parts if part in ACTIVATIONS[1:]]
    for part in parts:
        if part not in (*attentions, *activations):
            known = [*ATTENTIONS[1:], *ACTIVATIONS[1:]]
            raise UsageError(f"model {name}: " + did_you_mean("attention or activation", part, known))
    if len(attentions) > 1 or len(activations) > 1:
        raise UsageError(f"model {name}: one attention and one activation at most, as {backbone.name}-cbam-elu")
    attention, activation = "".join(attentions), "".join(activations)
    ordered = "-".join(filter(None, (backbone.name, attention, activation)))
    if ordered != name:
        raise UsageError(f"no model '{name}'; the attention comes before the activation: {ordered}")
    why = impossible(backbone, attention)
    if why:
        raise UsageError(f"model {name}: {why}")
    return _spec(backbone, attention, activation)


def impossible(backbone: Backbone, attention: str) -> str:
    """Return why an attention cannot stand in a backbone; empty where it can."""
    if attention == "sa" and not backbone.staged:
        return (
            f"sa stands after one of a residual network's stages, and {backbone.name} has none; "
            f"{backbone.name}-cbam has spatial attention together with the channels'"
        )
    return ""


def combinations() -> list[ModelSpec]:
    """Return the entries of all names, by backbone."""
    return [
        _spec(backbone, attention, activation)
        for backbone, activation, attention in product(BACKBONES, ACTIVATIONS, ATTENTIONS)
        if not impossible(backbone, attention)
    ]


def _spec(backbone: Backbone, attention: str, activation: str) -> ModelSpec:
    name = "-".join(filter(None, (backbone.name, attention, activation)))
    spatial = attention == "sa"
    prefix = "backbone." if spatial else ""
    arguments = {"backbone": backbone.name, "activation": activation}
    if not spatial:
        arguments["attention"] = attention or "none"
    recipe = "emotionnet" if spatial else backbone.recipes.get(attention, backbone.recipe)
    return ModelSpec(
        name=name,
        family="emotionnet" if spatial else backbone.family,
        paper="Attention + ELU" if activation else "EmotionNet" if recipe == "emotionnet" else backbone.paper,
        build=f"fercli.models.{'emotionnet' if spatial else backbone.family}:build",
        arguments=arguments,
        parameters=_parameters()[name],
        input_size=max(SMALL_FACES, backbone.smallest) if activation else backbone.input_size,
        smallest=backbone.smallest,
        smallest_why=backbone.smallest_why,
        mean=backbone.mean,
        std=backbone.std,
        gradcam=prefix + backbone.gradcam,
        recipe="attention-elu" if activation else recipe,
        imagenet=backbone.imagenet,
        imagenet_prefix=prefix,
        rename="fercli.models.emotionnet:rename" if spatial else backbone.rename,
        backbone=tuple(prefix + part for part in backbone.backbone),
        options={"attention_at": PLACES} if spatial else {},
        reduced=backbone.reduced,
        reduced_size=backbone.reduced_size,
    )


@cache
def _parameters() -> dict[str, int]:
    """Return each name's number of parameters for seven classes, as `benchmarks/models.py --count` wrote them."""
    counts: dict[str, int] = json.loads(resources.files("fercli.models").joinpath("parameters.json").read_text("utf-8"))
    return counts
