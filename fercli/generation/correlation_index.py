"""Nearest-neighbour search by pixel correlation, to detect faces that a GAN has memorized.

All pairs are compared, not only those with close perceptual hashes: the distribution over all images matters, and GAN
faces are so similar that most pairs would pass a hash filter.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fercli.datasets.perceptual import COMPARE_SIDE, shrink
from fercli.images import Pixels

CHUNK = 8192
"""Images compared at once: 8192 x 48 x 48 as float32 are 75 MB."""
_QUANTILES = {"median": 0.5, "95 %": 0.95, "99 %": 0.99, "highest": 1.0}

Values = npt.NDArray[np.float32]


def comparison_thumbnail(pixels: Pixels) -> Pixels:
    """Return the grey 48 x 48 version of an image that is compared."""
    return shrink(pixels)[1]


class CorrelationIndex:
    """A growing set of images to compare with.

    Args:
        capacity: Largest number of images.
        device: Device to compare on.
    """

    def __init__(self, capacity: int, device: torch.device) -> None:
        self._images = torch.empty((capacity, COMPARE_SIDE**2), dtype=torch.uint8, device=device)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, images: Pixels) -> None:
        """Add (B, 48, 48)."""
        end = self._count + len(images)
        self._images[self._count : end] = torch.from_numpy(images.reshape(-1, COMPARE_SIDE**2))
        self._count = end

    @torch.no_grad()
    def nearest(self, images: Pixels) -> tuple[Values, npt.NDArray[np.int64]]:
        """Return the highest correlation of each of (B, 48, 48) or its mirror image, and the index of that image.

        For an empty index these are -1 and 0; an image without contrast has correlation 0 with all others.
        """
        best = torch.full((len(images),), -1.0, device=self._images.device)
        best_index = torch.zeros(len(images), dtype=torch.int64, device=self._images.device)
        queries = torch.stack([self._normalize(images), self._normalize(np.ascontiguousarray(images[:, :, ::-1]))])
        for low in range(0, self._count, CHUNK):
            others = _normalize(self._images[low : min(low + CHUNK, self._count)])
            values, indices = (queries @ others.T).amax(0).max(1)
            best_index = torch.where(values > best, indices + low, best_index)
            best = torch.maximum(values, best)
        return best.cpu().numpy(), best_index.cpu().numpy()

    def pairwise(self, images: Pixels) -> Values:
        """Return the correlations among (B, 48, 48) as (B, B), the higher of original and mirrored."""
        plain, mirrored = self._normalize(images), self._normalize(np.ascontiguousarray(images[:, :, ::-1]))
        correlations: Values = torch.maximum(plain @ plain.T, mirrored @ plain.T).cpu().numpy()
        return correlations

    def _normalize(self, images: Pixels) -> Tensor:
        flat = torch.from_numpy(images.reshape(-1, COMPARE_SIDE**2))
        return _normalize(flat.to(self._images.device))


def _normalize(flat: Tensor) -> Tensor:
    """Return (N, P) with mean 0 and norm 1 per row, so that products are correlations; rows without contrast are 0."""
    values: Tensor = flat.float()
    values = values - values.mean(1, keepdim=True)
    lengths: Tensor = torch.linalg.vector_norm(values, dim=1, keepdim=True)
    return values / lengths.clamp(min=1e-6)


def summarize(values: Values, limit: float) -> dict[str, int | float]:
    """Return quantiles of correlations, and how many are at least `limit`."""
    if not len(values):
        return {"n": 0}
    quantiles = {name: round(float(np.quantile(values, q)), 4) for name, q in _QUANTILES.items()}
    return {"n": len(values), **quantiles, f"at least {limit}": int((values >= limit).sum())}
