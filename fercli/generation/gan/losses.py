"""The hinge losses (Lim and Ye 2017; Tran et al. 2017), instead of the logarithmic losses of the minimax game.

The ResNet50-CBAM paper gives the minimax game of Goodfellow et al. 2014. The hinge form has the same goal, and is the
one with which spectral norm and projection were published.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Return mean(max(0, 1 - f(real))) + mean(max(0, 1 + f(fake))), of discriminator outputs (B,)."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def generator_loss(fake: Tensor) -> Tensor:
    """Return -mean(f(fake))."""
    return -fake.mean()
