"""The hinge losses (Lim and Ye 2017; Tran et al. 2017), which take the place of the minimax game's logarithms.

The ResNet50-CBAM paper prints the minimax game of Goodfellow et al. 2014. The hinge form has the same aim, and is the
one that spectral norm and projection are published with.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def discriminator_loss(real: Tensor, made: Tensor) -> Tensor:
    """Return mean(max(0, 1 - f(real))) + mean(max(0, 1 + f(made))), of the discriminator's answers (B,)."""
    return F.relu(1 - real).mean() + F.relu(1 + made).mean()


def generator_loss(made: Tensor) -> Tensor:
    """Return -mean(f(made))."""
    return -made.mean()
