"""Residual Masking Network: a ResNet-34 in which each stage is followed by a small U-Net that masks its features.

L. Pham, T. H. Vu, T. A. Tran, "Facial Expression Recognition Using Residual Masking Network", ICPR 2020. Widths, norms
and the classifier's dropout are those of its authors' public code (`resmasking_dropout1`): 137,796,423 parameters for
seven classes; the paper states 142.9 million. Inputs are in 0..1, as in that code.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import timm
import torch
from timm.models.resnet import BasicBlock, downsample_conv
from torch import Tensor, nn

from fercli.models.renaming import rename_parts

MASK_DEPTHS = (4, 3, 2, 1)
"""Number of resolutions of the U-Net after each of the four stages."""


def _residual(inputs: int, outputs: int) -> nn.Module:
    return BasicBlock(inputs, outputs, downsample=downsample_conv(inputs, outputs, kernel_size=1))


class _Up(nn.Module):
    """Transposed convolution that doubles the side, with batch norm and ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(inputs, outputs, 2, stride=2)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Upsample (B, inputs, h, w) to the size of `skip`, (B, outputs, H, W), and concatenate the two."""
        y = torch.relu(self.bn(self.conv(x)))
        return torch.cat([y[:, :, : skip.shape[2], : skip.shape[3]], skip], 1)


class MaskingBlock(nn.Module):
    """Scales features by a mask that a U-Net of residual blocks computes from them.

    In the encoder each block doubles the channels, with 2x2 max-pooling in between; in the decoder a transposed
    convolution halves them, the skip features are concatenated, and a block halves the channels again. Maps with odd
    sides, which do not occur at the paper's 224 px, are pooled with ceil_mode and cropped in the decoder.

    Args:
        channels: C.
        depth: Number of resolutions.
    """

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        widths = [channels * 2**k for k in range(depth + 1)]
        self.down = nn.ModuleList(_residual(widths[k], widths[k + 1]) for k in range(depth))
        self.pool = nn.MaxPool2d(2, ceil_mode=True)
        self.up = nn.ModuleList(_Up(widths[k + 1], widths[k]) for k in range(depth - 1, 0, -1))
        self.merge = nn.ModuleList(_residual(widths[k + 1], widths[k]) for k in range(depth - 1, -1, -1))
        self._initialise()

    def _initialise(self) -> None:
        """Initialise as the authors do: He for convolutions, and zero for the last norm of each residual branch."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, BasicBlock):
                module.zero_init_last()

    def mask(self, x: Tensor) -> Tensor:
        """Return the mask of (B, C, H, W), in the same shape; it adds up to 1 over the channels."""
        skips: list[Tensor] = []
        for block in self.down:
            x = block(self.pool(skips[-1]) if skips else x)
            skips.append(x)
        skips.pop()
        for up, block in zip(self.up, self.merge, strict=False):  # the last block has no skip features
            x = block(up(x, skips.pop()))
        mask: Tensor = self.merge[-1](x).softmax(1)
        return mask

    def forward(self, x: Tensor) -> Tensor:
        """Scale (B, C, H, W) by 1 + mask, so that masked features are kept."""
        return x * (1 + self.mask(x))


class ResidualMaskingNetwork(nn.Module):
    """The whole network, RGB input (grey faces repeated to three channels).

    Args:
        classes: Number of emotions.
        layers: Residual blocks of each stage of the backbone.
        channels: Channels of each stage.
        dropout: Dropout probability before the classifier.
    """

    def __init__(
        self,
        classes: int,
        layers: Sequence[int] = (3, 4, 6, 3),
        channels: Sequence[int] = (64, 128, 256, 512),
        dropout: float = 0.4,
    ) -> None:
        super().__init__()
        self.backbone = timm.create_model(
            "resnet34", num_classes=classes, layers=tuple(layers), channels=tuple(channels), zero_init_last=False
        )
        self.masks = nn.ModuleList(MaskingBlock(c, d) for c, d in zip(channels, MASK_DEPTHS, strict=True))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map faces (B, 3, H, W) to logits (B, classes)."""
        net: Any = self.backbone  # timm's ResNet
        x = net.maxpool(net.act1(net.bn1(net.conv1(x))))
        for stage, mask in zip((net.layer1, net.layer2, net.layer3, net.layer4), self.masks, strict=True):
            x = mask(stage(x))
        logits: Tensor = net.fc(self.dropout(net.global_pool(x)))
        return logits


def build(classes: int, **sizes: Any) -> nn.Module:
    """Build a Residual Masking Network; see the class."""
    return ResidualMaskingNetwork(classes, **sizes)


def _their_names() -> dict[str, str]:
    """Return the names of the parts in the authors' public code, mapped to ours; the ResNet's are torchvision's."""
    names = {part: f"backbone.{part}" for part in ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "fc")}
    names["fc.1"] = "backbone.fc"  # after their dropout
    for stage, depth in enumerate(MASK_DEPTHS):
        theirs, ours = f"mask{stage + 1}", f"masks.{stage}"
        for k in range(2 * depth):
            block = f"{ours}.down.{k}" if k < depth else f"{ours}.merge.{k - depth}"
            names[f"{theirs}.conv{k + 1}"] = block
            names[f"{theirs}.downsample{k + 1}"] = f"{block}.downsample"  # the same module, shared in their code
        for k in range(depth - 1):
            names[f"{theirs}.up_pool{depth + 1 + k}.0"] = f"{ours}.up.{k}.conv"
            names[f"{theirs}.up_pool{depth + 1 + k}.1"] = f"{ours}.up.{k}.bn"
    return names


_THEIRS = _their_names()


def rename(state: dict[str, Tensor]) -> dict[str, Tensor] | None:
    """Return a state_dict of the authors' public code or torchvision's ResNet-34 under our names; None for others."""
    if "layer1.0.conv1.weight" not in state:
        return None
    return rename_parts(state, _THEIRS)
