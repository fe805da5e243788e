"""ResNets as they are, from timm."""

from __future__ import annotations

import timm
from torch import nn


def build_resnet18(classes: int) -> nn.Module:
    """ResNet-18 (He et al. 2016), RGB input."""
    model: nn.Module = timm.create_model("resnet18", num_classes=classes)
    return model
