"""EmoNeXt: a spatial transformer, ConvNeXt with squeeze-and-excitation, and a self-attention regulariser.

Y. El Boudouri, A. Bohi, "EmoNeXt: an Adapted ConvNeXt for Facial Emotion Recognition", MMSP 2023. Where the paper is
silent (widths of the localisation network, position of the attention blocks, weight of the regulariser), this follows
its authors' public code. Parameters for seven classes: Tiny 30,564,331, Small 52,198,891, Base 91,765,259, Large
204,582,475, XLarge 362,312,331. Inputs are in 0..1, as in that code.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Any

import torch
import torch.nn.functional as F
from timm.models.convnext import ConvNeXt
from torch import Tensor, nn

from fercli.models.attention import SqueezeExcitation
from fercli.models.renaming import rename_parts


class SpatialTransformer(nn.Module):
    """Applies a learned affine transform to each face (Jaderberg et al. 2015), initialised as the identity.

    Args:
        places: Side of the localisation network's output map; 52 for faces of 224 px. Other sizes are average-pooled
            to it.
    """

    def __init__(self, places: int = 52) -> None:
        super().__init__()
        self.places = places
        self.localization = nn.Sequential(
            nn.Conv2d(3, 8, 7),
            nn.BatchNorm2d(8),
            nn.MaxPool2d(2),
            nn.ReLU(inplace=True),
            nn.Conv2d(8, 10, 5),
            nn.BatchNorm2d(10),
            nn.MaxPool2d(2),
            nn.ReLU(inplace=True),
        )
        self.regression = nn.Sequential(nn.Linear(10 * places**2, 32), nn.ReLU(inplace=True), nn.Linear(32, 6))

    def initialise(self) -> None:
        """Initialise the last layer to return the identity for every face."""
        last = self.regression[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        with torch.no_grad():
            last.bias.copy_(torch.tensor([1.0, 0, 0, 0, 1, 0]))

    def matrices(self, x: Tensor) -> Tensor:
        """Return the affine matrices (B, 2, 3), from output to input coordinates, of faces (B, 3, H, W)."""
        maps = self.localization(x)
        if maps.shape[2:] != (self.places, self.places):
            maps = F.adaptive_avg_pool2d(maps, self.places)
        matrices: Tensor = self.regression(maps.flatten(1))
        return matrices.to(x.dtype).view(-1, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Warp faces (B, 3, H, W) bilinearly, with corners at -1 and 1 and zero padding."""
        # The grid of F.affine_grid, without its matrix product: autocast would round that to half precision, and
        # so the coordinates to whole pixels.
        across = torch.linspace(-1, 1, x.shape[3], dtype=x.dtype, device=x.device)[:, None]
        down = torch.linspace(-1, 1, x.shape[2], dtype=x.dtype, device=x.device)[:, None, None]
        by_x, by_y, shift = (part[:, None, None] for part in self.matrices(x).unbind(2))  # each (B, 1, 1, 2)
        return F.grid_sample(x, across * by_x + down * by_y + shift, align_corners=True)


