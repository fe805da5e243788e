from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fercli.errors import UsageError
from fercli.models.activation_maps import ActivationMaps
from fercli.models.registry import create_model


@pytest.mark.parametrize("name", ["quick", "quick-vgg", "small", "resnet18", "resnetv2-50", "emotionnet"])
def test_means_of_the_maps_are_the_logits(name: str) -> None:
    torch.manual_seed(0)
    model = create_model(name, 7, reduced=True).train()
    channels = next(model.parameters()).shape[1]
    maps = ActivationMaps(model, "option", (channels, 48, 48))
    assert all(module.training for module in model.modules())
    model.eval()
    with maps.recorded() as features:
        logits = model(torch.randn(3, channels, 48, 48))
    model(torch.randn(3, channels, 48, 48))
    assert len(features) == 1  # of the passes inside the block alone
    found = maps.of(features[0])
    classifier = next(m for m in model.modules() if isinstance(m, nn.Linear) and m.out_features == 7)
    torch.testing.assert_close(found.mean((2, 3)) + classifier.bias, logits, rtol=1e-3, atol=1e-4)


class Ending(nn.Module):
    """A convolution whose maps a functional activation changes in place, then the ending under test."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.convolution, self.pool = nn.Conv2d(1, 4, 3, padding=1), nn.AdaptiveAvgPool2d(1)
        self.hidden, self.linear = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.convolution(x), inplace=True)
        match self.kind:
            case "max":
                pooled = x.amax((2, 3))
            case "hidden":
                pooled = self.hidden(self.pool(x).flatten(1))
            case "scaled":
                return self.linear(self.pool(x).flatten(1)) * 2  # type: ignore[no-any-return]
            case _:
                pooled = self.pool(x).flatten(1)
        logits: Tensor = self.linear(F.dropout(pooled, 0.5, self.training))
        return logits


def test_maps_are_those_after_an_activation_in_place() -> None:
    model = Ending("mean")
    maps = ActivationMaps(model, "option", (1, 6, 6))
    x = torch.randn(2, 1, 6, 6)
    with maps.recorded() as features:
        model(x)
    expected = torch.einsum("lk,bkhw->blhw", model.linear.weight, model.convolution(x).relu())
    torch.testing.assert_close(maps.of(features[0]), expected)


@pytest.mark.parametrize("model", [Ending("max"), Ending("hidden"), Ending("scaled"), "vgg16", "emonext-tiny"])
def test_other_models_are_refused(model: Any) -> None:
    if isinstance(model, str):
        model = create_model(model, 3, reduced=True)
    channels = next(model.parameters()).shape[1]
    with pytest.raises(UsageError, match=r"^some-option: needs a model that ends in a feature map .* one linear layer"):
        ActivationMaps(model, "some-option", (channels, 48, 48))


def test_map_of_one_pixel_is_refused() -> None:
    with pytest.raises(UsageError, match="more than one pixel"):
        ActivationMaps(Ending("mean"), "option", (1, 1, 1))
