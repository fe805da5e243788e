"""DDAMFN: mixed-kernel features, several dual-direction attention heads, and a loss that keeps the heads apart.

Zhang et al. 2023, "A Dual-Direction Attention Mixed Feature Network for Facial Expression Recognition", Electronics 12,
3595. Sizes, and what a head computes, are those of its authors' public code (networks/DDAM.py; an older DDAMNet.py with
one direction per head does not have the reported number of parameters). MixedFeatureNet maps a face of 112 px to
features of 512 x 7 x 7; each head maps these to an attention map of the same shape; the features are multiplied by the
largest of the maps, reduced by a 7 x 7 depthwise convolution, and classified by one linear layer. Faces of other sizes
are resized to 112 px, as the kernels cover the whole map.

The authors start MixedFeatureNet from face recognition (MS-Celeb-1M). These weights are not part of fercli: without
`--weights FILE` it is trained from random weights.

Parameters for seven classes: 4,105,999, the reported 4.11 M. That is 4,006,568 for MixedFeatureNet, 69,728 for the two
heads, 26,112 for the depthwise convolution and 3,591 for the classifier. Layers that the authors' code builds but does
not call are omitted: with them it has 4,187,421.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import reduce
from itertools import combinations
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fercli.models.mixed_feature_net import CoordinateMaps, MixedFeatureNet
from fercli.models.renaming import rename_parts


class LinearDepthwise(nn.Module):
    """Depthwise convolution without padding, and batch norm: MobileFaceNet's linear GDConv, if it covers the map."""

    def __init__(self, channels: int, kernel: tuple[int, int]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, kernel, groups=channels, bias=False)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, H - kernel[0] + 1, W - kernel[1] + 1)."""
        y: Tensor = self.bn(self.conv(x))
        return y


class DualDirectionHead(CoordinateMaps):
    """Coordinate attention whose rows and columns are reduced by learned weights, not averaged; returns the map alone.

    Args:
        channels: C.
        side: Side of the features.
    """

    def __init__(self, channels: int, side: int) -> None:
        super().__init__(channels)
        self.rows = LinearDepthwise(channels, (1, side))
        self.columns = LinearDepthwise(channels, (side, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map features (B, C, S, S) to a map in 0..1 of the same shape."""
        return self.maps(self.rows(x), self.columns(x))


def attention_loss(maps: Sequence[Tensor]) -> Tensor:
    """Return the inverse of the mean squared difference of two maps, averaged over all pairs: small if they differ.

    Args:
        maps: At least two, each (B, C, S, S).
    """
    pairs = [F.mse_loss(a.float(), b.float()) for a, b in combinations(maps, 2)]
    return 1 / (torch.stack(pairs).mean() + sys.float_info.epsilon)  # finite for equal maps


class DDAMFN(nn.Module):
    """The whole network, RGB input (grey faces repeated to three channels).

    Args:
        classes: Number of emotions.
        side: Side that faces are resized to, pixels; a multiple of 16.
        widths: See `MixedFeatureNet`.
        depths: See `MixedFeatureNet`.
        heads: Number of attention heads.
        attention_weight: Weight of the attention loss.
    """

    def __init__(
        self,
        classes: int,
        side: int = 112,
        widths: Sequence[int] = (64, 128, 256),
        depths: Sequence[int] = (9, 16, 6),
        heads: int = 2,
        attention_weight: float = 0.1,
    ) -> None:
        super().__init__()
        channels, cells = 2 * widths[2], side // 16
        self.side, self.attention_weight = side, attention_weight
        self.features = MixedFeatureNet(widths, depths)
        self.heads = nn.ModuleList(DualDirectionHead(channels, cells) for _ in range(heads))
        self.pool = LinearDepthwise(channels, (cells, cells))
        self.classifier = nn.Linear(channels, classes)

    def attend(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the logits (B, classes) of faces (B, 3, H, W), and the maps of the heads, each like the features."""
        if x.shape[2:] != (self.side, self.side):
            x = F.interpolate(x, (self.side, self.side), mode="bilinear", align_corners=False)
        x = self.features(x)
        maps = [head(x) for head in self.heads]
        logits: Tensor = self.classifier(self.pool(x * reduce(torch.maximum, maps)).flatten(1))
        return logits, maps

    def forward(self, x: Tensor) -> Tensor:
        """Map faces (B, 3, H, W) to logits (B, classes)."""
        return self.attend(x)[0]

    def training_forward(self, x: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """Return logits (B, classes) and the weighted attention loss to add, a scalar; 0 for a single head.

        Args:
            x: Faces (B, 3, H, W).
            targets: Not used.
        """
        logits, maps = self.attend(x)
        if len(maps) < 2:
            return logits, logits.new_zeros(())
        return logits, self.attention_weight * attention_loss(maps)


def build(classes: int, **sizes: Any) -> nn.Module:
    """Build DDAMFN; see the class."""
    return DDAMFN(classes, **sizes)


_PARTS = ("conv1", "conv2_dw", "conv_23", "conv_3", "conv_34", "conv_4", "conv_45", "conv_5", "conv_6_sep")
_THEIRS = {"Linear": "pool", "fc": "classifier"}
for _index, _part in enumerate(_PARTS):
    _THEIRS |= {_part: f"features.{_part}", f"features.{_index}": f"features.{_part}"}
for _head in range(8):
    _THEIRS |= {
        f"cat_head{_head}.CoordAtt": f"heads.{_head}",
        f"cat_head{_head}.CoordAtt.Linear_h": f"heads.{_head}.rows",
        f"cat_head{_head}.CoordAtt.Linear_w": f"heads.{_head}.columns",
    }


def rename(state: dict[str, Tensor]) -> dict[str, Tensor] | None:
    """Return a state_dict of the authors' code under our names; None if it is not one.

    It is that of the whole network, or of MixedFeatureNet alone. (Their file of the latter is a pickled module, which
    fercli does not load: save its `state_dict`.)
    """
    renamed = {
        name.replace(".mixed_depthwise_conv.", ".").replace(".CA.", ".attention."): tensor
        for name, tensor in rename_parts(state, _THEIRS).items()
    }
    return None if renamed.keys() == state.keys() else renamed
