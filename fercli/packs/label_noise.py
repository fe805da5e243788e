"""Label noise in a pack's training faces, in memory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from fercli.datasets.label_noise import LabelNoise
from fercli.packs.loading import PackDataset


def with_noise(faces: PackDataset, digests: npt.NDArray[np.uint8], noise: LabelNoise) -> PackDataset:
    """Return faces with swapped labels; their images are shared. With votes, the shares of the two are exchanged.

    Args:
        faces: The training faces.
        digests: Their digests, (N, 32).
        noise: The noise. A pack does not know which faces were made from others: each is drawn by itself.

    Raises:
        UsageError: there is only one label.
    """
    before = faces.labels
    labels = torch.tensor(noise.swap(before.tolist(), [digest.tobytes().hex() for digest in digests]))
    votes = faces.votes
    if votes is not None:
        rows, votes = torch.arange(len(labels)), votes.clone()
        votes[rows, labels], votes[rows, before] = votes[rows, before], votes[rows, labels]
    return replace(faces, labels=labels, votes=votes)
