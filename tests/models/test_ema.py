"""The moving average of the weights, compared with a loop."""

from __future__ import annotations

import torch
from torch import nn

from fercli.models.ema import ModelEMA


class Small(nn.Module):
    """A convolution and a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)
        self.norm = nn.BatchNorm2d(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.norm(self.conv(x))
        return found


def test_average_matches_a_loop() -> None:
    torch.manual_seed(0)
    model = Small().train()
    average = ModelEMA(model, 0.6)
    expected = {name: tensor.double().clone() for name, tensor in model.state_dict().items()}
    generator = torch.Generator().manual_seed(1)
    for step in range(1, 25):
        model(torch.randn(4, 1, 6, 6, generator=generator))  # moves the norm's running statistics
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=generator))
        average.update(step)
        decay = min(0.6, (1 + step) / (10 + step))
        for name, tensor in model.state_dict().items():
            expected[name] = decay * expected[name] + (1 - decay) * tensor.double()
    for name, tensor in average.model.state_dict().items():
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor.double(), expected[name], rtol=1e-5, atol=1e-5)
    assert not average.model.training
    assert not any(p.requires_grad for p in average.model.parameters())
    assert (average.model.conv.weight - model.conv.weight).abs().max() > 0.1


def test_average_works_with_channels_last_models() -> None:
    model = Small().to(memory_format=torch.channels_last)
    average = ModelEMA(model, 0.5)
    average.model.to(memory_format=torch.channels_last)  # as prediction does
    with torch.no_grad():
        model.conv.weight.fill_(3)
    for step in range(1, 60):
        average.update(step)
    torch.testing.assert_close(average.model.conv.weight, model.conv.weight)
