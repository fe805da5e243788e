from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from fercli.datasets.label_noise import LabelNoise
from fercli.packs.file import read_digests
from fercli.packs.label_noise import with_noise
from fercli.packs.loading import load_pack
from fercli.packs.opening import open_pack
from tests.helpers.packs import make_pack


def test_labels_and_votes_are_swapped_in_memory(tmp_path: Path) -> None:
    votes = np.zeros((28, 7), np.float32)
    votes[np.arange(28), np.arange(28) % 7] = 0.75
    votes[np.arange(28), (np.arange(28) + 1) % 7] = 0.25
    info = open_pack(make_pack(tmp_path / "p", {"train": 28}, votes={"train": votes}))
    faces, digests = load_pack(info, "train", torch.device("cpu"), votes=True), read_digests(info, "train")
    found = with_noise(faces, digests, LabelNoise(0.25, 0))
    changed = found.labels != faces.labels
    assert int(changed.sum()) == 7
    assert found.images is faces.images
    assert found.votes is not None
    assert faces.votes is not None
    assert torch.equal(found.votes.argmax(1), found.labels)
    assert torch.equal(found.votes.sort(1).values, faces.votes.sort(1).values)
    assert torch.equal(found.votes[~changed], faces.votes[~changed])
    assert torch.equal(faces.labels, torch.arange(28) % 7)  # not in place
    assert with_noise(faces, digests, LabelNoise(0.25, 0)).labels.tolist() == found.labels.tolist()
