"""A first convolution set from the data: filters that whiten small patches, and stay as they are in training.

Neighbouring pixels of a face are nearly equal, so the inputs of a first convolution are nearly collinear, and a short
training spends much of its time on that. Filters along the eigenvectors of the patches' covariance, each divided by
the square root of its eigenvalue, hand on values of equal spread instead (K. Jordan 2024, "94% on CIFAR-10 in 3.29
Seconds on a Single GPU", patch-whitening initialisation, after Page 2018).
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fercli.models.preprocessing import Preprocessing

FACES = 4096
"""Faces that filters are set from: their patches are a hundred times as many."""
_FLOOR = 5e-4
"""Smallest eigenvalue, as a share of the largest: below it there is noise, which whitening would blow up."""


@runtime_checkable
class FitsFaces(Protocol):
    """A model some of whose weights are set from the training faces before it trains."""

    def fit(self, faces: Tensor) -> None:
        """Set them from normalised faces (N, C, H, W)."""
        ...


def fit_to_faces(model: nn.Module, images: Tensor, preprocessing: Preprocessing) -> None:
    """Set a model's weights that come from the data, where it has any; other models are left alone.

    Args:
        model: On the CPU.
        images: The training faces, uint8 (N, H, W) or (N, H, W, 3); `FACES` of them, evenly spread, are looked at.
        preprocessing: The model's.
    """
    if not isinstance(model, FitsFaces):
        return
    chosen = images[:: max(1, len(images) // FACES)][:FACES].cpu()
    faces = chosen.unsqueeze(1) if chosen.ndim == 3 else chosen.permute(0, 3, 1, 2)
    model.fit(preprocessing(faces))


@torch.no_grad()
def whiten(convolution: nn.Conv2d, faces: Tensor) -> None:
    """Set a convolution's filters so that they whiten its patches: each eigenvector and its negative.

    Args:
        convolution: Of as many filters as twice its patches' values, or fewer: then the strongest eigenvectors.
        faces: What it will read, (N, C, H, W).
    """
    kernel = convolution.kernel_size
    patches = F.unfold(faces, kernel, stride=kernel).transpose(1, 2).flatten(0, 1).double()
    covariance = patches.T @ patches / len(patches)
    values, vectors = torch.linalg.eigh(covariance)  # rising
    scaled = vectors / (values.clamp(min=0) + _FLOOR * values[-1]).sqrt()
    filters = scaled.T.flip(0)[: len(convolution.weight) // 2]
    # A quarter: the sum of a few such values is what the batch norm behind expects at its start.
    both = torch.cat([filters, -filters]).float() / 4
    convolution.weight.copy_(both.view_as(convolution.weight))
