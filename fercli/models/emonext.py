"""EmoNeXt: a spatial transformer, ConvNeXt with squeeze-and-excitation, and a regulariser by self-attention.

Y. El Boudouri, A. Bohi, "EmoNeXt: an Adapted ConvNeXt for Facial Emotion Recognition", MMSP 2023. What the paper leaves
open (widths of the localisation network, where the attention blocks stand, the regulariser's weight) follows its
authors' public code. Parameters for seven classes: Tiny 30,564,331, Small 52,198,891, Base 91,765,259, Large
204,582,475, XLarge 362,312,331. Inputs lie in 0..1, as theirs do.
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
    """Turns, shifts, scales or shears each face as it thinks best (Jaderberg et al. 2015). It starts as the identity.

    Args:
        places: Side of the localisation network's map; 52 is what faces of 224 px give. Maps of other sides are
            averaged to it.
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
        """Let the last layer give the identity for any face."""
        last = self.regression[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        with torch.no_grad():
            last.bias.copy_(torch.tensor([1.0, 0, 0, 0, 1, 0]))

    def matrices(self, x: Tensor) -> Tensor:
        """Return the affine matrix of each face (B, 3, H, W), (B, 2, 3): from places of the output to the input's."""
        maps = self.localization(x)
        if maps.shape[2:] != (self.places, self.places):
            maps = F.adaptive_avg_pool2d(maps, self.places)
        matrices: Tensor = self.regression(maps.flatten(1))
        return matrices.to(x.dtype).view(-1, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Warp (B, 3, H, W), bilinearly; corners lie at -1 and 1, and what lies outside is black."""
        # The grid is F.affine_grid's, without its matrix product: autocast would round that to half precision, and
        # the places to whole pixels with it.
        across = torch.linspace(-1, 1, x.shape[3], dtype=x.dtype, device=x.device)[:, None]
        down = torch.linspace(-1, 1, x.shape[2], dtype=x.dtype, device=x.device)[:, None, None]
        by_x, by_y, shift = (part[:, None, None] for part in self.matrices(x).unbind(2))  # each (B, 1, 1, 2)
        return F.grid_sample(x, across * by_x + down * by_y + shift, align_corners=True)


class AttentionRegulariser(nn.Module):
    """A loss term: how unevenly the faces of a batch attend to each other.

    Self-attention by dot products runs over the batch's feature vectors, and the term is the variance of its weights.
    As in the authors' code, products are divided by the fourth root of C, and what the attention gives is not used: no
    prediction depends on it, and `value` is kept for their state_dicts alone.

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
        """Return how much each of (B, C) attends to each, (B, B); rows add up to 1."""
        x = self.norm(vectors)
        scores: Tensor = self.query(x) @ self.key(x).T
        return (scores / sqrt(sqrt(vectors.shape[1]))).softmax(1)

    def forward(self, vectors: Tensor) -> Tensor:
        """Return the loss term of (B, C), a scalar."""
        term: Tensor = self.weights(vectors).float().var(correction=0)
        return term


class EmoNeXt(nn.Module):
    """The whole network, RGB input (grey faces repeated to three channels).

    Squeeze-and-excitation (reduction 16) stands at the end of each of the three downsampling layers.

    Args:
        classes: Number of emotions.
        depths: ConvNeXt blocks of each stage.
        widths: Channels of each stage.
        places: As of `SpatialTransformer`.
        drop_path: Probability of leaving out the last block in training; it rises to this from 0 at the first.
        layer_scale: What each block's output is multiplied by at the start, learnt from there on.
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
        """Return the pooled and normalised features (B, C) of faces (B, 3, H, W)."""
        vectors: Tensor = self.backbone.forward_head(self.backbone.forward_features(self.stn(x)), pre_logits=True)
        return vectors

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, classes) of faces (B, 3, H, W)."""
        logits: Tensor = self.backbone.head.fc(self._vectors(x))
        return logits

    def training_forward(self, x: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """Return logits (B, classes) and the loss term to add, a scalar: the regulariser's, at weight 1.

        Args:
            x: Faces (B, 3, H, W).
            targets: Not used: the term is the same for all.
        """
        vectors = self._vectors(x)
        return self.backbone.head.fc(vectors), self.attention(vectors)


def build(classes: int, **sizes: Any) -> nn.Module:
    """Build an EmoNeXt; see the class."""
    return EmoNeXt(classes, **sizes)


_DEEPEST = 27
"""Blocks of the deepest stage of the family."""


def _their_names() -> dict[str, str]:
    """Return what the authors' public code (and ConvNeXt's own) calls the parts, and what we do."""
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
_TIMMS = {part: f"backbone.{part}" for part in ("stem", "stages", "head")}


def rename(state: dict[str, Tensor]) -> dict[str, Tensor] | None:
    """Return a state_dict of the authors' public code, ConvNeXt's own code or timm's ConvNeXt under our names.

    None where it is none of them.
    """
    if "downsample_layers.0.0.weight" in state:
        return rename_parts(state, _THEIRS)
    if "stem.0.weight" in state and "stages.0.blocks.0.conv_dw.weight" in state:
        return rename_parts(state, _TIMMS)
    return None
