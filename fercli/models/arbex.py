"""ARBEx: landmark and image features fused by window cross-attention, a transformer, and reliability balancing.

Wasi et al. 2023. Where the paper is silent, this follows its authors' public code, whose feature extraction is POSTER
V2's (Mao et al. 2023). Faces are resized to 112 px, so any input size works; IR-50 and a landmark network return maps
of 28 x 28, 14 x 14 and 7 x 7, which are fused at each scale; 147 tokens and a class token go through two transformer
blocks; the gated class token is the embedding (768) that the classifier and the balancing use.

The authors freeze IR-50 and the landmark network at weights from face recognition and landmark detection. These are not
part of fercli: without `--weights FILE` both are trained from random weights like the rest; with it, `--freeze
backbone` freezes both. The file contains the weights of either or both (as a checkpoint of POSTER V2 does), under the
names of POSTER V2, of the authors or, for IR-50, of face.evoLVe; if it contains only one of them, omit `--freeze`,
which would freeze the other at random weights.

Differences from the authors' code: the balancing attends to the image's own tokens, not across the batch, so that a
prediction does not depend on the other images; anchors are initialised at random, not with zeros; and evaluation
balances as training does, whereas theirs by default uses the classifier's distribution alone.

Parameters for seven classes: 44,208,227. That is 17,611,968 for IR-50, 911,232 for the landmark network and 1,179,904
for the convolution after it, 1,737,358 for the fusion, 6,835,200 for the tokens, 15,472,896 for the transformer,
389,767 for the classifier and 69,902 for the balancing. (POSTER V2, with a one-layer classifier and without balancing,
has 43.7 M.) Layers that the authors' code builds but never calls are omitted.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from fercli.models.ir50 import IR50
from fercli.models.landmark_net import LandmarkNet
from fercli.models.reliability import ReliabilityBalancing
from fercli.models.renaming import rename_parts
from fercli.models.window_attention import LandmarkFusion

DROP_PATH = (0.0, 0.125, 0.25)
"""Drop path probability of the fusion at each scale."""


class Gate(nn.Module):
    """Squeeze-and-excitation of a vector without a bottleneck: x sigmoid(W2 relu(W1 x))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(channels, channels)
        self.linear2 = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Scale each value of (B, C) by a weight in 0..1."""
        return x * torch.sigmoid(self.linear2(torch.relu(self.linear1(x))))


class TokenTransformer(nn.Module):
    """Prepends a class token, adds learned positions, applies transformer blocks and a norm, and gates the class token.

    Args:
        channels: C.
        tokens: N.
        depth: Number of blocks.
        heads: Attention heads of each block.
    """

    def __init__(self, channels: int, tokens: int, depth: int, heads: int) -> None:
        super().__init__()
        norm = partial(nn.LayerNorm, eps=1e-6)
        self.cls_token = nn.Parameter(torch.empty(1, 1, channels))
        self.pos_embed = nn.Parameter(torch.empty(1, tokens + 1, channels))
        self.blocks = nn.Sequential(
            *(Block(channels, heads, qkv_bias=True, norm_layer=norm) for _ in range(depth))  # type: ignore[arg-type]
        )
        self.norm = norm(channels)
        self.gate = Gate(channels)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)
        nn.init.trunc_normal_(self.cls_token, std=0.02)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Map tokens (B, N, C) to the embedding (B, C) and all tokens (B, N + 1, C), the class token first."""
        x = torch.cat([self.cls_token.expand(tokens.shape[0], -1, -1), tokens], 1) + self.pos_embed
        x = self.norm(self.blocks(x))
        return self.gate(x[:, 0]), x


