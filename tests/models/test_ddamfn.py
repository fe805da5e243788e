"""DDAMFN: its heads against their equations, the attention loss, and weights of the authors' code."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fercli.emotions import EMOTIONS
from fercli.models.ddamfn import DDAMFN, DualDirectionHead, attention_loss
from fercli.models.pretrained import load_pretrained
from fercli.models.registry import create_model, find_model, rename_state
from fercli.recipes import load_recipe
from tests.helpers.models import shapes_of

SPEC = find_model("ddamfn")
SHAPES = {
    "features": (512, 7, 7),
    "heads.0.rows": (512, 7, 1),
    "heads.0.columns": (512, 1, 7),
    "heads.0": (512, 7, 7),
    "heads.1": (512, 7, 7),
    "pool": (512, 1, 1),
    "classifier": (7,),
}


@pytest.fixture(scope="module")
def whole() -> DDAMFN:
    with torch.device("meta"):
        return DDAMFN(7).eval()


def reduced(**sizes: int) -> DDAMFN:
    torch.manual_seed(0)
    return DDAMFN(7, **{**SPEC.reduced, **sizes})


def faces(count: int = 4, side: int = 48) -> Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(side))


@pytest.mark.parametrize("side", [48, 112, 224])
def test_shapes_of_each_part_at_any_input_size(whole: DDAMFN, side: int) -> None:
    assert shapes_of(whole, side, SHAPES) == SHAPES


def test_number_of_parameters(whole: DDAMFN) -> None:
    def depthwise(kernel: int) -> int:
        return 512 * kernel + 2 * 512

    head = 2 * depthwise(7) + 512 * 16 + 16 + 2 * 16 + 2 * (16 * 512 + 512)
    parts = {name: sum(p.numel() for p in part.parameters()) for name, part in whole.named_children()}
    assert parts == {"features": 4_006_568, "heads": 2 * head, "pool": depthwise(49), "classifier": 513 * 7}
    assert sum(parts.values()) == SPEC.parameters == 4_105_999
    assert round(SPEC.parameters / 1e6, 2) == 4.11  # as reported
    # What the authors' code builds but does not call: norm and PReLU after each MixConv, a depthwise convolution in
    # each head, and a norm of the logits.
    mixed = 128 * (1 + 9) + 256 * (1 + 16) + 1024 + 512 * 6
    assert SPEC.parameters + 3 * mixed + 2 * depthwise(49) + 2 * 7 == 4_187_421


def reference(head: DualDirectionHead, x: Tensor) -> np.ndarray:
    """Compute the attention map of one image (C, S, S) by loops over the positions, in evaluation."""
    state = {name: tensor.double().numpy() for name, tensor in head.state_dict().items()}
    image = x.double().numpy()

    def norm(y: np.ndarray, name: str) -> np.ndarray:
        y = (y - state[f"{name}.running_mean"]) / np.sqrt(state[f"{name}.running_var"] + 1e-5)
        return y * state[f"{name}.weight"] + state[f"{name}.bias"]

    def weigh(name: str, vector: np.ndarray) -> np.ndarray:
        y = norm(state["conv1.weight"][:, :, 0, 0] @ vector + state["conv1.bias"], "bn1")
        y = y * np.clip(y + 3, 0, 6) / 6  # h-swish
        return 1 / (1 + np.exp(-(state[f"{name}.weight"][:, :, 0, 0] @ y + state[f"{name}.bias"])))

    out = np.empty_like(image)
    for row in range(image.shape[1]):
        along_row = (image[:, row] * state["rows.conv.weight"][:, 0, 0]).sum(1)
        by_row = weigh("conv2", norm(along_row, "rows.bn"))
        for column in range(image.shape[2]):
            along_column = (image[:, :, column] * state["columns.conv.weight"][:, 0, :, 0]).sum(1)
            out[:, row, column] = by_row * weigh("conv3", norm(along_column, "columns.bn"))
    return out


def test_head_matches_its_equations() -> None:
    torch.manual_seed(0)
    head, x = DualDirectionHead(16, 5).eval(), torch.randn(2, 16, 5, 5)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape))
        for module in head.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
        found = head(x)
    for k in range(2):
        np.testing.assert_allclose(found[k].numpy(), reference(head, x[k]), atol=1e-5)
    assert (found.amax((2, 3)) - found.amin((2, 3))).min() > 0.001  # it varies with the position


@pytest.mark.parametrize("heads", [1, 2, 3])
def test_logits_are_of_the_features_times_the_largest_map(heads: int) -> None:
    model = reduced(heads=heads).eval()
    with torch.inference_mode():
        x = model.features(faces())
        maps = torch.stack([head(x) for head in model.heads])
        pooled = torch.einsum("bchw,chw->bc", x * maps.amax(0), model.pool.conv.weight[:, 0])
        expected = model.classifier(model.pool.bn(pooled[:, :, None, None])[:, :, 0, 0])
        torch.testing.assert_close(model(faces()), expected)
    assert len(model.heads) == heads


def test_faces_of_the_models_size_are_not_resized() -> None:
    model, x = reduced().eval(), faces(side=48)
    with torch.inference_mode():
        given: list[Tensor] = []
        model.features.conv1.register_forward_hook(lambda _m, inputs, _out: given.append(inputs[0]))
        model(x)
        model(faces(side=40))
    assert given[0] is x
    assert given[1].shape[2:] == (48, 48)


# --- attention loss ---


def test_attention_loss_is_the_inverse_of_the_mean_difference() -> None:
    torch.manual_seed(0)
    a, b, c = torch.rand(3, 2, 4, 3, 3)
    differences = [((one - other) ** 2).mean() for one, other in ((a, b), (a, c), (b, c))]
    torch.testing.assert_close(attention_loss([a, b]), 1 / differences[0])
    torch.testing.assert_close(attention_loss([a, b, c]), 3 / sum(differences))
    assert attention_loss([a, b]) < attention_loss([a, 0.9 * a + 0.1 * b])  # smaller for maps that differ more
    assert attention_loss([a, a]).isfinite()


@pytest.mark.parametrize("soft", [False, True])
def test_training_forward_returns_logits_and_weighted_loss(soft: bool) -> None:
    model = reduced().eval()
    labels = torch.tensor([0, 3, 6, 3])
    targets = F.one_hot(labels, 7).float() if soft else labels
    logits, loss = model.training_forward(faces(), targets)
    torch.testing.assert_close(logits, model(faces()))
    x = model.features(faces())
    torch.testing.assert_close(loss, 0.1 * attention_loss([head(x) for head in model.heads]))
    loss.backward()
    reached = {name.partition(".")[0] for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    assert reached == {"features", "heads"}


def test_single_head_has_no_attention_loss() -> None:
    logits, loss = reduced(heads=1).training_forward(faces(), torch.tensor([0, 3, 6, 3]))
    assert logits.shape == (4, 7)
    assert loss == 0


def test_training_under_autocast_stays_close() -> None:
    model, labels = reduced().eval(), torch.tensor([0, 3, 6, 3])
    exact, exact_loss = model.training_forward(faces(), labels)
    with torch.autocast("cpu", torch.bfloat16):
        logits, loss = model.training_forward(faces(), labels)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(logits.float(), exact, rtol=0, atol=0.05)
    torch.testing.assert_close(loss, exact_loss, rtol=0.1, atol=0)


def test_training_with_its_own_loss_separates_the_heads() -> None:
    model, labels = reduced().train(), torch.tensor([0, 3, 6, 3])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    losses = []
    for _ in range(10):
        logits, loss = model.training_forward(faces(), labels)
        (F.cross_entropy(logits, labels) + loss).backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


# --- weights ---

PARTS = ("conv1", "conv2_dw", "conv_23", "conv_3", "conv_34", "conv_4", "conv_45", "conv_5", "conv_6_sep")


def backbone_name(name: str) -> str:
    """Return the name of one of the features' tensors in the authors' MixedFeatureNet."""
    name = name.removeprefix("features.").replace(".attention.", ".CA.")
    return re.sub(r"\.conv_dw\.(\d)", r".conv_dw.mixed_depthwise_conv.\1", name)


def authors_name(name: str) -> str:
    """Return the name of one of our tensors in the authors' code."""
    if name.startswith("features."):
        part, _, rest = backbone_name(name).partition(".")
        return f"features.{PARTS.index(part)}.{rest}"
    name = re.sub(r"^heads\.(\d)\.", r"cat_head\1.CoordAtt.", name)
    name = name.replace(".rows.", ".Linear_h.").replace(".columns.", ".Linear_w.")
    return re.sub(r"^pool\.", "Linear.", re.sub(r"^classifier\.", "fc.", name))


