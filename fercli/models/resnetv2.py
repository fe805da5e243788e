"""Pre-activation ResNets (He et al. 2016b), from timm, with attention in each block before the sum.

The Attention + ELU paper uses them (section 3.4). In timm the first block of a stage has the stride; in the paper's
code, as in TensorFlow's, the last one, and its batch norm runs over the rows of the image, not the channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import timm
from timm.layers.classifier import ClassifierHead
from torch import Tensor, nn

from fercli.models.activations import activation_layer
from fercli.models.attention import create_attention


def build(
    classes: int,
    backbone: str = "resnetv2-50",
    attention: str = "none",
    activation: str = "",
    widths: Sequence[int] = (256, 512, 1024, 2048),
    depths: Sequence[int] | None = None,
) -> nn.Module:
    """Build a pre-activation ResNet of bottleneck blocks, RGB input.

    Args:
        classes: Number of emotions.
        backbone: resnetv2-50, resnetv2-101 or resnetv2-152.
        attention: none, se, eca or cbam (reduction 16).
        activation: relu, elu or selu; empty: ReLU.
        widths: Output channels of each stage's blocks; their bottleneck has a quarter.
        depths: Blocks of each stage; None: the backbone's.
    """
    sizes: dict[str, Any] = {"channels": tuple(widths), **({"layers": tuple(depths)} if depths else {})}
    model: nn.Module = timm.create_model(
        backbone.replace("-", "_"),
        num_classes=classes,
        act_layer=activation_layer(activation),
        **sizes,
    )
    if attention != "none":
        stages: Any = model.stages
        for stage in stages:
            for block in stage.blocks:
                # timm's blocks have no attention; replace stochastic depth, unused here, which is right before the sum.
                block.drop_path = create_attention(attention, block.conv3.out_channels, bias=True)
    # timm's last layer is a 1x1 convolution; a linear one is equivalent, and supports the weight analysis.
    model.head = ClassifierHead(int(widths[-1]), classes)
    nn.init.normal_(model.head.fc.weight, std=0.01)
    nn.init.zeros_(model.head.fc.bias)
    return model


def rename(state: dict[str, Tensor]) -> dict[str, Tensor] | None:
    """Return timm's state_dict with its last layer, a 1x1 convolution, as a linear one; None for any other."""
    if "head.fc.weight" not in state or state["head.fc.weight"].ndim != 4:
        return None
    return {**state, "head.fc.weight": state["head.fc.weight"].flatten(1)}
