"""A split's features in place of its faces, for training a head."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fercli.packs.loading import RESIDENT_SHARE, PackDataset, free_memory


@dataclass(frozen=True)
class FeatureDataset(PackDataset):
    """A split's features and labels.

    Attributes:
        images: Features, float32 (N, V, D): V views of each face, the first of them the face itself.
    """

    images: Tensor

    def fetch(self, batches: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the features at each tensor of indices (int64, CPU), on the device, (B, V, D), and their targets."""
        for part in batches:
            features = self.images.index_select(0, part.to(self.images.device)).to(self.device)
            yield features, self.targets[part].to(self.device)


class FaceReader:
    """The faces of a split on the CPU by their positions, wherever they are stored."""

    def __init__(self, faces: PackDataset) -> None:
        self._images = faces.images

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, rows: Tensor) -> Tensor:
        """Return faces, uint8 (B, H, W) or (B, H, W, 3)."""
        if isinstance(self._images, Tensor):
            return self._images.index_select(0, rows)
        return torch.from_numpy(self._images.read(rows.numpy()))


def with_features(faces: PackDataset, features: Tensor, device: torch.device) -> FeatureDataset:
    """Return a split with features in place of its faces, on the device if they fit.

    Args:
        faces: The split.
        features: float32 (N, V, D), on the CPU.
        device: Device for batches.
    """
    resident = features.nbytes <= RESIDENT_SHARE * free_memory(device)
    return FeatureDataset(features.to(device) if resident else features, faces.labels, device, resident, faces.votes)