def test_authors_names() -> None:
    assert authors_name("features.conv_4.model.15.conv_dw.1.weight") == (
        "features.5.model.15.conv_dw.mixed_depthwise_conv.1.weight"
    )
    assert authors_name("features.conv_45.attention.bn1.bias") == "features.6.CA.bn1.bias"
    assert authors_name("heads.1.columns.bn.weight") == "cat_head1.CoordAtt.Linear_w.bn.weight"
    assert authors_name("pool.conv.weight") == "Linear.conv.weight"


def test_weights_of_the_authors_code_fit(whole: DDAMFN) -> None:
    own = whole.state_dict()
    given = {authors_name(name): tensor for name, tensor in own.items()}
    assert len(given) == len(own)
    assert rename_state(SPEC, given).keys() == own.keys()
    assert rename_state(SPEC, own) is own
    features = {name for name in own if name.startswith("features.")}
    backbone = {backbone_name(name): own[name] for name in features}
    assert rename_state(SPEC, backbone).keys() == features


def test_file_of_the_authors_code(tmp_path: Path) -> None:
    model, other = create_model("ddamfn", 7, reduced=True).eval(), reduced().eval()
    state = {authors_name(name): tensor for name, tensor in other.state_dict().items()}
    state |= {"bn.weight": torch.zeros(7), "cat_head0.CoordAtt.Linear.conv.weight": torch.zeros(4)}  # never called
    torch.save({"iter": 20, "model_state_dict": state, "optimizer_state_dict": {}}, tmp_path / "rafdb.pth")
    report = load_pretrained(model, SPEC, str(tmp_path / "rafdb.pth"), EMOTIONS, {"reduced": True})
    assert report.new == []
    assert report.by_emotion == ["classifier.weight", "classifier.bias"]
    assert report.order == (
        "order of its emotions, DDAMFN's authors': neutral, happy, sad, surprise, fear, disgust, angry"
    )
    assert len(report.unused) == 2
    theirs = [SPEC.authors_emotions.index(emotion) for emotion in EMOTIONS]
    with torch.inference_mode():
        torch.testing.assert_close(model(faces()), other(faces())[:, theirs])


# --- recipe ---


def test_recipe_and_claims() -> None:
    recipe = load_recipe("ddamfn")
    train = recipe.train
    assert (train.optimizer, train.lr, train.momentum, train.weight_decay) == ("sgd", 0.01, 0.9, 1e-4)
    assert (train.batch_size, train.epochs, train.schedule, train.step_size, train.gamma) == (256, 40, "step", 10, 0.1)
    assert [(claim.dataset, claim.accuracy) for claim in recipe.claims_of("ddamfn")] == [
        ("RAF-DB", 91.35), ("AffectNet-7", 67.03), ("AffectNet-8", 64.25), ("FER+", 90.74),
    ]  # fmt: skip
    assert all("best on" in claim.protocol for claim in recipe.claims_of("ddamfn"))
