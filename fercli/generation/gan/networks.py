"""The networks of the GAN: a class-conditional generator and discriminator of DCGAN's size.

The ResNet50-CBAM paper balances FER2013 with "generative adversarial networks" and gives the minimax game, but no
architecture, sizes or settings. These are standard choices for faces of about 48 px: DCGAN's layers (Radford et al.
2016), conditional batch norm in the generator, and projection in a spectrally normalised discriminator (Miyato and
Koyama 2018, "cGANs with Projection Discriminator"; Miyato et al. 2018).
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization

NOISE_SIZE = 128
"""Length of the noise vector."""
CLASS_STD = 0.2
"""Initial standard deviation of the class embedding. With 1, all faces of a class soon looked alike."""
MIN_SIDE, MAX_SIDE, SIDE_STEP = 32, 128, 16
"""Supported sides of the faces in pixels: four doublings of an integer."""


def is_valid_side(side: int) -> bool:
    """Return whether faces of this side can be generated."""
    return MIN_SIDE <= side <= MAX_SIDE and side % SIDE_STEP == 0


class ConditionalBatchNorm(nn.Module):
    """Batch norm with a gain and bias per class.

    Args:
        channels: Channels of the feature maps.
        classes: Number of classes.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.gain = nn.Embedding(classes, channels)
        self.bias = nn.Embedding(classes, channels)
        nn.init.ones_(self.gain.weight)
        nn.init.zeros_(self.bias.weight)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Normalise (B, channels, H, W) over the batch, then scale and shift by the labels, (B,)."""
        normed: Tensor = self.norm(x)
        gain, bias = self.gain(labels).to(normed.dtype), self.bias(labels).to(normed.dtype)
        return torch.addcmul(bias[:, :, None, None], normed, gain[:, :, None, None])


class GanGenerator(nn.Module):
    """Maps noise and a class to a face: a linear layer to side/16, then four transposed convolutions of stride 2.

    The class embedding is also concatenated to the noise, as in Brock et al. 2019: the gains and biases of the batch
    norms start out equal for all classes, and would take thousands of steps to diverge.

    Args:
        classes: Number of classes.
        side: Side of the faces in pixels.
        channels: 1 for grey, 3 for RGB.
        width: Channels of the last hidden layer; the first has eight times as many.
    """

    def __init__(self, classes: int, side: int, channels: int, width: int) -> None:
        super().__init__()
        self.start = side // SIDE_STEP
        widths = [8 * width, 4 * width, 2 * width, width]
        self.embed = nn.Embedding(classes, NOISE_SIZE)
        nn.init.normal_(self.embed.weight, std=CLASS_STD)
        self.project = nn.Linear(2 * NOISE_SIZE, widths[0] * self.start**2, bias=False)
        self.norms = nn.ModuleList(ConditionalBatchNorm(many, classes) for many in widths)
        self.ups = nn.ModuleList(nn.ConvTranspose2d(*pair, 4, 2, 1, bias=False) for pair in pairwise(widths))
        self.ups.append(nn.ConvTranspose2d(width, channels, 4, 2, 1))
        for layer in (self.project, *self.ups):
            nn.init.normal_(layer.weight, std=0.02)  # DCGAN's initialization

    def forward(self, noise: Tensor, labels: Tensor) -> Tensor:
        """Return faces (B, channels, side, side) in -1..1, from noise (B, 128) and labels (B,)."""
        x: Tensor = self.project(torch.cat([noise, self.embed(labels)], 1))
        x = x.view(len(noise), -1, self.start, self.start)
        for norm, up in zip(self.norms, self.ups, strict=True):
            x = up(F.relu(norm(x, labels)))
        return torch.tanh(x)


class SpectralNorm(nn.Module):
    """Divides a weight by its largest singular value, estimated by one power iteration per forward pass in training.

    Computed in float32 even under autocast; torch's version would estimate in bfloat16.
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
            self._power_iteration(rows)

    @torch.no_grad()
    def _power_iteration(self, rows: Tensor) -> None:
        self.v.copy_(F.normalize(rows.T @ self.u, dim=0))
        self.u.copy_(F.normalize(rows @ self.v, dim=0))

    def forward(self, weight: Tensor) -> Tensor:
        """Return `weight` with spectral norm 1, as a matrix of its first dimension by all others."""
        with torch.autocast(weight.device.type, enabled=False):
            rows = weight.flatten(1)
            if self.training:
                self._power_iteration(rows.detach())
            # Copies: the next pass updates the vectors in place while this one may still need them for its gradient.
            u, v = self.u.clone(), self.v.clone()
            return weight / torch.dot(u, rows @ v)


class GanDiscriminator(nn.Module):
    """Scores how real a face of a class looks: four convolutions of stride 2, flattened as in DCGAN, and projection.

    All weights are spectrally normalised. Miyato and Koyama sum the last feature maps over space instead, for images of
    any content; faces are framed alike, and the positions of eyes and mouth are the most telling features.

    Args:
        classes: Number of classes.
        side: Side of the faces in pixels.
        channels: 1 for grey, 3 for RGB.
        width: Channels of the first layer; the last has eight times as many.
    """

    def __init__(self, classes: int, side: int, channels: int, width: int) -> None:
        super().__init__()
        widths = [channels, width, 2 * width, 4 * width, 8 * width]
        features = widths[-1] * (side // SIDE_STEP) ** 2
        self.downs = nn.ModuleList(nn.Conv2d(*pair, 4, 2, 1) for pair in pairwise(widths))
        self.linear = nn.Linear(features, 1)
        self.embed = nn.Embedding(classes, features)
        for layer in (*self.downs, self.linear, self.embed):
            assert isinstance(layer.weight, Tensor)
            nn.init.orthogonal_(layer.weight)
            register_parametrization(layer, "weight", SpectralNorm(layer.weight))

    def features(self, faces: Tensor) -> Tensor:
        """Return the flattened features of the last convolution, (B, 8 x width x (side/16)^2)."""
        x = faces
        for down in self.downs:
            x = F.leaky_relu(down(x), 0.2)
        return x.float().flatten(1)

    def forward(self, faces: Tensor, labels: Tensor) -> Tensor:
        """Return (B,): f(x, y) = y V phi(x) + psi(phi(x)) (Miyato and Koyama 2018, equation 3)."""
        features = self.features(faces)
        with torch.autocast(features.device.type, enabled=False):
            unconditional: Tensor = self.linear(features).squeeze(1)
            projected: Tensor = (self.embed(labels) * features).sum(1)
            return unconditional + projected
