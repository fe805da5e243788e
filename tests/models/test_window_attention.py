"""Window cross-attention, compared with its equation, and the fusion of landmark and image features."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from fercli.models.window_attention import LandmarkFusion, WindowCrossAttention


def reference(block: WindowCrossAttention, image: Tensor, landmarks: Tensor, heads: int, side: int) -> np.ndarray:
    """Compute the attention of one image (N, C) by loops over the positions."""
    state = {name: tensor.numpy().astype(np.float64) for name, tensor in block.state_dict().items()}
    x, query = image.double().numpy(), landmarks.double().numpy()
    places, channels = x.shape
    d = channels // heads
    both = x @ state["kv.weight"].T + state["kv.bias"]
    keys, values = both[:, :channels], both[:, channels:]
    table = state["bias.relative_position_bias_table"]  # one row per offset, in row-major order
    out = np.empty((places, channels))
    for head in range(heads):
        own = slice(head * d, (head + 1) * d)
        for place in range(places):
            scores = np.empty(places)
            for other in range(places):
                down, across = place // side - other // side, place % side - other % side
                shift = (down + side - 1) * (2 * side - 1) + across + side - 1
                scores[other] = query[place, own] @ keys[other, own] / np.sqrt(d) + table[shift, head]
            weights = np.exp(scores - scores.max())
            out[place, own] = weights @ values[:, own] / weights.sum()
    return out @ state["proj.weight"].T + state["proj.bias"]


def test_attention_matches_its_equation() -> None:
    torch.manual_seed(0)
    heads, side, channels = 2, 3, 8
    block = WindowCrossAttention(channels, heads, side)
    with torch.no_grad():
        block.bias.relative_position_bias_table.normal_()
    image, landmarks = torch.randn(2, side**2, channels), torch.randn(2, side**2, channels)
    found = block(image, landmarks).detach().numpy()
    for k in range(2):
        np.testing.assert_allclose(found[k], reference(block, image[k], landmarks[k], heads, side), atol=1e-5)
    swapped = block(landmarks, image).detach().numpy()
    assert np.abs(found - swapped).max() > 0.1  # queries and keys are not interchangeable


def test_attention_has_a_bias_per_offset_and_head() -> None:
    shapes = {name: tuple(p.shape) for name, p in WindowCrossAttention(64, 2, 28).named_parameters()}
    assert shapes == {
        "bias.relative_position_bias_table": (55**2, 2),
        "kv.weight": (128, 64), "kv.bias": (128,), "proj.weight": (64, 64), "proj.bias": (64,),
    }  # fmt: skip


def test_fusion_adds_attention_and_mlp_to_the_normalised_image() -> None:
    torch.manual_seed(1)
    fusion = LandmarkFusion(8, 2, 4, drop_path=0.5).eval()
    image, landmarks = torch.randn(2, 8, 8, 8), torch.randn(2, 8, 4, 4)
    for scale in (fusion.scale1, fusion.scale2):
        assert torch.equal(scale.gamma, torch.full((8,), 1e-5))
        with torch.no_grad():
            scale.gamma.uniform_(0.5, 1)

    def rows(x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1).reshape(2, 16, 8)

    x = fusion.norm1(rows(fusion.reduce(image)))
    x = x + fusion.scale1.gamma * fusion.attention(x, rows(landmarks))
    x = x + fusion.scale2.gamma * fusion.mlp(fusion.norm2(x))
    found = fusion(image, landmarks)
    assert found.shape == landmarks.shape
    torch.testing.assert_close(rows(found), x)


def test_fusion_is_independent_of_the_batch() -> None:
    torch.manual_seed(2)
    fusion = LandmarkFusion(8, 2, 4).eval()
    with torch.no_grad():
        fusion.scale1.gamma.fill_(1)
    image, landmarks = torch.randn(3, 8, 8, 8), torch.randn(3, 8, 4, 4)
    together = fusion(image, landmarks)
    for k in range(3):
        torch.testing.assert_close(fusion(image[k : k + 1], landmarks[k : k + 1]), together[k : k + 1])
    assert (fusion(image, landmarks.flip(0)) - together).abs().max() > 0.01


def test_drop_path_is_only_active_in_training() -> None:
    torch.manual_seed(3)
    fusion = LandmarkFusion(8, 2, 2, drop_path=0.5)
    with torch.no_grad():
        fusion.scale1.gamma.fill_(1)
    image, landmarks = torch.randn(1, 8, 4, 4).expand(64, -1, -1, -1), torch.randn(1, 8, 2, 2).expand(64, -1, -1, -1)
    found = fusion.train()(image, landmarks).detach().flatten(1)
    plain = fusion.norm1(fusion.reduce(image).flatten(2).transpose(1, 2)).transpose(1, 2).flatten(1)
    dropped = ((found - plain).abs().amax(1) < 1e-3).sum().item()
    assert 16 < dropped < 48
    evaluated = fusion.eval()(image, landmarks).detach().flatten(1)
    torch.testing.assert_close(evaluated, evaluated[:1].expand_as(evaluated))
