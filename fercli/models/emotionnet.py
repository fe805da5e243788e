"""EmotionNet: ResNet-18 with CBAM's spatial attention at one place (EmotionNet paper, section 3)."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from fercli.models.attention import SpatialAttention
from fercli.models.resnet import build_resnet18


class EmotionNet(nn.Module):
    """ResNet-18 whose feature map is weighed by spatial attention after one of its parts (section 3.2).

    Args:
        classes: Number of emotions.
        attention_at: stem (behind the max-pool) or layer1 to layer4; layer1 is the paper's choice.
    """

    def __init__(self, classes: int, attention_at: str = "layer1") -> None:
        super().__init__()
        self.backbone = build_resnet18(classes)
        self.attention = SpatialAttention()
        self.attention_at = attention_at

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, classes) of faces (B, 3, H, W)."""
        net: Any = self.backbone  # timm's ResNet
        x = net.maxpool(net.act1(net.bn1(net.conv1(x))))
        if self.attention_at == "stem":
            x = self.attention(x)
        for name in ("layer1", "layer2", "layer3", "layer4"):
            x = getattr(net, name)(x)
            if self.attention_at == name:
                x = self.attention(x)
        logits: Tensor = net.forward_head(x)
        return logits


def build(classes: int, attention_at: str = "layer1") -> nn.Module:
    """Build EmotionNet; see the class."""
    return EmotionNet(classes, attention_at)
