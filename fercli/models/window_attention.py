"""Window cross-attention from landmark to image features (POSTER V2, section 3.1; Hatamizadeh et al. 2023).

A window has the size of the landmark features, which are the queries for every window of the image features. At
POSTER V2's and ARBEx's sizes both have the same size, so there is only one window.
"""

from __future__ import annotations

import torch.nn.functional as F
from timm.layers.drop import DropPath
from timm.layers.layer_scale import LayerScale
from timm.layers.mlp import Mlp
from timm.layers.pos_embed_rel import RelPosBias
from torch import Tensor, nn


class WindowCrossAttention(nn.Module):
    """softmax(q k^T / sqrt(d) + b) v for each head, and a projection.

    Keys and values are linear in the image features; the queries are the unprojected landmark features; b is learned,
    with one value per offset in rows and columns (Swin's relative position bias).

    Args:
        channels: C.
        heads: Number of heads, with d = C / heads channels each.
        side: Side of the window.
    """

    def __init__(self, channels: int, heads: int, side: int) -> None:
        super().__init__()
        self.head_channels = channels // heads
        self.bias = RelPosBias((side, side), heads)
        self.kv = nn.Linear(channels, 2 * channels)
        self.proj = nn.Linear(channels, channels)

    def _split(self, x: Tensor) -> Tensor:
        """Split heads: (B, N, n d) to (B, n, N, d)."""
        batch, tokens, _ = x.shape
        return x.reshape(batch, tokens, -1, self.head_channels).transpose(1, 2)

    def forward(self, image: Tensor, landmarks: Tensor) -> Tensor:
        """Map image and landmark features, each (B, N, C) with N = side^2 in row-major order, to (B, N, C)."""
        key, value = self._split(self.kv(image)).chunk(2, 1)  # each (B, heads, N, d)
        query = self._split(landmarks.to(key.dtype))
        bias = self.bias.get_bias().to(key.dtype)  # (1, heads, N, N)
        attended = F.scaled_dot_product_attention(query, key, value, bias)
        out: Tensor = self.proj(attended.transpose(1, 2).reshape(image.shape))
        return out


class LandmarkFusion(nn.Module):
    """Fuses image features at one scale with landmark features of half their side.

    The image map is downsampled by a 3x3 convolution and normalised; cross-attention and an MLP are added to it, each
    with a learned scale initialised with 1e-5.

    Args:
        channels: C.
        heads: Attention heads.
        side: Side of the landmark map.
        drop_path: Drop path probability of both branches.
    """

    def __init__(self, channels: int, heads: int, side: int, drop_path: float = 0.0) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, channels, 3, stride=2, padding=1)
        self.norm1 = nn.LayerNorm(channels)
        self.attention = WindowCrossAttention(channels, heads, side)
        self.scale1 = LayerScale(channels, 1e-5)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = Mlp(channels, 4 * channels)
        self.scale2 = LayerScale(channels, 1e-5)
        self.drop_path = DropPath(drop_path)

    def forward(self, image: Tensor, landmarks: Tensor) -> Tensor:
        """Map image features (B, C, 2S, 2S) and landmark features (B, C, S, S) to (B, C, S, S), S the window's side."""
        halved = self.reduce(image)
        x = self.norm1(halved.flatten(2).transpose(1, 2))  # the residual stream starts with normalised features
        x = x + self.drop_path(self.scale1(self.attention(x, landmarks.flatten(2).transpose(1, 2))))
        x = x + self.drop_path(self.scale2(self.mlp(self.norm2(x))))
        out: Tensor = x.transpose(1, 2).reshape(halved.shape)
        return out
