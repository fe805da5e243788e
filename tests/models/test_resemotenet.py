"""ResEmoteNet: its layers, its ablations, and weights of its authors' code."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fercli.emotions import EMOTIONS
from fercli.models.attention import SqueezeExcitation
from fercli.models.pretrained import load_pretrained
from fercli.models.registry import create_model, find_model, rename_state
from fercli.models.resemotenet import ResEmoteNet, ResidualBlock
from fercli.models.state_dicts import mismatch
from tests.helpers.models import random_state, shapes_of

SHAPES = {
    "features.0": (64, 32, 32),
    "features.1": (128, 16, 16),
    "features.2": (256, 8, 8),
    "se": (256, 8, 8),
    "blocks.0": (512, 4, 4),
    "blocks.1": (1024, 2, 2),
    "blocks.2": (2048, 1, 1),
    "classifier": (7,),
}


@pytest.fixture(scope="module")
def model() -> ResEmoteNet:
    with torch.device("meta"):
        return ResEmoteNet(7).eval()


def test_shapes_of_each_part(model: ResEmoteNet) -> None:
    assert list(shapes_of(model, 64, SHAPES).items()) == list(SHAPES.items())  # order included


def test_number_of_parameters_per_part(model: ResEmoteNet) -> None:
    def conv(inputs: int, outputs: int, kernel: int) -> int:
        return inputs * outputs * kernel**2 + outputs + 2 * outputs  # bias, and the norm's scale and shift

    features = conv(3, 64, 3) + conv(64, 128, 3) + conv(128, 256, 3)
    se = 2 * 256 * (256 // 16)
    blocks = sum(conv(c, 2 * c, 3) + conv(2 * c, 2 * c, 3) + conv(c, 2 * c, 1) for c in (256, 512, 1024))
    linear = sum(a * b + b for a, b in ((2048, 1024), (1024, 512), (512, 256), (256, 7)))
    assert features + se + blocks + linear == 80_238_599
    assert sum(p.numel() for p in model.parameters()) == 80_238_599


def test_dropout_matches_the_authors_code(model: ResEmoteNet) -> None:
    found = {name: m.p for name, m in model.named_modules() if isinstance(m, nn.Dropout)}
    after_pools = {"features.0.4": 0.2, "features.1.4": 0.2}
    after_linear = {"classifier.2": 0.5, "classifier.5": 0.5, "classifier.8": 0.5}
    assert found == after_pools | after_linear


def test_layer_order(model: ResEmoteNet) -> None:
    kinds = [type(m) for m in model.features[0]]
    assert kinds == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.MaxPool2d, nn.Dropout]
    assert [type(m) for m in model.features[2]] == kinds[:-1]
    assert [type(m) for m in model.classifier] == [nn.Linear, nn.ReLU, nn.Dropout] * 3 + [nn.Linear]
    assert isinstance(model.se, SqueezeExcitation)
    assert model.se.reduce.out_features == 16
    assert model.se.reduce.bias is None
    assert model.se.expand.bias is None


def test_residual_block_adds_its_shortcut() -> None:
    torch.manual_seed(0)
    block, x = ResidualBlock(4, 6).eval(), torch.randn(2, 4, 8, 8)
    assert (block.conv1.stride, block.conv2.stride, block.shortcut[0].stride) == ((2, 2), (1, 1), (2, 2))
    with torch.inference_mode():
        both = block(x)
        nn.init.zeros_(block.bn2.weight)  # disables the residual branch
        torch.testing.assert_close(block(x), torch.relu(block.shortcut(x)))
    assert both.shape == (2, 6, 4, 4)
    assert (both - torch.relu(block.shortcut(x))).abs().max() > 0.01


# --- ablations (table IV) ---


@pytest.mark.parametrize(
    ("name", "convolutions", "se", "blocks"),
    [
        ("resemotenet", [3, 64, 128, 256], True, [256, 512, 1024, 2048]),
        ("resemotenet-c2", [3, 64, 128, 256], False, [256, 512, 1024, 2048]),
        ("resemotenet-c3", [3, 128, 256], True, [256, 512, 1024, 2048]),
        ("resemotenet-c4", [3, 256], True, [256, 512, 1024, 2048]),
        ("resemotenet-c5", [3, 64, 128, 256], True, [256, 1024, 2048]),
        ("resemotenet-c6", [3, 64, 128, 256], True, [256, 2048]),
    ],
)
def test_ablations_match_the_table(name: str, convolutions: list[int], se: bool, blocks: list[int]) -> None:
    with torch.device("meta"):
        model = create_model(name, 7)
    assert [part[0].in_channels for part in model.features] == convolutions[:-1]
    assert [part[0].out_channels for part in model.features] == convolutions[1:]
    assert [part.conv1.in_channels for part in model.blocks] == blocks[:-1]
    assert [part.conv2.out_channels for part in model.blocks] == blocks[1:]
    assert isinstance(model.se, SqueezeExcitation) == se
    assert [isinstance(part[-1], nn.Dropout) for part in model.features] == [True] * (len(convolutions) - 2) + [False]


# --- weights of its authors' code ---


def authors_logits(x: Tensor, state: dict[str, Tensor]) -> Tensor:
    """Compute the logits from a state_dict of the authors' code, following the paper's figure."""

    def conv(x: Tensor, conv: str, norm: str, stride: int = 1, padding: int = 1) -> Tensor:
        x = F.conv2d(x, state[f"{conv}.weight"], state[f"{conv}.bias"], stride, padding)
        mean, var = state[f"{norm}.running_mean"], state[f"{norm}.running_var"]
        return F.batch_norm(x, mean, var, state[f"{norm}.weight"], state[f"{norm}.bias"])

    for k in (1, 2, 3):
        x = F.max_pool2d(F.relu(conv(x, f"conv{k}", f"bn{k}")), 2)
    squeezed = F.relu(x.mean((2, 3)) @ state["se.fc.0.weight"].T) @ state["se.fc.2.weight"].T
    x = x * torch.sigmoid(squeezed)[:, :, None, None]
    for k in (1, 2, 3):
        block = f"res_block{k}"
        y = conv(F.relu(conv(x, f"{block}.conv1", f"{block}.bn1", 2)), f"{block}.conv2", f"{block}.bn2")
        x = F.relu(y + conv(x, f"{block}.shortcut.0", f"{block}.shortcut.1", 2, 0))
    x = x.mean((2, 3))
    for k in (1, 2, 3):
        x = F.relu(F.linear(x, state[f"fc{k}.weight"], state[f"fc{k}.bias"]))
    return F.linear(x, state["fc4.weight"], state["fc4.bias"])


def authors_shapes(whole: bool) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of the authors' state_dict for seven classes, in full or as our small variant."""
    convs, blocks, hidden = ((64, 128, 256), (512, 1024, 2048), (1024, 512, 256)) if whole else SMALL
    shapes: dict[str, tuple[int, ...]] = {}

    def conv(name: str, inputs: int, outputs: int, kernel: int, norm: str) -> None:
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (outputs, inputs, kernel, kernel), (outputs,)
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{norm}.{part}"] = (outputs,)
        shapes[f"{norm}.num_batches_tracked"] = ()

    for k, (a, b) in enumerate(pairwise((3, *convs)), 1):
        conv(f"conv{k}", a, b, 3, f"bn{k}")
    channels = convs[-1]
    shapes["se.fc.0.weight"], shapes["se.fc.2.weight"] = (channels // 16, channels), (channels, channels // 16)
    for k, (a, b) in enumerate(pairwise((channels, *blocks)), 1):
        conv(f"res_block{k}.conv1", a, b, 3, f"res_block{k}.bn1")
        conv(f"res_block{k}.conv2", b, b, 3, f"res_block{k}.bn2")
        conv(f"res_block{k}.shortcut.0", a, b, 1, f"res_block{k}.shortcut.1")
    for k, (a, b) in enumerate(pairwise((blocks[-1], *hidden, 7)), 1):
        shapes[f"fc{k}.weight"], shapes[f"fc{k}.bias"] = (b, a), (b,)
    return shapes


SPEC = find_model("resemotenet")
SMALL = tuple(SPEC.reduced[part] for part in ("channels", "blocks", "hidden"))


AUTHORS = ("happy", "surprise", "sad", "angry", "disgust", "fear", "neutral")
"""The order of the emotions in their scripts for images."""


def test_authors_state_dict_maps_to_every_parameter() -> None:
    with torch.device("meta"):
        own = create_model("resemotenet", 7).state_dict()
        given = {name: torch.empty(shape) for name, shape in authors_shapes(whole=True).items()}
    renamed = rename_state(SPEC, given)
    assert mismatch(own, renamed) == ""


def test_authors_state_dict_gives_the_same_logits(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    state = random_state(authors_shapes(whole=False), generator)
    state = {name: torch.tensor(3) if name.endswith("tracked") else tensor for name, tensor in state.items()}
    torch.save(state, tmp_path / "theirs.pth")
    options = SPEC.check_options({"reduced": True})
    model = create_model("resemotenet", 7, **options)
    report = load_pretrained(model, SPEC, str(tmp_path / "theirs.pth"), EMOTIONS, options)
    assert (report.new, report.unused) == ([], [])
    x = torch.randn(3, 3, 32, 32, generator=generator)
    with torch.inference_mode():
        expected = authors_logits(x, state)[:, [AUTHORS.index(emotion) for emotion in EMOTIONS]]
        torch.testing.assert_close(model.eval()(x), expected)
    assert "ResEmoteNet's authors': happy, surprise, sad, angry, disgust, fear, neutral" in str(report)


def test_other_state_dicts_are_unchanged() -> None:
    with torch.device("meta"):
        own = create_model("resemotenet", 7).state_dict()
    assert rename_state(SPEC, own) is own
