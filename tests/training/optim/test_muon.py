from __future__ import annotations

import pytest
import torch
from torch import nn

from fercli.training.optim.muon import Muon, orthogonalise


@pytest.mark.parametrize("shape", [(16, 72), (72, 16), (32, 32)])
def test_orthogonalise_maps_singular_values_to_about_1_and_keeps_the_vectors(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
    found = orthogonalise(matrix, iterations=8)

    # In the basis of the singular vectors the result is diagonal, with values near 1 unless s was near 0.
    diagonal = u.T @ found @ vh.T
    values = diagonal.diagonal()
    assert torch.allclose(diagonal, torch.diag(values), atol=1e-3)
    assert values[s > 0.1 * s[0]].min() > 0.6
    assert values.max() < 1.3


def test_orthogonalise_is_scale_invariant() -> None:
    matrix = torch.randn(8, 27, generator=torch.Generator().manual_seed(2))
    assert torch.allclose(orthogonalise(matrix), orthogonalise(1000 * matrix), atol=1e-5)


def _model() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 6, 3), nn.Flatten(), nn.Linear(6 * 16, 2))


def test_steps_match_the_formulas() -> None:
    model, lr, momentum, decay = _model(), 0.1, 0.6, 0.01
    optimizer = Muon(model, lr, momentum, decay)
    weights = {name: p.detach().clone() for name, p in model.named_parameters()}
    buffers = {name: torch.zeros_like(w) for name, w in weights.items()}
    x = torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(4))
    for _ in range(3):
        model(x).square().mean().backward()
        gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
        optimizer.step()
        optimizer.zero_grad()
        for name, w in weights.items():
            orthogonal = name == "1.weight"  # the only convolution with more than one input channel
            mu = momentum if orthogonal else 0.9
            g = gradients[name] + (decay * w if w.ndim > 1 and not orthogonal else 0)
            buffers[name] = mu * buffers[name] + g
            g = g + mu * buffers[name]
            if orthogonal:
                w = w * len(w) ** 0.5 / w.norm()
                g = orthogonalise(g.flatten(1)).view_as(w)
            weights[name] = w - lr * g
    for name, p in model.named_parameters():
        assert torch.allclose(p, weights[name], atol=1e-5), name


def test_norm_of_single_output_convolutions_is_not_fixed() -> None:
    # No batch norm follows a convolution with one output channel, so its norm matters.
    model = nn.Sequential(nn.Conv2d(2, 1, 3, bias=False))
    with torch.no_grad():
        model[0].weight.mul_(5)
    before = model[0].weight.detach().clone()
    model(torch.zeros(1, 2, 4, 4)).sum().backward()  # a gradient of zero
    Muon(model, 0.1, 0.6, 0.0).step()
    assert torch.equal(model[0].weight, before)


def test_resuming_from_the_state_is_exact() -> None:
    x = torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(5))

    def steps(model: nn.Module, optimizer: Muon, count: int) -> None:
        for _ in range(count):
            model(x).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()

    whole = _model()
    steps(whole, Muon(whole, 0.1, 0.6, 0.0), 4)
    first = _model()
    optimizer = Muon(first, 0.1, 0.6, 0.0)
    steps(first, optimizer, 2)
    second = _model()
    second.load_state_dict(first.state_dict())
    again = Muon(second, 0.1, 0.6, 0.0)
    again.load_state_dict(optimizer.state_dict())
    steps(second, again, 2)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), second.parameters(), strict=True))
