"""EmoNeXt: spatial transformer, regulariser, layers, and weights of its authors' code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fercli.emotions import EMOTIONS
from fercli.models.attention import SqueezeExcitation
from fercli.models.emonext import AttentionRegulariser, EmoNeXt, SpatialTransformer
from fercli.models.pretrained import load_pretrained
from fercli.models.registry import create_model, find_model, rename_state
from fercli.models.state_dicts import mismatch
from tests.helpers.models import random_state

SPEC = find_model("emonext-tiny")
SIZES = {
    "tiny": ((3, 3, 9, 3), 96),
    "small": ((3, 3, 27, 3), 96),
    "base": ((3, 3, 27, 3), 128),
    "large": ((3, 3, 27, 3), 192),
    "xlarge": ((3, 3, 27, 3), 256),
}


def reduced() -> EmoNeXt:
    torch.manual_seed(0)
    model = create_model("emonext-tiny", 7, reduced=True)
    assert isinstance(model, EmoNeXt)
    return model


# --- the spatial transformer ---


@pytest.mark.parametrize("side", [32, 48, 64, 100])
def test_spatial_transformer_starts_as_the_identity(side: int) -> None:
    stn, x = reduced().stn, torch.rand(2, 3, side, side)
    with torch.inference_mode():
        torch.testing.assert_close(stn.matrices(x), torch.eye(2, 3).expand(2, 2, 3))
        torch.testing.assert_close(stn(x), x, rtol=0, atol=1e-4)


def test_spatial_transformer_stays_exact_under_autocast() -> None:
    stn, x = reduced().stn, torch.rand(1, 3, 200, 200)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(stn(x), x, rtol=0, atol=1e-4)


def with_matrix(stn: SpatialTransformer, *matrix: float) -> SpatialTransformer:
    """Make a newly initialised transformer return this matrix for every face."""
    with torch.no_grad():
        stn.regression[-1].bias.copy_(torch.tensor(matrix))
    return stn


def test_spatial_transformer_mirrors_and_shifts() -> None:
    stn, x = reduced().stn, torch.rand(2, 3, 33, 33)
    with torch.inference_mode():
        torch.testing.assert_close(with_matrix(stn, -1, 0, 0, 0, 1, 0)(x), x.flip(3), rtol=0, atol=1e-4)
        torch.testing.assert_close(with_matrix(stn, 0, 1, 0, 1, 0, 0)(x), x.transpose(2, 3), rtol=0, atol=1e-4)
        # Half the side is 16 pixels: the output's left edge is the input's middle, and its right half is outside.
        shifted = with_matrix(stn, 1, 0, 1, 0, 1, 0)(x)
        torch.testing.assert_close(shifted[..., :17], x[..., 16:], rtol=0, atol=1e-4)
        assert not shifted[..., 17:].any()


def test_spatial_transformer_matches_affine_grid() -> None:
    model = reduced()
    nn.init.normal_(model.stn.regression[-1].weight, std=0.1)
    x = torch.rand(3, 3, 40, 56)
    with torch.inference_mode():
        matrices = model.stn.matrices(x)
        grid = F.affine_grid(matrices, list(x.shape), align_corners=True)
        torch.testing.assert_close(model.stn(x), F.grid_sample(x, grid, align_corners=True), rtol=0, atol=1e-4)
    assert (matrices[0] - matrices[1]).abs().max() > 1e-4  # one per face


def test_localisation_does_not_pool_at_224_px() -> None:
    with torch.device("meta"):
        stn = SpatialTransformer()
        assert stn.localization(torch.empty(1, 3, 224, 224)).shape == (1, 10, 52, 52)
    assert stn.regression[0].in_features == 10 * 52 * 52


# --- the regulariser ---


def test_regulariser_matches_computed_values() -> None:
    term = AttentionRegulariser(2)
    for layer in (term.query, term.key):
        nn.init.eye_(layer.weight)
        nn.init.zeros_(layer.bias)
    faces = torch.tensor([[3.0, -3.0], [-5.0, 5.0]])  # normalised: (1, -1) and (-1, 1); products 2 and -2
    # Divided by the fourth root of 2, 1.1892, then softmax: 1 / (1 + exp(-4 / 1.1892)) = 0.96655.
    weights = torch.tensor([[0.96655, 0.03345], [0.03345, 0.96655]])
    with torch.inference_mode():
        torch.testing.assert_close(term.weights(faces), weights, rtol=0, atol=1e-5)
        torch.testing.assert_close(term(faces), torch.tensor(0.46655**2), rtol=0, atol=1e-5)
        assert term(faces[:1].expand(4, 2)) == pytest.approx(0, abs=1e-12)  # four equal faces: all weights 1/4


def test_training_only_adds_the_regulariser() -> None:
    model, x = reduced().eval(), torch.rand(4, 3, 64, 64)
    found: list[Tensor] = []
    model.attention.register_forward_hook(lambda _m, given, _out: found.append(given[0]))
    logits, term = model.training_forward(x, torch.tensor([0, 1, 2, 3]))
    with torch.inference_mode():
        torch.testing.assert_close(logits, model(x))
    (vectors,) = found
    assert vectors.shape == (4, 128)
    torch.testing.assert_close(logits, model.backbone.head.fc(vectors))
    weights = model.attention.weights(vectors)
    torch.testing.assert_close(weights.sum(1), torch.ones(4))
    torch.testing.assert_close(term, ((weights - weights.mean()) ** 2).mean())
    term.backward()
    reached = {name for name, p in model.attention.named_parameters() if p.grad is not None and p.grad.any()}
    assert {"norm.weight", "query.weight", "key.weight"} <= reached
    assert not any(name.startswith("value") for name in reached)
    assert model.backbone.stem[0].weight.grad.any()


# --- the network ---


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_squeeze_excitation_ends_each_downsampling_layer(size: str) -> None:
    with torch.device("meta"):
        model = create_model(f"emonext-{size}", 7)
    attentions = {name: m for name, m in model.named_modules() if isinstance(m, SqueezeExcitation)}
    assert list(attentions) == [f"backbone.stages.{stage}.downsample.2" for stage in (1, 2, 3)]
    depths, width = SIZES[size]
    for stage, block in enumerate(attentions.values(), 1):
        downsample = model.backbone.stages[stage].downsample
        assert [type(part).__name__ for part in downsample][1:] == ["Conv2d", "SqueezeExcitation"]
        assert (downsample[1].kernel_size, downsample[1].stride) == ((2, 2), (2, 2))
        assert (block.reduce.in_features, block.reduce.out_features) == (width * 2**stage, width * 2**stage // 16)
    assert tuple(len(stage.blocks) for stage in model.backbone.stages) == depths


def test_drop_path_increases_and_layer_scale_starts_small() -> None:
    model = EmoNeXt(7, depths=(1, 1, 2, 1), widths=(16, 16, 16, 16), places=2)
    blocks = [block for stage in model.backbone.stages for block in stage.blocks]
    assert [getattr(block.drop_path, "drop_prob", 0.0) for block in blocks] == pytest.approx(
        [0, 0.025, 0.05, 0.075, 0.1]
    )
    assert all((block.gamma == 1e-6).all() for block in blocks)


# --- weights of its authors' code ---


def authors_logits(x: Tensor, state: dict[str, Tensor], depths: tuple[int, ...]) -> Tensor:
    """Compute the logits from a state_dict of the authors' code, following its structure."""

    def wb(name: str) -> tuple[Tensor, Tensor]:
        return state[f"{name}.weight"], state[f"{name}.bias"]

    def channel_norm(x: Tensor, name: str) -> Tensor:
        weight, bias = (part[:, None, None] for part in wb(name))
        centred = x - x.mean(1, keepdim=True)
        return centred / (centred.square().mean(1, keepdim=True) + 1e-6).sqrt() * weight + bias

    y = x
    for conv, norm in ((0, 1), (4, 5)):
        y = F.conv2d(y, *wb(f"localization.{conv}"))
        name = f"localization.{norm}"
        y = F.batch_norm(y, state[f"{name}.running_mean"], state[f"{name}.running_var"], *wb(name))
        y = F.relu(F.max_pool2d(y, 2))
    theta = F.linear(F.relu(F.linear(y.flatten(1), *wb("fc_loc.0"))), *wb("fc_loc.2")).view(-1, 2, 3)
    x = F.grid_sample(x, F.affine_grid(theta, list(x.shape), align_corners=True), align_corners=True)
    for stage in range(4):
        down = f"downsample_layers.{stage}"
        if stage == 0:
            x = channel_norm(F.conv2d(x, *wb(f"{down}.0"), stride=4), f"{down}.1")
        else:
            x = F.conv2d(channel_norm(x, f"{down}.0"), *wb(f"{down}.1"), stride=2)
            squeezed = F.relu(x.mean((2, 3)) @ state[f"{down}.2.fc.0.weight"].T) @ state[f"{down}.2.fc.2.weight"].T
            x = x * torch.sigmoid(squeezed)[:, :, None, None]
        for number in range(depths[stage]):
            name = f"stages.{stage}.{number}"
            y = channel_norm(F.conv2d(x, *wb(f"{name}.dwconv"), padding=3, groups=x.shape[1]), f"{name}.norm")
            y = F.linear(F.gelu(F.linear(y.movedim(1, -1), *wb(f"{name}.pwconv1"))), *wb(f"{name}.pwconv2"))
            x = x + (state[f"{name}.gamma"] * y).movedim(-1, 1)
    vectors = F.layer_norm(x.mean((2, 3)), (x.shape[1],), *wb("norm"), eps=1e-6)
    return F.linear(vectors, *wb("head"))


