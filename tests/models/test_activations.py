"""Activations by name."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fercli.models.activations import activation_layer


def test_activations_by_name() -> None:
    x = torch.tensor([-1.0, 0.0, 2.0])
    below = torch.tensor(-1.0).exp() - 1
    expected = {
        "": [0.0, 0.0, 2.0],
        "relu": [0.0, 0.0, 2.0],
        "elu": [float(below), 0.0, 2.0],
        "selu": [1.6732632 * 1.0507010 * float(below), 0.0, 1.0507010 * 2.0],
    }
    for name, values in expected.items():
        torch.testing.assert_close(activation_layer(name)(inplace=True)(x.clone()), torch.tensor(values))
    assert activation_layer("") is nn.ReLU


def test_unknown_name_is_rejected() -> None:
    with pytest.raises(ValueError, match="no activation 'gelu'; there are relu, elu, selu"):
        activation_layer("gelu")
