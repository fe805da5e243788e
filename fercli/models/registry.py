"""The table of models. It is read without torch, so that `fer models` answers at once.

To add a model: a file of its family with a build function, a `ModelSpec` here, a recipe in fercli/recipes. The common
suite in tests/models/test_registry.py runs over the table.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from fercli.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from torch import nn

GRAY_MEAN, GRAY_STD = (0.5077,), (0.2551,)
"""Pixel mean and standard deviation of FER2013, of values in 0..1."""
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class ModelSpec:
    """One model of the table.

    Attributes:
        name: What `--model` calls it.
        family: The file it stands in.
        paper: Where it comes from.
        build: `module:function`; the function takes `classes` and the options and returns an nn.Module from
            (B, channels, input_size, input_size) floats to (B, classes) logits.
        parameters: Number of parameters for seven classes.
        input_size: Height and width, pixels, that the paper trains at.
        mean: Of each input channel, of values in 0..1; its length is the number of channels.
        std: As `mean`.
        gradcam: Name of the module whose output Grad-CAM explains.
        imagenet: timm's name of the backbone whose ImageNet weights `--weights imagenet` takes; empty: none.
        imagenet_prefix: What the backbone's names begin with in this model.
        options: Allowed values of each of its own options, the default first.
    """

    name: str
    family: str
    paper: str
    build: str
    parameters: int
    input_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    gradcam: str
    imagenet: str = ""
    imagenet_prefix: str = ""
    options: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def channels(self) -> int:
        """1 for grey, 3 for RGB."""
        return len(self.mean)

    def check_options(self, options: dict[str, str]) -> dict[str, str]:
        """Return the model's options with defaults filled in.

        Raises:
            UsageError: an option is not the model's, or its value not allowed.
        """
        for name, value in options.items():
            if name not in self.options:
                raise UsageError(f"model {self.name} has no option '{name.replace('_', '-')}'")
            if value not in self.options[name]:
                raise UsageError(did_you_mean(name.replace("_", "-"), value, list(self.options[name])))
        return {name: options.get(name, allowed[0]) for name, allowed in self.options.items()}


MODELS: tuple[ModelSpec, ...] = (
    ModelSpec(
        name="quick",
        family="quick",
        paper="fercli",
        build="fercli.models.quick:build",
        parameters=619_367,
        input_size=48,
        mean=GRAY_MEAN,
        std=GRAY_STD,
        gradcam="stages",
        options={"attention": ("none", "se", "eca", "cbam")},
    ),
    ModelSpec(
        name="quick-vgg",
        family="quick",
        paper="fercli",
        build="fercli.models.quick:build_vgg",
        parameters=652_983,
        input_size=48,
        mean=GRAY_MEAN,
        std=GRAY_STD,
        gradcam="features",
    ),
    ModelSpec(
        name="resnet18",
        family="resnet",
        paper="EmotionNet (baseline)",
        build="fercli.models.resnet:build_resnet18",
        parameters=11_180_103,
        input_size=224,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        gradcam="layer4",
        imagenet="resnet18",
    ),
    ModelSpec(
        name="emotionnet",
        family="emotionnet",
        paper="EmotionNet",
        build="fercli.models.emotionnet:build",
        parameters=11_180_201,
        input_size=224,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        gradcam="backbone.layer4",
        imagenet="resnet18",
        imagenet_prefix="backbone.",
        options={"attention_at": ("layer1", "stem", "layer2", "layer3", "layer4")},
    ),
    ModelSpec(
        name="resemotenet",
        family="resemotenet",
        paper="ResEmoteNet",
        build="fercli.models.resemotenet:build",
        parameters=80_238_599,
        input_size=64,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        gradcam="se",  # 8 x 8; the blocks behind it bring a face of 64 px down to a single place
    ),
)


def find_model(name: str) -> ModelSpec:
    """Return a model's entry.

    Raises:
        UsageError: there is no such model; the message names near ones.
    """
    by_name = {spec.name: spec for spec in MODELS}
    if name not in by_name:
        raise UsageError(did_you_mean("model", name, list(by_name), "fer models lists all"))
    return by_name[name]


def create_model(name: str, classes: int, **options: Any) -> nn.Module:
    """Build a model with random weights (torch's default generator draws them).

    Args:
        name: A name of the table.
        classes: Number of emotions.
        options: The model's own, such as `attention_at`.

    Returns:
        A module from (B, channels, H, W) floats to (B, classes) logits.
    """
    spec = find_model(name)
    module, function = spec.build.split(":")
    build = getattr(import_module(module), function)
    model: nn.Module = build(classes=classes, **spec.check_options(options))
    return model