class ARBEx(nn.Module):
    """The whole network, RGB input (grey faces repeated to three channels).

    Args:
        classes: Number of emotions.
        side: Side that faces are resized to, pixels; a multiple of 16. (Nearest neighbour, as in the authors' code.)
        widths: Channels at the three scales.
        depths: Units of IR-50's stages.
        landmark_depths: Residual blocks of the landmark network at each scale.
        channels: Channels of tokens and embedding.
        blocks: Transformer blocks.
        hidden: Widths of the classifier's hidden layers.
        anchors: Anchors per class. The default of the authors' class is 10; their training script uses 1.
        trust_steps: See `ReliabilityBalancing`.
    """

    def __init__(
        self,
        classes: int,
        side: int = 112,
        widths: Sequence[int] = (64, 128, 256),
        depths: Sequence[int] = (3, 4, 14),
        landmark_depths: Sequence[int] = (4, 6, 2),
        channels: int = 768,
        blocks: int = 2,
        hidden: Sequence[int] = (384, 192, 96),
        anchors: int = 10,
        trust_steps: int = 10_000,
    ) -> None:
        super().__init__()
        first, second, third = widths
        self.side = side
        self.image = IR50(widths, depths)
        self.landmarks = LandmarkNet(widths, landmark_depths)
        self.landmarks_reduce = nn.Conv2d(2 * third, third, 3, padding=1)
        self.fusion = nn.ModuleList(
            LandmarkFusion(width, heads, side // shrink, drop)
            for width, heads, shrink, drop in zip(widths, (2, 4, 8), (4, 8, 16), DROP_PATH, strict=True)
        )
        halve = partial(nn.Conv2d, kernel_size=3, stride=2, padding=1)
        self.embed = nn.ModuleList(
            [
                nn.Sequential(halve(first, channels), halve(channels, channels)),
                halve(second, channels),
                nn.Conv2d(third, channels, 1),
            ]
        )
        self.transformer = TokenTransformer(channels, 3 * (side // 16) ** 2, blocks, heads=8)
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise((channels, *hidden)):
            layers += [nn.Linear(inputs, outputs), nn.ReLU(inplace=True), nn.BatchNorm1d(outputs), nn.Dropout(0.5)]
        self.classifier = nn.Sequential(*layers, nn.Linear(hidden[-1], classes))
        self.balancing = ReliabilityBalancing(channels, classes, anchors, trust_steps)

    def features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the embedding (B, C) and the tokens (B, N + 1, C) of faces (B, 3, H, W)."""
        x = F.interpolate(x, size=(self.side, self.side))
        fine, middle, coarse = self.landmarks(x)
        queries = (fine, middle, self.landmarks_reduce(coarse))
        fused = [fuse(image, query) for fuse, image, query in zip(self.fusion, self.image(x), queries, strict=True)]
        tokens = [embed(part).flatten(2).transpose(1, 2) for embed, part in zip(self.embed, fused, strict=True)]
        embedding_and_tokens: tuple[Tensor, Tensor] = self.transformer(torch.cat(tokens, 1))
        return embedding_and_tokens

    def forward(self, x: Tensor) -> Tensor:
        """Map faces (B, 3, H, W) to logits (B, classes): the logarithm of the balanced distribution."""
        embedding, tokens = self.features(x)
        logits: Tensor = self.balancing(self.classifier(embedding), embedding, tokens)
        return logits

    def training_forward(self, x: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (B, classes) and the spread and center losses to add, a scalar; count a step for the trust.

        Args:
            x: Faces (B, 3, H, W).
            targets: int64 (B,), or soft float (B, classes).
        """
        embedding, tokens = self.features(x)
        return self.balancing.training_forward(self.classifier(embedding), embedding, tokens, targets)


def build(classes: int, **sizes: Any) -> nn.Module:
    """Build ARBEx; see the class."""
    return ARBEx(classes, **sizes)


_UNITS = (3, 4, 14)
_CONV, _INVERTED = ("conv", "bn", "prelu"), ("conv", "conv_dw", "project")
_PATHS = (("conv1", "conv2_dw", "conv_23", "conv_3"), ("conv_34", "conv_4"), ("conv_45", "conv_5", "conv_6_sep"))
"""Parts of the landmark network, grouped into paths as in the authors' code."""


def _image_names(prefix: str) -> dict[str, str]:
    """Return the names of IR-50's parts in other code, mapped to ours."""
    names = {f"{prefix}input_layer": "image.input_layer"}
    for stage, units in enumerate(_UNITS, 1):
        for unit in range(units):
            ours = f"image.body{stage}.{unit}"
            names[f"{prefix}body{stage}.{unit}"] = ours  # POSTER V2
            names[f"{prefix}body.{sum(_UNITS[: stage - 1]) + unit}"] = ours  # face.evoLVe
            for theirs, part in (("res", "res_layer"), ("shortcut", "shortcut_layer")):
                names[f"{prefix}net_{stage}.net.{unit}.{theirs}"] = f"{ours}.{part}"
    return names


def _landmark_names(prefix: str) -> dict[str, str]:
    """Return the names of the landmark network's parts in other code, mapped to ours."""
    names: dict[str, str] = {}

    def conv(theirs: str, ours: str) -> None:
        for k, part in enumerate(_CONV):
            names[f"{prefix}{ours}.{part}"] = f"landmarks.{ours}.{part}"  # POSTER V2
            names[f"{prefix}{theirs}.net.{k}"] = f"landmarks.{ours}.{part}"

    def inverted(theirs: str, ours: str) -> None:
        for k, part in enumerate(_INVERTED):
            conv(f"{theirs}.net.{k}", f"{ours}.{part}")

    for path, parts in enumerate(_PATHS, 1):
        for index, part in enumerate(parts):
            theirs = f"path_{path}.{index}"
            if part in ("conv1", "conv2_dw", "conv_6_sep"):
                conv(theirs, part)
            elif part in ("conv_23", "conv_34", "conv_45"):
                inverted(theirs, part)
            else:
                for block in range(6):
                    inverted(f"{theirs}.net.{block}", f"{part}.model.{block}")
    return names


_THEIRS: dict[str, str] = {}
for _image, _landmarks in (("", ""), ("ir_back.", "face_landback."), ("ir.", "landmark.")):
    _THEIRS |= _image_names(_image) | _landmark_names(_landmarks)


def rename(state: dict[str, Tensor]) -> dict[str, Tensor] | None:
    """Return a state_dict with the weights of IR-50, the landmark network or both under our names; None if it has none.

    They come alone, or in a checkpoint of POSTER V2 or of the authors' code, whose other parts are not used.
    """
    renamed = rename_parts(state, _THEIRS)
    return None if renamed.keys() == state.keys() else renamed
