"""EmotionNet: a ResNet with CBAM's spatial attention after one of its parts (EmotionNet paper, section 3).

EmotionNet itself is a ResNet-18; the paper's baseline `resnet50-sa` is a ResNet-50 with the same attention.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from fercli.models import resnet, resnetv2
from fercli.models.attention import SpatialAttention


class EmotionNet(nn.Module):
    """A ResNet with spatial attention after one of its parts (section 3.2).

    Args:
        classes: Number of emotions.
        attention_at: stem (after the max-pool) or a stage, layer1 to layer4; layer1 is the paper's choice.
        backbone: A backbone of `fercli.models.resnet` or `fercli.models.resnetv2`.
        activation: relu, elu or selu; empty: ReLU.
        sizes: Sizes of the backbone, such as widths and depths.
    """

    def __init__(
        self,
        classes: int,
        attention_at: str = "layer1",
        backbone: str = "resnet18",
        activation: str = "",
        **sizes: Any,
    ) -> None:
        super().__init__()
        self.preactivated = backbone.startswith("resnetv2")
        family = resnetv2 if self.preactivated else resnet
        self.backbone = family.build(classes, backbone, activation=activation, **sizes)
        self.attention = SpatialAttention()
        self.attention_at = attention_at

    def forward(self, x: Tensor) -> Tensor:
        """Map faces (B, 3, H, W) to logits (B, classes)."""
        net: Any = self.backbone  # timm's ResNet or ResNetV2
        if self.preactivated:
            x, stages = net.stem(x), net.stages
        else:
            x = net.maxpool(net.act1(net.bn1(net.conv1(x))))
            stages = (net.layer1, net.layer2, net.layer3, net.layer4)
        if self.attention_at == "stem":
            x = self.attention(x)
        for number, stage in enumerate(stages, 1):
            x = stage(x)
            if self.attention_at == f"layer{number}":
                x = self.attention(x)
        logits: Tensor = net.forward_head(net.norm(x) if self.preactivated else x)
        return logits


def build(
    classes: int, backbone: str = "resnet18", activation: str = "", attention_at: str = "layer1", **sizes: Any
) -> nn.Module:
    """Build EmotionNet, or another ResNet with spatial attention; see the class."""
    return EmotionNet(classes, attention_at, backbone, activation, **sizes)


def rename(state: dict[str, Tensor]) -> dict[str, Tensor] | None:
    """Return a plain ResNet's state_dict with the prefix `backbone.`; None for any other."""
    if "conv1.weight" not in state and "stem.conv.weight" not in state:
        return None
    return {f"backbone.{name}": tensor for name, tensor in (resnetv2.rename(state) or state).items()}
