"""A split's features in place of its faces, for training a head."""

from __future__ import annotations

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

    def _fetch(self, part: Tensor) -> tuple[Tensor, Tensor]:
        features = self.images.index_select(0, part.to(self.images.device)).to(self.device)
        return features, self.targets[part].to(self.device)


def with_features(faces: PackDataset, features: Tensor, device: torch.device) -> FeatureDataset:
    """Return a split with features in place of its faces, on the device if they fit.

    Args:
        faces: The split.
        features: float32 (N, V, D), on the CPU.
        device: Device for batches.
    """
    resident = features.nbytes <= RESIDENT_SHARE * free_memory(device)
    return FeatureDataset(features.to(device) if resident else features, faces.labels, device, resident, faces.votes)