class AttentionRegulariser(nn.Module):
    """A loss term: the variance of the attention weights between the faces of a batch.

    Dot-product self-attention runs over the feature vectors of the batch. As in the authors' code, the products are
    divided by the fourth root of C, and the attention's output is not used: no prediction depends on it, and `value`
    only exists for compatibility with their state_dicts.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.query = nn.Linear(channels, channels)
        self.key = nn.Linear(channels, channels)
        self.value = nn.Linear(channels, channels)

    def weights(self, vectors: Tensor) -> Tensor:
        """Return the attention weights (B, B) of vectors (B, C); rows add up to 1."""
        x = self.norm(vectors)
        scores: Tensor = self.query(x) @ self.key(x).T
        return (scores / sqrt(sqrt(vectors.shape[1]))).softmax(1)

    def forward(self, vectors: Tensor) -> Tensor:
        """Return the loss term of vectors (B, C), a scalar."""
        term: Tensor = self.weights(vectors).float().var(correction=0)
        return term


class EmoNeXt(nn.Module):
    """The whole network, RGB input (grey faces repeated to three channels).

    Each of the three downsampling layers ends with squeeze-and-excitation (reduction 16).

    Args:
        classes: Number of emotions.
        depths: ConvNeXt blocks of each stage.
        widths: Channels of each stage.
        places: See `SpatialTransformer`.
        drop_path: Drop path probability of the last block; it increases linearly from 0 at the first.
        layer_scale: Initial value of the learned scale of each block's output.
    """

    def __init__(
        self,
        classes: int,
        depths: Sequence[int] = (3, 3, 9, 3),
        widths: Sequence[int] = (96, 192, 384, 768),
        places: int = 52,
        drop_path: float = 0.1,
        layer_scale: float = 1e-6,
    ) -> None:
        super().__init__()
        self.stn = SpatialTransformer(places)
        self.backbone = ConvNeXt(
            num_classes=classes,
            depths=tuple(depths),
            dims=tuple(widths),
            drop_path_rate=drop_path,
            ls_init_value=layer_scale,
        )
        stages: Any = self.backbone.stages
        for stage, channels in zip(stages[1:], widths[1:], strict=True):
            stage.downsample.append(SqueezeExcitation(channels))
        self.attention = AttentionRegulariser(widths[-1])
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        self.stn.initialise()

    def _vectors(self, x: Tensor) -> Tensor:
        """Map faces (B, 3, H, W) to pooled and normalised features (B, C)."""
        vectors: Tensor = self.backbone.forward_head(self.backbone.forward_features(self.stn(x)), pre_logits=True)
        return vectors

    def forward(self, x: Tensor) -> Tensor:
        """Map faces (B, 3, H, W) to logits (B, classes)."""
        logits: Tensor = self.backbone.head.fc(self._vectors(x))
        return logits

    def training_forward(self, x: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """Return logits (B, classes) and the regulariser's loss term to add, a scalar, with weight 1.

        Args:
            x: Faces (B, 3, H, W).
            targets: Not used.
        """
        vectors = self._vectors(x)
        return self.backbone.head.fc(vectors), self.attention(vectors)


def build(classes: int, **sizes: Any) -> nn.Module:
    """Build an EmoNeXt; see the class."""
    return EmoNeXt(classes, **sizes)


_DEEPEST = 27
"""Blocks of the deepest stage in the family."""


def _their_names() -> dict[str, str]:
    """Return the names of the parts in the authors' public code (and ConvNeXt's), mapped to ours."""
    names = {
        "localization": "stn.localization",
        "fc_loc": "stn.regression",
        "norm": "backbone.head.norm",
        "head": "backbone.head.fc",
        "downsample_layers.0": "backbone.stem",
    }
    for stage in range(4):
        for block in range(_DEEPEST):
            theirs, ours = f"stages.{stage}.{block}", f"backbone.stages.{stage}.blocks.{block}"
            parts = {"dwconv": "conv_dw", "pwconv1": "mlp.fc1", "pwconv2": "mlp.fc2"}
            names |= {theirs: ours, **{f"{theirs}.{a}": f"{ours}.{b}" for a, b in parts.items()}}
    for stage in range(1, 4):
        theirs, ours = f"downsample_layers.{stage}", f"backbone.stages.{stage}.downsample"
        names |= {theirs: ours, f"{theirs}.2.fc.0": f"{ours}.2.reduce", f"{theirs}.2.fc.2": f"{ours}.2.expand"}
    return names


_THEIRS = _their_names()
_TIMM = {part: f"backbone.{part}" for part in ("stem", "stages", "head")}


def rename(state: dict[str, Tensor]) -> dict[str, Tensor] | None:
    """Return a state_dict of the authors' public code, ConvNeXt's code or timm's ConvNeXt under our names.

    None for any other.
    """
    if "downsample_layers.0.0.weight" in state:
        return rename_parts(state, _THEIRS)
    if "stem.0.weight" in state and "stages.0.blocks.0.conv_dw.weight" in state:
        return rename_parts(state, _TIMM)
    return None
