"""small: names that checkpoints depend on, sizes, and dropout in training only."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fercli.models.small import Small, build


def test_parameter_names_that_checkpoints_depend_on() -> None:
    state = build(8).state_dict()
    assert {name.split(".")[0] for name in state} == {"features", "classifier"}
    assert state["features.0.weight"].shape == (64, 1, 4, 4)
    assert [tuple(t.shape[:2]) for n, t in state.items() if t.ndim == 4] == [
        (64, 1), (128, 64), (128, 128), (256, 128), (256, 256), (256, 256), (256, 256)
    ]  # fmt: skip
    assert state["classifier.weight"].shape == (8, 256)


@pytest.mark.parametrize("side", [8, 17, 32, 44, 48, 64])
def test_any_input_size(side: int) -> None:
    assert build(7).eval()(torch.randn(2, 1, side, side)).shape == (2, 7)


def test_sides_of_the_maps() -> None:
    # The stem and the first convolutions of all pairs but the last halve the side.
    features = build(7).eval().features
    assert features(torch.randn(1, 1, 48, 48)).shape == (1, 256, 6, 6)
    assert features(torch.randn(1, 1, 44, 44)).shape == (1, 256, 6, 6)
    assert features(torch.randn(1, 1, 32, 32)).shape == (1, 256, 4, 4)


def test_dropout_only_in_training() -> None:
    torch.manual_seed(0)
    model, x = Small(7, stem=8, widths=(16, 16), dropout=0.5), torch.randn(4, 1, 32, 32)
    model.train()
    assert not torch.equal(model(x), model(x))
    model.eval()
    assert torch.equal(model(x), model(x))
    assert isinstance(model.dropout, nn.Dropout)
