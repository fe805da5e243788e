"""Inception v3 (Szegedy et al. 2016) from timm's blocks, with attention after each mixed block.

The ResNet50-CBAM paper (section III.D, figure 12) uses it at 299 px and does not say where CBAM goes: here it follows
each mixed block, as it follows each stage in our VGGs. The auxiliary classifier, which the paper describes and which
is only used in training, is omitted. Modules have the names of timm and torchvision, so their weights fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch.nn.functional as F
from timm.layers.conv_bn_act import ConvNormAct
from timm.models.inception_v3 import InceptionA, InceptionB, InceptionC, InceptionD, InceptionE
from torch import Tensor, nn

from fercli.models.activations import activation_layer
from fercli.models.attention import create_attention

MIXED: dict[str, tuple[Any, int]] = {
    "Mixed_5b": (partial(InceptionA, pool_features=32), 256),
    "Mixed_5c": (partial(InceptionA, pool_features=64), 288),
    "Mixed_5d": (partial(InceptionA, pool_features=64), 288),
    "Mixed_6a": (InceptionB, 768),
    "Mixed_6b": (partial(InceptionC, channels_7x7=128), 768),
    "Mixed_6c": (partial(InceptionC, channels_7x7=160), 768),
    "Mixed_6d": (partial(InceptionC, channels_7x7=160), 768),
    "Mixed_6e": (partial(InceptionC, channels_7x7=192), 768),
    "Mixed_7a": (InceptionD, 1280),
    "Mixed_7b": (InceptionE, 2048),
    "Mixed_7c": (InceptionE, 2048),
}
"""The mixed blocks in order, with their output channels."""


class InceptionV3(nn.Module):
    """A stem that reduces 299 px to 35, eleven mixed blocks, global average pooling and a linear layer.

    Args:
        classes: Number of emotions.
        attention: none, se, eca or cbam, after each mixed block.
        activation: relu, elu or selu.
        divisor: Divides all channel counts; at most 16.
        blocks: Names of the mixed blocks to include.
        reduction: Reduction of the attention.
    """

    def __init__(
        self,
        classes: int,
        attention: str = "none",
        activation: str = "relu",
        divisor: int = 1,
        blocks: Sequence[str] = tuple(MIXED),
        reduction: int = 16,
    ) -> None:
        super().__init__()
        norm_and_act: dict[str, Any] = {
            "act_layer": activation_layer(activation),
            "act_kwargs": {"inplace": True},
            "norm_kwargs": {"eps": 1e-3},
        }

        def conv(inputs: int, outputs: int, padding: Any = 0, **shape: Any) -> nn.Module:
            inputs = inputs if inputs == 3 else inputs // divisor
            return ConvNormAct(inputs, outputs // divisor, padding=padding, **shape, **norm_and_act)

        self.Conv2d_1a_3x3 = conv(3, 32, kernel_size=3, stride=2)
        self.Conv2d_2a_3x3 = conv(32, 32, kernel_size=3)
        self.Conv2d_2b_3x3 = conv(32, 64, kernel_size=3, padding=1)
        self.Conv2d_3b_1x1 = conv(64, 80, kernel_size=1)
        self.Conv2d_4a_3x3 = conv(80, 192, kernel_size=3)
        inputs = 192
        self.attention = nn.ModuleDict()
        for name in blocks:
            block, outputs = MIXED[name]
            self.add_module(name, block(inputs, conv_block=conv))
            self.attention[name] = create_attention(attention, outputs // divisor, reduction, bias=True)
            inputs = outputs
        self.head_drop = nn.Dropout(0.0)
        self.fc = nn.Linear(inputs // divisor, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")  # as for the other models

    def forward_features(self, x: Tensor) -> Tensor:
        """Map (B, 3, H, W) to the last map (B, 2048, h, w), 8 x 8 at 299 px."""
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, 2)))
        x = F.max_pool2d(x, 3, 2)
        for name, attention in self.attention.items():
            x = attention(self.get_submodule(name)(x))
        return x

    def forward(self, x: Tensor) -> Tensor:
        """Map faces (B, 3, H, W), at least 75 px, to logits (B, classes)."""
        logits: Tensor = self.fc(self.head_drop(self.forward_features(x).mean((2, 3))))
        return logits


def build(
    classes: int, backbone: str = "inception-v3", attention: str = "none", activation: str = "", **sizes: Any
) -> nn.Module:
    """Build Inception v3, RGB input.

    Args:
        classes: Number of emotions.
        backbone: inception-v3.
        attention: none, se, eca or cbam (reduction 16).
        activation: relu, elu or selu; empty: ReLU.
        sizes: Further arguments of `InceptionV3`.
    """
    if backbone != "inception-v3":
        raise ValueError(f"no backbone {backbone!r}; there is inception-v3")
    return InceptionV3(classes, attention, activation, **sizes)


def rename(state: dict[str, Tensor]) -> dict[str, Tensor] | None:
    """Return torchvision's state_dict without the auxiliary classifier; None if it has none."""
    if not any(name.startswith("AuxLogits.") for name in state):
        return None
    return {name: tensor for name, tensor in state.items() if not name.startswith("AuxLogits.")}
