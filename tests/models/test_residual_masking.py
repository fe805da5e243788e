"""Residual Masking Network: masks, layers, and weights of its authors' code."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from fercli.emotions import EMOTIONS
from fercli.models.pretrained import load_pretrained
from fercli.models.registry import create_model, find_model, rename_state
from fercli.models.residual_masking import MaskingBlock, ResidualMaskingNetwork
from fercli.models.state_dicts import mismatch
from tests.helpers.models import random_state, shapes_of

SPEC = find_model("resmasking")


def lively_block(channels: int, depth: int) -> MaskingBlock:
    """Return a masking block with non-zero residual branches."""
    torch.manual_seed(0)
    block = MaskingBlock(channels, depth).eval()
    for module in block.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
    return block


@pytest.fixture(scope="module")
def whole() -> ResidualMaskingNetwork:
    with torch.device("meta"):
        return ResidualMaskingNetwork(7).eval()


# --- the masking block ---


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_mask_sums_to_1_over_channels_and_scales_residually(depth: int) -> None:
    block, x = lively_block(6, depth), torch.randn(2, 6, 16, 16)
    with torch.inference_mode():
        mask, weighed = block.mask(x), block(x)
    assert mask.shape == x.shape
    assert mask.min() > 0
    torch.testing.assert_close(mask.sum(1), torch.ones(2, 16, 16))
    assert mask.std(1).mean() > 0.01  # not a uniform mask
    torch.testing.assert_close(weighed, x + x * mask)


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize("side", [1, 2, 3, 5, 7, 11])
def test_masks_support_any_map_size(depth: int, side: int) -> None:
    block = MaskingBlock(2, depth).eval()
    assert block.mask(torch.randn(1, 2, side, side + 1)).shape == (1, 2, side, side + 1)


@pytest.mark.parametrize(("depth", "sides"), [(1, [8]), (2, [8, 4]), (3, [8, 4, 2]), (4, [8, 4, 2, 1])])
def test_channels_double_in_the_encoder_and_halve_in_the_decoder(depth: int, sides: list[int]) -> None:
    block, found = MaskingBlock(3, depth).eval(), []
    for part in (*block.down, *block.merge):
        part.register_forward_hook(lambda _m, given, out: found.append((given[0].shape[1:3], out.shape[1:3])))
    block(torch.randn(1, 3, 8, 8))
    down = [((3 * 2**k, side), (6 * 2**k, side)) for k, side in enumerate(sides)]
    # In the decoder each block follows a concatenation with the features of the level above, except the last one.
    levels = [(k, sides[max(k - 1, 0)]) for k in reversed(range(depth))]
    assert found == [*down, *(((6 * 2**k, side), (3 * 2**k, side)) for k, side in levels)]


def test_residual_branches_of_masks_start_at_zero() -> None:
    norms = [m for name, m in MaskingBlock(4, 3).named_modules() if name.endswith("bn2")]
    assert len(norms) == 6
    assert all(not norm.weight.any() for norm in norms)
    backbone = ResidualMaskingNetwork(7, **SPEC.reduced).backbone  # as ResNet itself was published
    assert all(block.bn2.weight.all() for block in backbone.layer1)


# --- the network ---


@pytest.mark.slow
def test_shapes_of_each_part(whole: ResidualMaskingNetwork) -> None:
    expected = {
        "backbone.layer1": (64, 56, 56),
        "masks.0": (64, 56, 56),
        "backbone.layer2": (128, 28, 28),
        "masks.1": (128, 28, 28),
        "backbone.layer3": (256, 14, 14),
        "masks.2": (256, 14, 14),
        "backbone.layer4": (512, 7, 7),
        "masks.3": (512, 7, 7),
        "dropout": (512,),
        "backbone.fc": (7,),
    }
    assert list(shapes_of(whole, 224, expected).items()) == list(expected.items())  # order included


def test_widths_and_dropout(whole: ResidualMaskingNetwork) -> None:
    widest = [mask.down[-1].conv2.out_channels for mask in whole.masks]
    assert widest == [64 * 16, 128 * 8, 256 * 4, 512 * 2]
    assert {name: m.p for name, m in whole.named_modules() if isinstance(m, nn.Dropout)} == {"dropout": 0.4}


# --- weights of its authors' code ---


def authors_logits(x: Tensor, state: dict[str, Tensor]) -> Tensor:
    """Compute the logits from a state_dict of the authors' code, following its structure."""

    def norm(x: Tensor, name: str) -> Tensor:
        mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        return F.batch_norm(x, mean, var, state[f"{name}.weight"], state[f"{name}.bias"])

    def conv(x: Tensor, name: str, by: str, stride: int = 1) -> Tensor:
        weight = state[f"{name}.weight"]
        return norm(F.conv2d(x, weight, None, stride, weight.shape[2] // 2), by)

    def block(x: Tensor, name: str, stride: int = 1) -> Tensor:
        y = F.relu(conv(x, f"{name}.conv1", f"{name}.bn1", stride))
        y = conv(y, f"{name}.conv2", f"{name}.bn2")
        if f"{name}.downsample.0.weight" in state:
            x = conv(x, f"{name}.downsample.0", f"{name}.downsample.1", stride)
        return F.relu(x + y)

    def mask(x: Tensor, name: str, depth: int) -> Tensor:
        levels = []
        for k in range(1, depth + 1):
            x = block(F.max_pool2d(x, 2) if k > 1 else x, f"{name}.conv{k}")
            levels.append(x)
        for k in range(depth + 1, 2 * depth):
            up = f"{name}.up_pool{k}"
            y = F.conv_transpose2d(x, state[f"{up}.0.weight"], state[f"{up}.0.bias"], stride=2)
            skip = levels[2 * depth - 1 - k]
            x = block(torch.cat([F.relu(norm(y, f"{up}.1")), skip], 1), f"{name}.conv{k}")
        return torch.softmax(block(x, f"{name}.conv{2 * depth}"), 1)

    x = F.max_pool2d(F.relu(conv(x, "conv1", "bn1", 2)), 3, 2, 1)
    for stage in (1, 2, 3, 4):
        number = 0
        while f"layer{stage}.{number}.conv1.weight" in state:
            x = block(x, f"layer{stage}.{number}", 2 if stage > 1 and number == 0 else 1)
            number += 1
        x = x * (1 + mask(x, f"mask{stage}", 5 - stage))
    return F.linear(x.mean((2, 3)), state["fc.1.weight"], state["fc.1.bias"])


def authors_shapes(layers: tuple[int, ...], channels: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of the authors' state_dict for seven classes.

    It contains the shortcut of each block of a mask twice: in the block, and in the mask.
    """
    shapes: dict[str, tuple[int, ...]] = {}

    def norm(name: str, channels: int) -> None:
        shapes.update({f"{name}.{part}": (channels,) for part in ("weight", "bias", "running_mean", "running_var")})
        shapes[f"{name}.num_batches_tracked"] = ()

    def conv(name: str, by: str, inputs: int, outputs: int, kernel: int) -> None:
        shapes[f"{name}.weight"] = (outputs, inputs, kernel, kernel)
        norm(by, outputs)

    def block(name: str, inputs: int, outputs: int, shortcuts: list[str]) -> None:
        conv(f"{name}.conv1", f"{name}.bn1", inputs, outputs, 3)
        conv(f"{name}.conv2", f"{name}.bn2", outputs, outputs, 3)
        for shortcut in shortcuts:
            conv(f"{shortcut}.0", f"{shortcut}.1", inputs, outputs, 1)

    conv("conv1", "bn1", 3, 64, 7)
    inputs = 64
    for stage, (count, width) in enumerate(zip(layers, channels, strict=True), 1):
        for number in range(count):
            name = f"layer{stage}.{number}"
            needs = number == 0 and (stage > 1 or inputs != width)
            block(name, inputs if number == 0 else width, width, [f"{name}.downsample"] if needs else [])
        inputs, depth = width, 5 - stage
        widths = [width * 2**k for k in range(depth + 1)]
        path = [*widths, *widths[-2::-1]]  # encoder and decoder
        for k in range(1, 2 * depth + 1):
            name = f"mask{stage}.conv{k}"
            block(name, path[k - 1], path[k], [f"{name}.downsample", f"mask{stage}.downsample{k}"])
        for k in range(depth + 1, 2 * depth):
            up = f"mask{stage}.up_pool{k}"
            shapes[f"{up}.0.weight"], shapes[f"{up}.0.bias"] = (path[k - 1], path[k], 2, 2), (path[k],)
            norm(f"{up}.1", path[k])
    shapes["fc.1.weight"], shapes["fc.1.bias"] = (7, channels[-1]), (7,)
    return shapes


def test_authors_state_dict_maps_to_every_parameter(whole: ResidualMaskingNetwork) -> None:
    shapes = authors_shapes((3, 4, 6, 3), (64, 128, 256, 512))
    with torch.device("meta"):
        given = {name: torch.empty(shape) for name, shape in shapes.items()}
    renamed = rename_state(SPEC, given)
    assert mismatch(whole.state_dict(), renamed) == ""
    twice = [name for name in given if ".downsample" in name and ".conv" not in name and name.startswith("mask")]
    assert len(renamed) == len(given) - len(twice)  # no other collisions


@pytest.mark.slow
def test_authors_state_dict_gives_the_same_logits(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    state = random_state(authors_shapes(SPEC.reduced["layers"], SPEC.reduced["channels"]), generator)
    for name in [name for name in state if name.startswith("mask") and ".downsample" in name and ".conv" in name]:
        stage, block, shortcut = name.split(".", 2)
        state[name] = state[f"{stage}.{block.replace('conv', 'downsample')}{shortcut.removeprefix('downsample')}"]
    torch.save({"net": state, "best_val_acc": 73.0}, tmp_path / "theirs")  # as written by their trainer
    options = SPEC.check_options({"reduced": True})
    model = create_model("resmasking", 7, **options)
    report = load_pretrained(model, SPEC, str(tmp_path / "theirs"), EMOTIONS, options)
    assert (report.new, report.unused) == ([], [])
    x = torch.rand(3, 3, 256, 256, generator=generator)  # all maps have even sides
    with torch.inference_mode():
        ours, expected = model.eval()(x), authors_logits(x, state)
    assert "Residual Masking's authors': angry, disgust, fear, happy, sad, surprise, neutral" in str(report)
    assert (expected[0] - expected[1]).abs().max() > 1e-3
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)


def test_torchvision_weights_fit_the_backbone(whole: ResidualMaskingNetwork) -> None:
    with torch.device("meta"):
        given = rename_state(SPEC, torchvision.models.resnet34().state_dict())
    own = whole.state_dict()
    assert set(given) == {name for name in own if name.startswith("backbone.")}
    assert [name for name in given if given[name].shape != own[name].shape] == [
        "backbone.fc.weight",
        "backbone.fc.bias",
    ]


def test_frozen_backbone_is_what_imagenet_weights_cover(whole: ResidualMaskingNetwork) -> None:
    with torch.device("meta"):
        given = rename_state(SPEC, torchvision.models.resnet34().state_dict())
    frozen = {name for name in whole.state_dict() if name.startswith(SPEC.backbone)}
    assert frozen == set(given) - {"backbone.fc.weight", "backbone.fc.bias"}


def test_other_state_dicts_are_unchanged(whole: ResidualMaskingNetwork) -> None:
    own = whole.state_dict()
    assert rename_state(SPEC, own) is own
