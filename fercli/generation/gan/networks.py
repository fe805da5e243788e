"""The two networks of the GAN: a generator and a discriminator of DCGAN's size that know the class.

The ResNet50-CBAM paper balances FER2013 with "generative adversarial networks" and prints the minimax game, but no
network, size or setting. These are the plain choices for faces of some 48 px: DCGAN's layers (Radford et al. 2016), the
class by conditional batch norm in the generator, and by projection in a spectrally normalised discriminator (Miyato and
Koyama 2018, "cGANs with Projection Discriminator"; Miyato et al. 2018).
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization

NOISE = 128
"""Length of the noise that a face is made of."""
CLASS_STD = 0.2
"""Of the class's numbers beside the noise's at the start. At 1 all faces of a class soon came out alike."""
SMALLEST, LARGEST, STEP = 32, 128, 16
"""Sides of the faces that can be made, pixels: four doublings of a whole number."""


def check_side(side: int) -> bool:
    """Tell whether faces of this side can be made."""
    return SMALLEST <= side <= LARGEST and side % STEP == 0


class ConditionalBatchNorm(nn.Module):
    """Batch norm whose gain and bias are the class's own.

    Args:
        channels: Of the feature maps.
        classes: How many there are.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.gain = nn.Embedding(classes, channels)
        self.bias = nn.Embedding(classes, channels)
        nn.init.ones_(self.gain.weight)
        nn.init.zeros_(self.bias.weight)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Normalise (B, channels, H, W) by the batch, then scale and shift by the class of each, (B,)."""
        normed: Tensor = self.norm(x)
        gain, bias = self.gain(labels).to(normed.dtype), self.bias(labels).to(normed.dtype)
        return torch.addcmul(bias[:, :, None, None], normed, gain[:, :, None, None])


class Generator(nn.Module):
    """Noise and a class to a face: a linear layer to side/16, then four transposed convolutions of stride 2.

    The class also stands beside the noise, as in Brock et al. 2019: the batch norms' gains and biases begin alike for
    all classes, and would take thousands of steps to tell them apart.

    Args:
        classes: How many there are.
        side: Of the faces, pixels.
        channels: 1 for grey, 3 for RGB.
        width: Channels of the last hidden layer; the first has eight times as many.
    """

    def __init__(self, classes: int, side: int, channels: int, width: int) -> None:
        super().__init__()
        self.start = side // STEP
        widths = [8 * width, 4 * width, 2 * width, width]
        self.embed = nn.Embedding(classes, NOISE)
        nn.init.normal_(self.embed.weight, std=CLASS_STD)
        self.project = nn.Linear(2 * NOISE, widths[0] * self.start**2, bias=False)
        self.norms = nn.ModuleList(ConditionalBatchNorm(many, classes) for many in widths)
        self.ups = nn.ModuleList(nn.ConvTranspose2d(*pair, 4, 2, 1, bias=False) for pair in pairwise(widths))
        self.ups.append(nn.ConvTranspose2d(width, channels, 4, 2, 1))
        for layer in (self.project, *self.ups):
            nn.init.normal_(layer.weight, std=0.02)  # DCGAN's start

    def forward(self, noise: Tensor, labels: Tensor) -> Tensor:
        """Return faces (B, channels, side, side) in -1..1, of noise (B, 128) and classes (B,)."""
        x: Tensor = self.project(torch.cat([noise, self.embed(labels)], 1))
        x = x.view(len(noise), -1, self.start, self.start)
        for norm, up in zip(self.norms, self.ups, strict=True):
            x = up(F.relu(norm(x, labels)))
        return torch.tanh(x)


class SpectralNorm(nn.Module):
    """A weight divided by its largest singular value, which one step of the power method follows at each training pass.

    In float32 also where the network computes in less: torch's own would estimate it in bfloat16 there.
    """

    u: Tensor
    v: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        rows = weight.detach().flatten(1)
        u = F.normalize(torch.randn(len(rows), device=rows.device), dim=0)
        self.register_buffer("u", u)
        self.register_buffer("v", F.normalize(rows.T @ u, dim=0))
        for _ in range(15):
            self._follow(rows)

    @torch.no_grad()
    def _follow(self, rows: Tensor) -> None:
        self.v.copy_(F.normalize(rows.T @ self.u, dim=0))
        self.u.copy_(F.normalize(rows @ self.v, dim=0))

    def forward(self, weight: Tensor) -> Tensor:
        """Return `weight` at spectral norm 1, its first dimension against all others."""
        with torch.autocast(weight.device.type, enabled=False):
            rows = weight.flatten(1)
            if self.training:
                self._follow(rows.detach())
            # Copies: the next pass changes the vectors in place while this one may still be waiting for its gradient.
            u, v = self.u.clone(), self.v.clone()
            return weight / torch.dot(u, rows @ v)


class Discriminator(nn.Module):
    """A face and a class to how real it looks: four convolutions of stride 2, flattened as in DCGAN, and projection.

    Every weight is spectrally normalised. Miyato and Koyama sum the last feature maps over the places instead, for
    pictures of anything; faces fill their frame alike, and where eyes and mouth are is the first thing to tell by.

    Args:
        classes: How many there are.
        side: Of the faces, pixels.
        channels: 1 for grey, 3 for RGB.
        width: Channels of the first layer; the last has eight times as many.
    """

    def __init__(self, classes: int, side: int, channels: int, width: int) -> None:
        super().__init__()
        widths = [channels, width, 2 * width, 4 * width, 8 * width]
        found = widths[-1] * (side // STEP) ** 2
        self.downs = nn.ModuleList(nn.Conv2d(*pair, 4, 2, 1) for pair in pairwise(widths))
        self.linear = nn.Linear(found, 1)
        self.embed = nn.Embedding(classes, found)
        for layer in (*self.downs, self.linear, self.embed):
            assert isinstance(layer.weight, Tensor)
            nn.init.orthogonal_(layer.weight)
            register_parametrization(layer, "weight", SpectralNorm(layer.weight))

    def features(self, faces: Tensor) -> Tensor:
        """Return what the convolutions find, flattened: (B, 8 x width x (side/16)^2)."""
        x = faces
        for down in self.downs:
            x = F.leaky_relu(down(x), 0.2)
        return x.float().flatten(1)

    def forward(self, faces: Tensor, labels: Tensor) -> Tensor:
        """Return (B,): f(x, y) = y V phi(x) + psi(phi(x)) (Miyato and Koyama 2018, equation 3)."""
        found = self.features(faces)
        with torch.autocast(found.device.type, enabled=False):
            own: Tensor = self.linear(found).squeeze(1)
            projected: Tensor = (self.embed(labels) * found).sum(1)
            return own + projected
