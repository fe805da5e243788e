"""The nearest of many pictures, by correlation: how it is told whether the GAN learnt faces by heart.

Every pair is compared, not only those whose perceptual hashes are close: what is wanted is how near all come, and the
faces a GAN makes are so much alike that their hashes would let most pairs through.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fercli.datasets.perceptual import COMPARE_SIDE, shrink
from fercli.images import Pixels

_AT_ONCE = 8192
"""Pictures compared with at once: as float32, 8192 x 48 x 48 are 75 MB."""
_QUANTILES = {"median": 0.5, "95 %": 0.95, "99 %": 0.99, "highest": 1.0}

Values = npt.NDArray[np.float32]


def comparable(pixels: Pixels) -> Pixels:
    """Return a picture as it is compared: grey, 48 x 48."""
    return shrink(pixels)[1]


class CorrelationIndex:
    """Pictures to compare with, more to be added.

    Args:
        room: How many there will be at most.
        device: Where they are compared.
    """

    def __init__(self, room: int, device: torch.device) -> None:
        self._pictures = torch.empty((room, COMPARE_SIDE**2), dtype=torch.uint8, device=device)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, pictures: Pixels) -> None:
        """Add (B, 48, 48)."""
        end = self._count + len(pictures)
        self._pictures[self._count : end] = torch.from_numpy(pictures.reshape(-1, COMPARE_SIDE**2))
        self._count = end

    @torch.no_grad()
    def nearest(self, pictures: Pixels) -> tuple[Values, npt.NDArray[np.int64]]:
        """Return the highest correlation of each of (B, 48, 48), or of its mirror image, and with which picture.

        Without any picture, and for one without contrast, that is -1 (with number 0).
        """
        best = torch.full((len(pictures),), -1.0, device=self._pictures.device)
        where = torch.zeros(len(pictures), dtype=torch.int64, device=self._pictures.device)
        own = torch.stack([self._normed(pictures), self._normed(np.ascontiguousarray(pictures[:, :, ::-1]))])
        for low in range(0, self._count, _AT_ONCE):
            others = _normed(self._pictures[low : min(low + _AT_ONCE, self._count)])
            values, numbers = (own @ others.T).amax(0).max(1)
            where = torch.where(values > best, numbers + low, where)
            best = torch.maximum(values, best)
        return best.cpu().numpy(), where.cpu().numpy()

    def among(self, pictures: Pixels) -> Values:
        """Return (B, B): the correlations of (B, 48, 48) with one another, the higher of plain and mirrored."""
        plain, mirrored = self._normed(pictures), self._normed(np.ascontiguousarray(pictures[:, :, ::-1]))
        found: Values = torch.maximum(plain @ plain.T, mirrored @ plain.T).cpu().numpy()
        return found

    def _normed(self, pictures: Pixels) -> Tensor:
        flat = torch.from_numpy(pictures.reshape(-1, COMPARE_SIDE**2))
        return _normed(flat.to(self._pictures.device))


def _normed(flat: Tensor) -> Tensor:
    """Return (N, P) with mean 0 and length 1 each, so that products are correlations; without contrast all 0."""
    values: Tensor = flat.float()
    values = values - values.mean(1, keepdim=True)
    lengths: Tensor = torch.linalg.vector_norm(values, dim=1, keepdim=True)
    return values / lengths.clamp(min=1e-6)


def spread(values: Values, limit: float) -> Mapping[str, float | int]:
    """Return how correlations are spread: quantiles, and how many reach a limit."""
    if not len(values):
        return {"n": 0}
    quantiles = {name: round(float(np.quantile(values, q)), 4) for name, q in _QUANTILES.items()}
    return {"n": len(values), **quantiles, f"at least {limit}": int((values >= limit).sum())}
