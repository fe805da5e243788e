"""Window cross-attention: what the landmarks ask, the image answers (POSTER V2, section 3.1; Hatamizadeh et al. 2023).

A window is as large as the map of landmark features, whose places are the queries of every window of the image's map.
In ARBEx both maps are of one size, so there is one window a map and nothing to cut into parts.
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

    Keys and values are linear in the image features; the queries are the landmark features as they are; b is learnt,
    one value for each shift in rows and columns (Swin's relative position bias).

    Args:
        channels: C.
        heads: They share the channels, d = C / heads each.
        side: Of the window, places.
    """

    def __init__(self, channels: int, heads: int, side: int) -> None:
        super().__init__()
        self.head_channels = channels // heads
        self.bias = RelPosBias((side, side), heads)
        self.kv = nn.Linear(channels, 2 * channels)
        self.proj = nn.Linear(channels, channels)

    def _split(self, x: Tensor) -> Tensor:
        """Return (B, n, N, d) of (B, N, n d)."""
        batch, places, _ = x.shape
        return x.reshape(batch, places, -1, self.head_channels).transpose(1, 2)

    def forward(self, image: Tensor, landmarks: Tensor) -> Tensor:
        """Return (B, N, C) from image and landmark features, each (B, N, C) with N = side^2 places, row by row."""
        key, value = self._split(self.kv(image)).chunk(2, 1)  # each (B, heads, N, d)
        query = self._split(landmarks.to(key.dtype))
        bias = self.bias.get_bias().to(key.dtype)  # (1, heads, N, N)
        found = F.scaled_dot_product_attention(query, key, value, bias)
        out: Tensor = self.proj(found.transpose(1, 2).reshape(image.shape))
        return out


class LandmarkFusion(nn.Module):
    """Image features of one scale, weighed by landmark features of half their side.

    The image's map is halved by a 3x3 convolution and normalised; cross-attention and a perceptron are added to it,
    each scaled by factors that begin at 1e-5.

    Args:
        channels: C.
        heads: Of the attention.
        side: Of the landmarks' map, places.
        drop_path: Probability of leaving each of the two out for a face, in training.
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
        """Return (B, C, S, S) from an image's map (B, C, 2S, 2S) and landmarks' (B, C, S, S), S the window's side."""
        halved = self.reduce(image)
        x = self.norm1(halved.flatten(2).transpose(1, 2))  # the sum begins with what is normalised
        x = x + self.drop_path(self.scale1(self.attention(x, landmarks.flatten(2).transpose(1, 2))))
        x = x + self.drop_path(self.scale2(self.mlp(self.norm2(x))))
        out: Tensor = x.transpose(1, 2).reshape(halved.shape)
        return out
