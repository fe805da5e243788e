from pathlib import Path

import numpy as np
import torch

from fercli.packs.features import with_features
from fercli.packs.loading import load_pack
from fercli.packs.opening import open_pack
from tests.helpers.packs import make_pack

CPU = torch.device("cpu")


def test_features_in_place_of_faces(tmp_path: Path) -> None:
    faces = load_pack(open_pack(make_pack(tmp_path / "pack")), "train", CPU)
    features = torch.randn(len(faces), 2, 5)
    own = with_features(faces, features, CPU)
    (batch, targets), *rest = own.fetch([torch.tensor([3, 1]), torch.tensor([0])])
    assert torch.equal(batch, features[[3, 1]])
    assert torch.equal(targets, faces.labels[[3, 1]])
    assert len(rest) == 1
    some = own.subset(np.arange(len(faces)) % 2 == 0)
    assert torch.equal(next(some.batches(torch.tensor([1]), 1))[0], features[[2]])
