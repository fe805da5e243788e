"""Models with composed names, `<backbone>[-<attention>][-<activation>]`. Imported without torch.

Without an activation a model has the form of the ResNet50-CBAM or EmotionNet paper (ReLU; 224 px, Inception 299;
ResNetV2, which neither uses, has the Attention + ELU paper's recipe at that size); with an activation, that of the
Attention + ELU paper (80 px), even for combinations not in that paper. `sa`, spatial attention alone, follows one
stage, as in EmotionNet; the other attentions are in every block or stage or, for the Attention + ELU paper's VGGs,
before the fully connected layers.
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
"""Values of `attention_at` for `sa`, EmotionNet's choice first."""


@dataclass(frozen=True)
class Backbone:
    """Common properties of the models with one backbone; fields as in `ModelSpec`."""

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
    recipes: dict[str, str] = field(default_factory=dict)  # by attention, if not `recipe`


_HALVED = "it halves the side five times, so 32 px leave a map of 1 x 1"
_HALF = (0.5, 0.5, 0.5)
"""Mean and standard deviation of the inputs of timm's ImageNet weights for the families that use it."""
_COMMON: dict[str, dict[str, Any]] = {
    "vgg": {
        "gradcam": "attention.4",  # the input of the last max-pool, after the attention if there is any
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
        "smallest_why": "its last reduction has a 3 x 3 kernel, and a smaller face leaves a map of 2 x 2 there",
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
"""Common properties of the backbones of a family."""
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
    """Return the spec of a model whose name starts with a backbone; None for other names.

    Raises:
        UsageError: what follows the backbone is not an attention and activation, or not possible for it.
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
        raise UsageError(f"model {name}: at most one attention and one activation, as in {backbone.name}-cbam-elu")
    attention, activation = "".join(attentions), "".join(activations)
    ordered = "-".join(filter(None, (backbone.name, attention, activation)))
    if ordered != name:
        raise UsageError(f"no model '{name}'; the attention comes before the activation: {ordered}")
    why = impossible(backbone, attention)
    if why:
        raise UsageError(f"model {name}: {why}")
    return _spec(backbone, attention, activation)


def impossible(backbone: Backbone, attention: str) -> str:
    """Return why a backbone does not support an attention; empty if it does."""
    if attention == "sa" and not backbone.staged:
        return (
            f"sa follows a stage of a residual network, and {backbone.name} has none; "
            f"{backbone.name}-cbam has spatial and channel attention"
        )
    return ""


def combinations() -> list[ModelSpec]:
    """Return the specs of all combinations, by backbone."""
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
    """Return the number of parameters of each model for seven classes, written by `benchmarks/models.py --count`."""
    counts: dict[str, int] = json.loads(resources.files("fercli.models").joinpath("parameters.json").read_text("utf-8"))
    return counts
