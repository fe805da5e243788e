"""POSTER V2 (POSTER++): image features that attend to landmark features at three scales, and a small transformer.

Mao et al. 2023, "POSTER++: A simpler and stronger facial expression recognition network", section 3; where the paper
gives no sizes, this follows its authors' public code. Faces are resized to 112 px, so any input size works; IR-50 and a
landmark network return maps of 28 x 28, 14 x 14 and 7 x 7 (after a strided convolution of IR-50's), fused at each scale
by window cross-attention; 147 tokens and a class token go through two transformer blocks; the gated class token is the
embedding (768) that one linear layer classifies. ARBEx uses all of it but the last layer.

The authors start IR-50 from face recognition and the landmark network from landmark detection, train the first and
freeze the second. These weights are not part of fercli: without `--weights FILE` both are trained from random weights
like the rest; with it, `--freeze backbone` freezes the landmark network (also the statistics of its batch norms, which
the authors' training keeps updating).

Parameters for seven classes: 43,753,941. That is 17,611,968 for IR-50, 911,232 for the landmark network and 1,179,904
for the convolution after it, 1,737,358 for the fusion, 6,835,200 for the tokens, 15,472,896 for the transformer and
5,383 for the classifier. The paper's 43.7 M are of a profiler that counts the layers that are called: without the
125,646 parameters outside of layers (class token, positions, position biases, scales) and with the 96,016 of the
landmark network's output, which is computed but not used, 43,724,311. Layers whose output is not used are omitted here.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from fercli.models.ir50 import IR50
from fercli.models.landmark_net import LandmarkNet
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


class PosterFeatures(nn.Module):
    """Everything before the classifier, RGB input (grey faces repeated to three channels).

    Args:
        side: Side that faces are resized to, pixels; a multiple of 16. (Nearest neighbour, as in the authors' code.)
        widths: Channels at the three scales.
        depths: Units of IR-50's stages.
        landmark_depths: Residual blocks of the landmark network at each scale.
        channels: C, channels of tokens and embedding.
        blocks: Transformer blocks.
    """

    def __init__(
        self,
        side: int = 112,
        widths: Sequence[int] = (64, 128, 256),
        depths: Sequence[int] = (3, 4, 14),
        landmark_depths: Sequence[int] = (4, 6, 2),
        channels: int = 768,
        blocks: int = 2,
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

    def features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the embedding (B, C) and the tokens (B, N + 1, C) of faces (B, 3, H, W)."""
        x = F.interpolate(x, size=(self.side, self.side))
        fine, middle, coarse = self.landmarks(x)
        queries = (fine, middle, self.landmarks_reduce(coarse))
        fused = [fuse(image, query) for fuse, image, query in zip(self.fusion, self.image(x), queries, strict=True)]
        tokens = [embed(part).flatten(2).transpose(1, 2) for embed, part in zip(self.embed, fused, strict=True)]
        embedding_and_tokens: tuple[Tensor, Tensor] = self.transformer(torch.cat(tokens, 1))
        return embedding_and_tokens


class PosterV2(PosterFeatures):
    """The whole network: the features and a linear classifier.

    Args:
        classes: Number of emotions.
        channels: Channels of tokens and embedding.
        **sizes: See `PosterFeatures`.
    """

    def __init__(self, classes: int, channels: int = 768, **sizes: Any) -> None:
        super().__init__(channels=channels, **sizes)
        self.classifier = nn.Linear(channels, classes)
        nn.init.trunc_normal_(self.classifier.weight, std=0.01)  # like the transformer's
        nn.init.zeros_(self.classifier.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map faces (B, 3, H, W) to logits (B, classes)."""
        logits: Tensor = self.classifier(self.features(x)[0])
        return logits


def build(classes: int, **sizes: Any) -> nn.Module:
    """Build POSTER V2; see the class."""
    return PosterV2(classes, **sizes)


UNITS = (3, 4, 14)
"""Units of IR-50's stages, which face.evoLVe numbers across stages."""
LANDMARK_PARTS = ("conv2_dw", "conv_23", "conv_3", "conv_34", "conv_4", "conv_45", "conv_5", "conv_6_sep")
"""Parts of the landmark network after `conv1`, as in published weights."""


def backbone_names() -> dict[str, str]:
    """Return the names of both backbones' parts in POSTER V2, its two files and face.evoLVe, mapped to ours."""
    names: dict[str, str] = {}
    for image, landmarks in (("", ""), ("ir_back.", "face_landback.")):
        names |= {f"{image}{part}": f"image.{part}" for part in ("input_layer", "body1", "body2", "body3")}
        # The layers of conv1 one by one: POSTER V2 has another conv1, a single layer.
        parts = (*(f"conv1.{layer}" for layer in ("conv", "bn", "prelu")), *LANDMARK_PARTS)
        names |= {f"{landmarks}{part}": f"landmarks.{part}" for part in parts}
    for stage, units in enumerate(UNITS, 1):
        before = sum(UNITS[: stage - 1])
        names |= {f"body.{before + unit}": f"image.body{stage}.{unit}" for unit in range(units)}
    return names


_NAMES = backbone_names() | {
    "last_face_conv": "landmarks_reduce",
    "embed_q.0": "embed.0.0",
    "embed_q.1": "embed.0.1",
    "embed_k.0": "embed.1",
    "embed_v.proj": "embed.2",
    "VIT": "transformer",
    "VIT.se_block": "transformer.gate",
    "VIT.head.linear": "classifier",
}
_SCALES: dict[str, str] = {}
for _k in range(3):
    _NAMES |= {
        f"conv{_k + 1}": f"fusion.{_k}.reduce",
        f"window{_k + 1}.norm": f"fusion.{_k}.norm1",
        f"attn{_k + 1}": f"fusion.{_k}.attention.bias",  # the table of position biases
        f"attn{_k + 1}.qkv": f"fusion.{_k}.attention.kv",
        f"attn{_k + 1}.proj": f"fusion.{_k}.attention.proj",
        f"ffn{_k + 1}.norm": f"fusion.{_k}.norm2",
        f"ffn{_k + 1}.mlp": f"fusion.{_k}.mlp",
    }
    _SCALES |= {f"ffn{_k + 1}.gamma{n}": f"fusion.{_k}.scale{n}.gamma" for n in (1, 2)}


def rename(state: dict[str, Tensor]) -> dict[str, Tensor] | None:
    """Return a state_dict of the authors' code under our names; None if it is not one.

    It is that of the whole network, of IR-50 or of the landmark network. (The files that their script saves also
    contain objects of the script, which fercli does not load: save their `state_dict` alone.)
    """
    renamed = rename_parts({_SCALES.get(name, name): tensor for name, tensor in state.items()}, _NAMES)
    return None if renamed.keys() == state.keys() else renamed