def authors_shapes(depths: tuple[int, ...], widths: tuple[int, ...], places: int) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of the authors' state_dict for seven classes."""
    shapes: dict[str, tuple[int, ...]] = {}

    def layer(name: str, *weight: int) -> None:
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = weight, weight[:1]

    for conv, inputs, outputs, kernel in ((0, 3, 8, 7), (4, 8, 10, 5)):
        layer(f"localization.{conv}", outputs, inputs, kernel, kernel)
        layer(f"localization.{conv + 1}", outputs)
        shapes.update({f"localization.{conv + 1}.{part}": (outputs,) for part in ("running_mean", "running_var")})
        shapes[f"localization.{conv + 1}.num_batches_tracked"] = ()
    layer("fc_loc.0", 32, 10 * places**2)
    layer("fc_loc.2", 6, 32)
    layer("downsample_layers.0.0", widths[0], 3, 4, 4)
    layer("downsample_layers.0.1", widths[0])
    for stage, (depth, width) in enumerate(zip(depths, widths, strict=True)):
        if stage:
            down = f"downsample_layers.{stage}"
            layer(f"{down}.0", widths[stage - 1])
            layer(f"{down}.1", width, widths[stage - 1], 2, 2)
            shapes[f"{down}.2.fc.0.weight"] = (width // 16, width)
            shapes[f"{down}.2.fc.2.weight"] = (width, width // 16)
        for number in range(depth):
            name = f"stages.{stage}.{number}"
            shapes[f"{name}.gamma"] = (width,)
            layer(f"{name}.dwconv", width, 1, 7, 7)
            layer(f"{name}.norm", width)
            layer(f"{name}.pwconv1", 4 * width, width)
            layer(f"{name}.pwconv2", width, 4 * width)
    layer("norm", widths[-1])
    layer("attention.norm", widths[-1])
    for part in ("query", "key", "value"):
        layer(f"attention.{part}", widths[-1], widths[-1])
    layer("head", 7, widths[-1])
    return shapes


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_authors_state_dict_maps_to_every_parameter(size: str) -> None:
    depths, width = SIZES[size]
    shapes = authors_shapes(depths, tuple(width * 2**k for k in range(4)), 52)
    with torch.device("meta"):
        own = create_model(f"emonext-{size}", 7).state_dict()
        given = {name: torch.empty(shape) for name, shape in shapes.items()}
    renamed = rename_state(find_model(f"emonext-{size}"), given)
    assert len(renamed) == len(given)  # no name collisions
    assert mismatch(own, renamed) == ""


@pytest.mark.slow
def test_authors_state_dict_gives_the_same_logits(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = authors_shapes(SPEC.reduced["depths"], SPEC.reduced["widths"], SPEC.reduced["places"])
    state = random_state(shapes, generator)
    state["fc_loc.2.weight"] *= 0.1
    state["fc_loc.2.bias"] = torch.tensor([0.9, 0.1, 0.0, -0.2, 1.0, 0.1])
    # As written by their trainer: trained weights, averaged weights (ema-pytorch) used for evaluation, a NumPy scalar.
    trained = {name: torch.zeros_like(tensor) for name, tensor in state.items()}
    average = {"initted": torch.tensor(True), "step": torch.tensor(16)}
    average |= {f"online_model.{name}": tensor for name, tensor in trained.items()}
    average |= {f"ema_model.{name}": tensor for name, tensor in state.items()}
    torch.save({"model": trained, "ema": average, "best_acc": np.float64(70.1)}, tmp_path / "theirs.pt")
    options = SPEC.check_options({"reduced": True})
    model = create_model("emonext-tiny", 7, **options)
    report = load_pretrained(model, SPEC, str(tmp_path / "theirs.pt"), EMOTIONS, options)
    assert (report.new, report.unused) == ([], [])
    x = torch.rand(3, 3, 64, 64, generator=generator)
    with torch.inference_mode():
        ours, expected = model.eval()(x), authors_logits(x, state, SPEC.reduced["depths"])
    expected = expected[:, [sorted(EMOTIONS).index(emotion) for emotion in EMOTIONS]]  # folders sorted by name
    assert "EmoNeXt's authors': angry, disgust, fear, happy, neutral, sad, surprise" in str(report)
    assert "the moving average, 'ema', which such training code evaluates" in str(report)
    assert (expected[0] - expected[1]).abs().max() > 1e-3
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_convnext_weights_fit_under_both_naming_schemes() -> None:
    with torch.device("meta"):
        timm_state = timm.create_model("convnext_tiny", num_classes=7).state_dict()
        own = create_model("emonext-tiny", 7).state_dict()
        shapes = authors_shapes(*SIZES["tiny"][:1], (96, 192, 384, 768), 52)
        published = {name: torch.empty(shape) for name, shape in shapes.items()}
    parts = ("downsample_layers", "stages", "norm", "head")
    published = {name: t for name, t in published.items() if name.startswith(parts) and ".2.fc." not in name}
    found = [rename_state(SPEC, state) for state in (timm_state, published)]
    backbone = {name for name in own if name.startswith("backbone.") and ".downsample.2." not in name}
    for state in found:
        assert set(state) == backbone
        assert all(state[name].shape == own[name].shape for name in state)
    head = {name for name in backbone if name.startswith("backbone.head.")}
    assert {name for name in own if name.startswith(SPEC.backbone)} == backbone - head  # frozen parts are pretrained


def test_other_state_dicts_are_unchanged() -> None:
    with torch.device("meta"):
        own = create_model("emonext-tiny", 7).state_dict()
    assert rename_state(SPEC, own) is own
