"""Whitening filters: against numpy's covariance, and set before a training from the training faces alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from making import face
from torch import nn

from fercli.models.preprocessing import Preprocessing
from fercli.models.registry import create_model, find_model
from fercli.models.whitening import FACES, fit_to_faces, whiten


def smooth(count: int = 60) -> torch.Tensor:
    """Return faces whose neighbouring pixels are alike, (count, 1, 48, 48), mean about 0."""
    return torch.from_numpy(np.stack([face(seed) for seed in range(count)]))[:, None] / 128 - 1.0


def test_what_comes_out_is_white() -> None:
    faces = smooth()
    convolution = nn.Conv2d(1, 18, 3, bias=False)
    whiten(convolution, faces)
    filters = convolution.weight.detach().flatten(1).double()
    patches = torch.nn.functional.unfold(faces, 3, stride=3).transpose(1, 2).flatten(0, 1).double()
    values = np.linalg.eigvalsh(np.asarray(patches.T @ patches / len(patches)))[::-1]
    found = np.asarray(4 * patches @ filters[:9].T)
    wanted = np.diag(values / (values + 5e-4 * values[0]))  # 1, but for the floor under the smallest
    assert wanted[0, 0] > 0.99
    np.testing.assert_allclose(found.T @ found / len(found), wanted, atol=1e-4)
    torch.testing.assert_close(filters[9:], -filters[:9])


def test_few_filters_are_the_strongest() -> None:
    faces = smooth()
    few, all_of_them = nn.Conv2d(1, 8, 4, bias=False), nn.Conv2d(1, 32, 4, bias=False)
    whiten(few, faces)
    whiten(all_of_them, faces)
    torch.testing.assert_close(few.weight[:4], all_of_them.weight[:4])


def test_constant_faces_give_finite_filters() -> None:
    convolution = nn.Conv2d(1, 32, 4, bias=False)
    whiten(convolution, torch.full((5, 1, 48, 48), 0.3))
    assert bool(convolution.weight.isfinite().all())


@pytest.mark.parametrize("shape", [(40, 48, 48), (40, 30, 30), (40, 48, 48, 3), (FACES * 2 + 7, 8, 8)])
def test_faces_of_any_pack(shape: tuple[int, ...]) -> None:
    images = torch.randint(0, 256, shape, dtype=torch.uint8)
    model, preprocessing = create_model("quick", 7), Preprocessing.of(find_model("quick"), 32)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    fit_to_faces(model, images, preprocessing)
    changed = [name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])]
    assert changed == ["stem.0.weight"]


def test_other_models_are_left_alone() -> None:
    model = create_model("quick-vgg", 7)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    fit_to_faces(model, torch.randint(0, 256, (9, 48, 48), dtype=torch.uint8), Preprocessing.of(find_model("quick")))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
