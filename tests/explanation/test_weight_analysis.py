"""Weight analysis: compared with explicit loops, and the layers found in every model."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from torch import Tensor, nn

from fercli.errors import DataError
from fercli.explanation.weight_analysis import contributions, final_layers
from fercli.explanation.weights_plot import strongest, weights_plot
from tests.helpers.models import Member, each_member

CHAINS = {
    "quick": ["classifier"],
    "resnet18": ["fc"],
    "emotionnet": ["backbone.fc"],
    "resemotenet": ["classifier.0", "classifier.3", "classifier.6", "classifier.9"],
}


def reference(weights: list[np.ndarray]) -> np.ndarray:
    """Compute Gedeon's measure by loops, backwards from the outputs: Q of a layer's neurons, then of their inputs."""
    outputs = weights[-1].shape[0]
    found = []
    for output in range(outputs):
        above = [1.0 if k == output else 0.0 for k in range(outputs)]
        for weight in reversed(weights):
            neurons, inputs = weight.shape
            below = []
            for i in range(inputs):
                q = 0.0
                for j in range(neurons):
                    q += abs(weight[j, i]) / sum(abs(weight[j, p]) for p in range(inputs)) * above[j]
                below.append(q)
            above = below
        found.append(above)
    return np.array(found)


@pytest.mark.parametrize("sides", [(5, 3), (4, 6, 2), (7, 3, 5, 2), (2, 9, 8, 4, 3)])
def test_shares_match_the_reference(sides: tuple[int, ...]) -> None:
    generator = np.random.default_rng(len(sides))
    weights = [generator.normal(size=(after, before)) for before, after in pairwise(sides)]
    shares = contributions(weights)
    assert shares.shape == (sides[-1], sides[0])
    np.testing.assert_allclose(shares, reference(weights), rtol=1e-12)


def test_shares_of_one_layer() -> None:
    np.testing.assert_allclose(contributions([np.array([[1.0, -3.0], [0.0, 2.0]])]), [[0.25, 0.75], [0.0, 1.0]])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 7), min_size=2, max_size=5), st.integers(0, 10**6), st.floats(1e-12, 1e12))
def test_shares_of_an_output_add_up_to_one(sides: list[int], seed: int, scale: float) -> None:
    generator = np.random.default_rng(seed)
    weights = [
        scale * generator.normal(size=(after, before)) * (generator.random((after, before)) < 0.6)
        for before, after in pairwise(sides)
    ]
    shares = contributions(weights)
    assert (shares >= 0).all()
    np.testing.assert_allclose(shares.sum(1), 1)
    # Neither the scale nor the sign of the weights matters.
    np.testing.assert_allclose(contributions([-3 * weight for weight in weights]), shares)


def test_inputs_of_a_zero_neuron_get_equal_shares() -> None:
    np.testing.assert_allclose(contributions([np.zeros((2, 4))]), np.full((2, 4), 0.25))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_rejected(bad: float) -> None:
    with pytest.raises(DataError, match="contain NaN or infinite weights"):
        contributions([np.array([[1.0, bad]])])


# --- layers ---


@pytest.mark.slow
@each_member
def test_chain_of_every_model(member: Member) -> None:
    spec, side = member.spec, member.preprocessing.input_size
    with torch.device("meta"):
        model = member.build(3).eval()
        if spec.name == "arbex":
            with pytest.raises(DataError, match="does not end in a fully connected layer"):
                final_layers(model, torch.zeros(1, spec.channels, side, side))
            return
        layers = final_layers(model, torch.zeros(1, spec.channels, side, side))
    names = [name for name, _ in layers]
    assert names == CHAINS.get(spec.name, names)
    assert layers[-1][1].out_features == 3
    for (_, before), (_, after) in pairwise(layers):
        assert before.out_features == after.in_features
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())


class Head(nn.Module):
    """A network over (B, 1, 4, 4) with one of several heads."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.gate = nn.Linear(16, 16)
        self.wide = nn.Linear(16, 16)
        self.norm = nn.BatchNorm1d(16)
        self.relu = nn.ReLU(inplace=True)
        self.last = nn.Linear(16, 3, bias=False)
        self.conv = nn.Conv2d(1, 3, 4)

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(1)
        if self.kind == "plain":
            return self.last(self.relu(self.norm(self.relu(self.wide(flat)))))
        if self.kind == "gated":
            return self.last(self.wide(flat) * torch.sigmoid(self.gate(flat)))
        if self.kind == "residual":
            return self.last(flat + self.wide(flat))
        if self.kind == "scaled":
            return 3 * self.last(torch.tanh(self.gate(self.wide(flat))))
        if self.kind == "convolution":
            return self.conv(x).flatten(1)
        return self.wide(flat)[:, :3]  # part of a layer


@pytest.mark.parametrize(
    ("kind", "chain"),
    [
        ("plain", ["wide", "last"]),
        ("gated", ["last"]),
        ("residual", ["last"]),
        ("scaled", ["wide", "gate", "last"]),
    ],
)
@pytest.mark.parametrize("frozen", [False, True])
def test_chain_ends_where_paths_join(kind: str, chain: list[str], frozen: bool) -> None:
    model = Head(kind).eval().requires_grad_(not frozen)
    with torch.no_grad():
        assert [name for name, _ in final_layers(model, torch.zeros(1, 1, 4, 4))] == chain
    assert all(parameter.requires_grad is not frozen for parameter in model.parameters())


@pytest.mark.parametrize("kind", ["convolution", "part"])
def test_model_without_a_final_linear_layer_is_rejected(kind: str) -> None:
    with pytest.raises(DataError, match="does not end in a fully connected layer"):
        final_layers(Head(kind).eval(), torch.zeros(1, 1, 4, 4))


# --- plot ---


def test_strongest_features_first_and_ties_by_index() -> None:
    assert strongest(np.array([0.1, 0.3, 0.1, 0.5]), 3) == [3, 1, 0]
    assert strongest(np.array([0.5, 0.5])) == [0, 1]


@pytest.mark.slow
@pytest.mark.parametrize("emotions", [["happy"], ["a", "$\\x$", "s\nad", "<b>" * 20], [f"e{i}" for i in range(8)]])
def test_plot_accepts_any_emotion_names(emotions: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *a, **k: (drawn.append(self), save(self, *a, **k))[1])
    shares = np.random.default_rng(0).dirichlet(np.ones(30), len(emotions))
    png = weights_plot(shares, emotions, "title $x$")
    assert png.startswith(b"\x89PNG")
    panels = [axes for axes in drawn[0].axes if axes.get_visible()]
    assert len(panels) == len(emotions) + 1
    for axes, share in zip(panels, [*shares, shares.mean(0)], strict=True):
        assert [bar.get_width() for bar in axes.patches] == pytest.approx(sorted(share, reverse=True)[:10])
        labels = [text.get_text() for text in axes.get_yticklabels()]
        assert labels == [str(feature) for feature in strongest(share)]
