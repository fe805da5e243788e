"""PAtt-Lite: truncation, patches and attention, compared with their definitions in numpy."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
import timm
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from fercli.models.patt_lite import DotProductAttention, Patches, PAttLite, ProjectedAttention, pad_same
from fercli.models.pretrained import load_matching
from fercli.models.registry import create_model, find_model
from tests.helpers.models import shapes_of

Array = npt.NDArray[np.float32]
NAMES = ("patt-lite", "patt-lite-mobilenetv2", "patt-lite-mobilenetv3")


@pytest.fixture(scope="module")
def model() -> PAttLite:
    with torch.device("meta"):
        return PAttLite(7).eval()


def softmax(scores: Array) -> Array:
    exponents = np.exp(scores - scores.max(-1, keepdims=True))
    return np.asarray(exponents / exponents.sum(-1, keepdims=True))


# --- sizes ---


def test_parameters_and_statistics_match_the_authors_count(model: PAttLite) -> None:
    widths = (32, 64, 128, 128, 256, 256, 512, 512, 512)  # before each of nine blocks
    norms = [32, *widths, *widths[1:]]  # after the stem, each depthwise and each 1x1 convolution
    backbone = 3 * 32 * 9 + sum(9 * w for w in widths) + sum(a * b for a, b in pairwise(widths))
    patches = (512 * 16 + 512 * 256 + 256) + (256 * 4 + 256 * 256 + 256) + (256 * 256 + 256)
    head = (256 * 32 + 32) + 2 * 32 + 1 + (32 * 7 + 7)
    assert backbone + 2 * sum(norms) + patches + head == 1_093_000
    assert sum(p.numel() for p in model.parameters()) == 1_093_000
    assert all(p.requires_grad for p in model.parameters())
    statistics = sum(b.numel() for name, b in model.named_buffers() if "num_batches" not in name)
    assert statistics == 2 * (sum(norms) + 32) == 9_664
    assert 1_093_000 + statistics == 1_102_664


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "theirs", "channels"),
    [
        ("patt-lite-mobilenetv2", lambda: torchvision.models.mobilenet_v2().features[:-5], 96),
        ("patt-lite-mobilenetv3", lambda: torchvision.models.mobilenet_v3_large().features[:-1], 160),
    ],
)
def test_other_backbones_are_truncated_as_in_the_ensembles_code(
    name: str, theirs: type[nn.Module], channels: int
) -> None:
    with torch.device("meta"):
        cut, model = theirs().eval(), create_model(name, 7).eval()
        image = torch.empty(1, 3, 224, 224)
        assert model.backbone(image).shape == cut(image).shape
        assert cut(image).shape[1] == channels
    backbone = sum(p.numel() for p in cut.parameters())
    assert sum(p.numel() for p in model.backbone.parameters()) == backbone
    patches = (channels * 256 * 16 + 256) + (256 * 256 * 4 + 256) + (256 * 256 + 256)
    attention = 4 * (32 * 32 + 32)  # query, key, value, and output
    head = (256 * 32 + 32) + 2 * 32 + attention + (32 * 7 + 7)
    assert sum(p.numel() for p in model.parameters()) == backbone + patches + head == find_model(name).parameters


def test_shapes_of_each_part(model: PAttLite) -> None:
    expected = {
        "backbone.conv_stem": (32, 112, 112),
        "backbone": (512, 14, 14),
        "patches.0": (256, 4, 4),
        "patches.1": (256, 2, 2),
        "patches": (256, 2, 2),
        "dense": (4, 32),
        "attention": (4, 32),
        "classifier": (7,),
    }
    assert list(shapes_of(model, 224, expected).items()) == list(expected.items())  # order included


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "side", "patches"),
    [
        ("patt-lite", 128, 1),
        ("patt-lite", 129, 4),
        ("patt-lite-mobilenetv2", 224, 4),
        ("patt-lite-mobilenetv3", 224, 1),
        ("patt-lite-mobilenetv3", 256, 1),
        ("patt-lite-mobilenetv3", 257, 4),
    ],
)
def test_number_of_patches(name: str, side: int, patches: int) -> None:
    with torch.device("meta"):
        model = create_model(name, 7).eval()
    assert shapes_of(model, side, ("attention",)) == {"attention": (patches, 32)}


# --- the backbone ---


def test_mobilenetv1_ends_after_the_depthwise_half_of_block_9(model: PAttLite) -> None:
    convolutions = [m for m in model.backbone.modules() if isinstance(m, nn.Conv2d)]
    found = [(m.out_channels, m.kernel_size[0], m.stride[0], m.groups) for m in convolutions]
    widths, halving = (32, 64, 128, 128, 256, 256, 512, 512, 512), (2, 4, 6)
    blocks = []
    for number, (width, wider) in enumerate(zip(widths, (*widths[1:], 0), strict=True), 1):
        blocks += [(width, 3, 2 if number in halving else 1, width), (wider, 1, 1, 1)]
    assert found == [(32, 3, 2, 1), *blocks[:-1]]  # without the last block's 1x1 convolution
    assert all(m.bias is None and m.padding[0] == m.kernel_size[0] // 2 for m in convolutions)
    activations = [m for m in model.backbone.modules() if isinstance(m, nn.ReLU6)]
    assert len(activations) == len(convolutions)  # one after each


@pytest.mark.parametrize(
    ("name", "last"), [(NAMES[0], "blocks.3.3.bn1"), (NAMES[1], "blocks.4"), (NAMES[2], "blocks.5")]
)
def test_backbone_matches_timm_up_to_the_cut(name: str, last: str) -> None:
    spec = find_model(name)
    torch.manual_seed(0)
    whole = timm.create_model(spec.imagenet.partition(".")[0]).eval()
    for module in whole.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 0.1)  # to detect swapped names
    seen: list[torch.Tensor] = []
    whole.get_submodule(last).register_forward_hook(lambda _m, _i, out: seen.append(out))
    image = torch.randn(1, 3, 64, 64)
    ours = create_model(name, 7).eval()
    report = load_matching(ours, {spec.imagenet_prefix + key: tensor for key, tensor in whole.state_dict().items()})
    assert not [key for key in report.new if key.startswith(spec.imagenet_prefix)]
    with torch.inference_mode():
        whole(image)
        assert seen[0].std() > 1e-3
        torch.testing.assert_close(ours.backbone(image), seen[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_normalisation_matches_the_pretrained_weights(name: str) -> None:
    spec = find_model(name)
    config = timm.get_pretrained_cfg(spec.imagenet)
    assert config is not None
    assert config.has_weights
    assert (config.mean, config.std) == (spec.mean, spec.std)
    assert config.input_size == (3, spec.input_size, spec.input_size)


# --- patches ---


@pytest.mark.parametrize(
    ("side", "window", "before", "after"), [(14, 4, 1, 1), (7, 4, 0, 1), (5, 4, 1, 2), (8, 4, 0, 0), (3, 2, 0, 1)]
)
def test_padding_to_a_multiple_of_the_window(side: int, window: int, before: int, after: int) -> None:
    x = torch.rand(1, 1, side, side + window) + 1
    padded = pad_same(x, window)
    expected = np.pad(x.numpy(), ((0, 0), (0, 0), (before, after), (before, after)))
    np.testing.assert_array_equal(padded.numpy(), expected)
    assert padded.shape[2] == -(-side // window) * window


def windows(x: Array, window: int) -> Array:
    """Split a padded map (C, H, W) into windows, (rows, columns, C, window, window)."""
    rows, columns = x.shape[1] // window, x.shape[2] // window
    cut = [[x[:, r * window :, c * window :][:, :window, :window] for c in range(columns)] for r in range(rows)]
    return np.array(cut)


@pytest.mark.parametrize("separable", [True, False])
def test_patches_match_numpy(separable: bool) -> None:
    torch.manual_seed(0)
    layer, x = Patches(3, 5, 4, separable), torch.randn(1, 3, 14, 14)
    cut = windows(np.pad(x[0].numpy(), ((0, 0), (1, 1), (1, 1))), 4)
    weight, bias = layer.pointwise.weight.detach().numpy(), layer.pointwise.bias.detach().numpy()
    if separable:
        assert {name for name, _ in layer.named_parameters()} == {
            "depthwise.weight",
            "pointwise.weight",
            "pointwise.bias",
        }
        alone = np.einsum("rcxij,xij->rcx", cut, layer.depthwise.weight.detach().numpy()[:, 0])
        mixed = np.einsum("rcx,yx->yrc", alone, weight[:, :, 0, 0])
    else:
        mixed = np.einsum("rcxij,yxij->yrc", cut, weight)
    with torch.inference_mode():
        found = layer(x)[0].numpy()
    assert found.shape == (5, 4, 4)
    assert (found == 0).any()  # ReLU
    np.testing.assert_allclose(found, np.maximum(mixed + bias[:, None, None], 0), atol=1e-5)


# --- attention ---


def test_attention_without_projections_matches_its_equation() -> None:
    torch.manual_seed(0)
    attention, x = DotProductAttention(), torch.randn(2, 4, 32) / 3
    assert attention.scale.item() == 1
    with torch.no_grad():
        attention.scale.fill_(0.5)
        found = attention(x).numpy()
    for image, mixed in zip(x.numpy(), found, strict=True):
        np.testing.assert_allclose(mixed, softmax(0.5 * image @ image.T) @ image, atol=1e-5)


def test_attention_with_projections_matches_its_equation() -> None:
    torch.manual_seed(0)
    attention, x = ProjectedAttention(32), torch.randn(2, 4, 32)
    state = {name.removeprefix("attention."): tensor.numpy() for name, tensor in attention.state_dict().items()}
    with torch.inference_mode():
        found = attention(x).numpy()
    for image, mixed in zip(x.numpy(), found, strict=True):
        query, key, value = np.split(image @ state["in_proj_weight"].T + state["in_proj_bias"], 3, axis=1)
        attended = softmax(query @ key.T / np.sqrt(32)) @ value
        np.testing.assert_allclose(mixed, attended @ state["out_proj.weight"].T + state["out_proj.bias"], atol=1e-5)


def test_head_matches_numpy_and_is_independent_of_the_batch() -> None:
    torch.manual_seed(0)
    model = PAttLite(7, cut=(1, 1)).eval()
    with torch.no_grad():
        nn.init.normal_(model.norm.running_mean)
        nn.init.normal_(model.norm.weight)
        maps = model.patches(model.backbone(torch.randn(1, 3, 64, 64)))
        weight, bias = model.dense.weight.numpy(), model.dense.bias.numpy()
        patches = maps[0].flatten(1).numpy().T  # (4, 256)
        dense = np.maximum(patches @ weight.T + bias, 0)
        centred = (dense - model.norm.running_mean.numpy()) / np.sqrt(model.norm.running_var.numpy() + 1e-3)
        values = centred * model.norm.weight.numpy() + model.norm.bias.numpy()
        average = (softmax(values @ values.T) @ values).mean(0)
        expected = average @ model.classifier.weight.numpy().T + model.classifier.bias.numpy()
        torch.manual_seed(0)
        found = PAttLite(7, cut=(1, 1)).eval()
        found.load_state_dict(model.state_dict())
        found.backbone, found.patches = nn.Identity(), nn.Identity()
        alone = found(maps)
        np.testing.assert_allclose(alone[0].numpy(), expected, atol=1e-5)
        # The authors' attention would mix the images of a batch.
        torch.testing.assert_close(found(torch.cat([maps, 3 * maps, maps.flip(1)]))[:1], alone)


def test_batch_norm_treats_patches_as_samples() -> None:
    torch.manual_seed(0)
    model = PAttLite(7, cut=(1, 1)).train()
    image = torch.randn(3, 3, 64, 64)
    seen: list[torch.Tensor] = []
    model.norm.register_forward_hook(lambda _m, i, _o: seen.append(i[0]))
    model(image)
    assert seen[0].shape == (3 * 4, 32)
    # Keras' momentum is 0.99.
    torch.testing.assert_close(model.norm.running_mean, 0.01 * seen[0].mean(0))
    assert model.norm.eps == 1e-3


# --- dropout ---


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "expected"),
    [("mobilenetv1", (0.0, 0.1, 0.0)), ("mobilenetv2", (0.0, 0.0, 0.2)), ("mobilenetv3", (0.0, 0.0, 0.2))],
)
def test_dropout_matches_the_authors_code(backbone: str, expected: tuple[float, ...]) -> None:
    with torch.device("meta"):
        model = PAttLite(7, backbone)
    found = {name: m.p for name, m in model.named_modules() if isinstance(m, nn.Dropout | nn.Dropout2d)}
    assert found == dict(zip(("channel_dropout", "patch_dropout", "dropout"), expected, strict=True))


def test_channel_dropout_is_shared_by_the_patches_of_an_image() -> None:
    torch.manual_seed(0)
    model = PAttLite(7, cut=(1, 1)).train()
    model.channel_dropout.p, model.patch_dropout.p = 0.5, 0.0
    seen: list[torch.Tensor] = []
    model.dense.register_forward_hook(lambda _m, i, _o: seen.append(i[0]))
    model.backbone, model.patches = nn.Identity(), nn.Identity()
    model(torch.ones(2, 256, 2, 2))
    dropped = seen[0] == 0  # (2, 4, 256)
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))
    assert 0.3 < dropped.float().mean() < 0.7
    assert not torch.equal(dropped[0], dropped[1])
    assert F.relu(seen[0]).max() == 2  # the others are scaled up
