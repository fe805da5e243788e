"""VGG16 and VGG19 (Simonyan and Zisserman 2015) in the forms of two papers, with attention.

The ResNet50-CBAM paper's form (section III.D, figure 10): 224 px, a flattened map of 7 x 7 x 512, dropout 0.5,
attention before each max-pool, our reading of "added to each model layer" (section I). The Attention + ELU paper's form
(sections 3.1 and 3.4): 80 px, a flattened map of 2 x 2 x 512, no dropout, attention only on the last map, before the
fully connected layers (its method 2). Neither has batch norm; both have two hidden layers of 4096.

Modules have timm's names (features, pre_logits, head), so its ImageNet weights fit, except for the first fully
connected layer of the Attention + ELU paper's form, whose input map is smaller.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fercli.models.activations import activation_layer
from fercli.models.attention import create_attention
from fercli.models.renaming import rename_parts

DEPTHS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
"""3x3 convolutions of each stage."""
HALVINGS = {"none": 0, "se": 1, "eca": 1, "cbam": 2}
"""How often a newly initialised attention halves its input: it multiplies by one sigmoid of about 0, CBAM by two."""


class Vgg(nn.Module):
    """Stages of 3x3 convolutions, each with a max-pool, and three fully connected layers.

    The last map is average-pooled to `grid`, so that any input size fits the fully connected layers; at the paper's
    size this has no effect.

    Args:
        classes: Number of emotions.
        depths: Convolutions of each stage.
        widths: Channels of each stage.
        hidden: Width of the two hidden layers.
        grid: Side of the map that is flattened.
        dropout: Dropout probability after each hidden layer.
        round_up: Pool with ceil_mode, as the Attention + ELU paper's code does, if the map would otherwise be smaller
            than the grid: 48 px then give 2 x 2, as do 80 px without.
        activation: relu, elu or selu.
        stage_attention: none, se, eca or cbam before each max-pool.
        last_attention: The same on the last map, before the fully connected layers.
    """

    def __init__(
        self,
        classes: int,
        depths: Sequence[int] = DEPTHS["vgg16"],
        widths: Sequence[int] = (64, 128, 256, 512, 512),
        hidden: int = 4096,
        grid: int = 7,
        dropout: float = 0.5,
        round_up: bool = False,
        activation: str = "relu",
        stage_attention: str = "none",
        last_attention: str = "none",
    ) -> None:
        super().__init__()
        layer = activation_layer(activation)
        layers: list[nn.Module] = []
        inputs = 3
        for depth, width in zip(depths, widths, strict=True):
            for _ in range(depth):
                layers += [nn.Conv2d(inputs, width, 3, padding=1), layer(inplace=True)]
                inputs = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        # Not within the features, so that their indices match the published weights.
        stages = [create_attention(stage_attention, width, bias=True) for width in widths]
        self.attention = nn.ModuleList([*stages, create_attention(last_attention, inputs, bias=True)])
        self.grid, self.round_up = grid, round_up
        self.pre_logits = nn.Sequential(
            OrderedDict(
                fc1=nn.Linear(inputs * grid**2, hidden),
                act1=layer(inplace=True),
                drop=nn.Dropout(dropout),
                fc2=nn.Linear(hidden, hidden),
                act2=layer(inplace=True),
            )
        )
        last = nn.Linear(hidden, classes)
        nn.init.normal_(last.weight, std=0.01)
        nn.init.zeros_(last.bias)
        self.head = nn.Sequential(OrderedDict(drop=nn.Dropout(dropout), fc=last))
        self._initialise(activation, 2 ** HALVINGS[stage_attention], 2 ** HALVINGS[last_attention])

    def _initialise(self, activation: str, after_stage: int, after_last: int) -> None:
        """Use He initialisation (2015); for SELU LeCun's, which preserves mean and variance (Klambauer et al. 2017).

        Without batch norm, nothing restores the scale after newly initialised attention: five CBAMs would leave a
        thousandth. The weights of the layer after one are therefore scaled by `after_stage` or `after_last`.
        """
        scale = 1
        for layer in (*self.features, *self.pre_logits):
            if isinstance(layer, nn.MaxPool2d):
                scale = after_stage
            if layer is self.pre_logits.fc1:
                scale *= after_last
            if isinstance(layer, nn.Conv2d | nn.Linear):
                if activation == "selu":
                    nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
                else:
                    mode: Literal["fan_out", "fan_in"] = "fan_out" if isinstance(layer, nn.Conv2d) else "fan_in"
                    nn.init.kaiming_normal_(layer.weight, mode=mode, nonlinearity="relu")
                with torch.no_grad():
                    layer.weight.mul_(scale)
                scale = 1
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)

    def forward_features(self, x: Tensor) -> Tensor:
        """Map (B, 3, H, W) to the last map (B, widths[-1], H/32, W/32)."""
        stages = len(self.attention) - 1
        up = self.round_up and min(x.shape[-2:]) < self.grid << stages
        stage = 0
        for layer in self.features:
            if isinstance(layer, nn.MaxPool2d):
                x = F.max_pool2d(self.attention[stage](x), 2, ceil_mode=up)
                stage += 1
            else:
                x = layer(x)
        refined: Tensor = self.attention[stages](x)
        return refined

    def forward(self, x: Tensor) -> Tensor:
        """Map faces (B, 3, H, W), at least 32 px, to logits (B, classes)."""
        x = F.adaptive_avg_pool2d(self.forward_features(x), self.grid)
        logits: Tensor = self.head(self.pre_logits(x.flatten(1)))
        return logits


def build(
    classes: int,
    backbone: str = "vgg16",
    attention: str = "none",
    activation: str = "",
    widths: Sequence[int] = (64, 128, 256, 512, 512),
    depths: Sequence[int] | None = None,
    hidden: int = 4096,
    dropout: float | None = None,
) -> nn.Module:
    """Build a VGG in the ResNet50-CBAM paper's form or, with an activation, in the Attention + ELU paper's.

    Args:
        classes: Number of emotions.
        backbone: vgg16 or vgg19.
        attention: none, se, eca or cbam (reduction 16).
        activation: relu, elu or selu; empty: ReLU, in the ResNet50-CBAM paper's form.
        widths: Channels of each stage.
        depths: Convolutions of each stage; None: the backbone's.
        hidden: Width of the two hidden layers.
        dropout: Dropout probability after each hidden layer; None: that of the paper, 0.5 or 0.
    """
    depths = depths or DEPTHS[backbone]
    if dropout is None:
        dropout = 0.0 if activation else 0.5
    if not activation:
        return Vgg(classes, depths, widths, hidden, dropout=dropout, stage_attention=attention)
    return Vgg(
        classes,
        depths,
        widths,
        hidden,
        grid=2,
        dropout=dropout,
        round_up=True,
        activation=activation,
        last_attention=attention,
    )


_TORCHVISION = {"classifier.0": "pre_logits.fc1", "classifier.3": "pre_logits.fc2", "classifier.6": "head.fc"}


def rename(state: dict[str, Tensor]) -> dict[str, Tensor] | None:
    """Return a state_dict of torchvision's or timm's VGG under our names and shapes; None for any other.

    timm's hidden layers are convolutions over the map: (hidden, C, side, side) becomes (hidden, C * side * side).
    """
    if all(f"{name}.weight" in state for name in _TORCHVISION):
        return rename_parts(state, _TORCHVISION)
    convolved = [f"pre_logits.fc{k}.weight" for k in (1, 2)]
    if not all(name in state and state[name].ndim == 4 for name in convolved):
        return None
    return {**state, **{name: state[name].flatten(1) for name in convolved}}
