"""ARBEx: the assembled network, its losses, and backbone weights with third-party names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fercli.emotions import EMOTIONS
from fercli.models.arbex import ARBEx
from fercli.models.pretrained import load_pretrained
from fercli.models.registry import create_model, find_model, rename_state
from fercli.models.reliability import anchor_distances, center_loss, confidence, spread_loss

SPEC = find_model("arbex")
SHAPES = {
    "landmarks": [(64, 28, 28), (128, 14, 14), (512, 7, 7)],
    "landmarks_reduce": [(256, 7, 7)],
    "image": [(64, 56, 56), (128, 28, 28), (256, 14, 14)],
    "fusion.0": [(64, 28, 28)],
    "fusion.1": [(128, 14, 14)],
    "fusion.2": [(256, 7, 7)],
    "embed.0": [(768, 7, 7)],
    "embed.1": [(768, 7, 7)],
    "embed.2": [(768, 7, 7)],
    "transformer": [(768,), (148, 768)],
    "classifier": [(7,)],
}


@pytest.fixture(scope="module")
def whole() -> ARBEx:
    with torch.device("meta"):
        return ARBEx(7).eval()


def reduced(**sizes: int) -> ARBEx:
    torch.manual_seed(0)
    return ARBEx(7, **{**SPEC.reduced, **sizes})


def faces(count: int = 4, side: int = 48) -> Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(side))


@pytest.mark.slow
@pytest.mark.parametrize("side", [48, 224])
def test_shapes_of_each_part_at_any_input_size(whole: ARBEx, side: int) -> None:
    found: dict[str, list[tuple[int, ...]]] = {}

    def record(name: str, out: Tensor | tuple[Tensor, ...]) -> None:
        found[name] = [tuple(one.shape[1:]) for one in (out if isinstance(out, tuple) else (out,))]

    handles = [
        whole.get_submodule(name).register_forward_hook(lambda _m, _i, out, name=name: record(name, out))
        for name in SHAPES
    ]
    whole(torch.empty(2, 3, side, side, device="meta"))
    for handle in handles:
        handle.remove()
    assert found == SHAPES


def test_number_of_parameters_per_part(whole: ARBEx) -> None:
    def linear(inputs: int, outputs: int) -> int:
        return inputs * outputs + outputs

    def fusion(c: int, heads: int, side: int) -> int:
        norms, scales, halving = 4 * c, 2 * c, 9 * c * c + c
        attention = linear(c, 2 * c) + linear(c, c) + (2 * side - 1) ** 2 * heads
        return norms + scales + halving + attention + linear(c, 4 * c) + linear(4 * c, c)

    e = 768
    joined = fusion(64, 2, 28) + fusion(128, 4, 14) + fusion(256, 8, 7)
    tokens = linear(9 * 64, e) + linear(9 * e, e) + linear(9 * 128, e) + linear(256, e)
    block = 4 * e + linear(e, 3 * e) + linear(e, e) + linear(e, 4 * e) + linear(4 * e, e)
    transformer = e + 148 * e + 2 * block + 2 * e + 2 * linear(e, e)
    head = sum(linear(a, b) + 2 * b for a, b in ((e, 384), (384, 192), (192, 96))) + linear(96, 7)
    balancing = 7 * 10 * e + linear(e, 7) + e * 7 + linear(e, 7)
    parts = [17_611_968, 911_232, linear(9 * 512, 256), joined, tokens, transformer, head, balancing]
    own = [sum(p.numel() for p in part.parameters()) for _, part in whole.named_children()]
    assert sorted(own) == sorted(parts)
    assert sum(parts) == SPEC.parameters == 44_208_227


def test_classifier_layers(whole: ARBEx) -> None:
    kinds = [type(m) for m in whole.classifier]
    assert kinds == [nn.Linear, nn.ReLU, nn.BatchNorm1d, nn.Dropout] * 3 + [nn.Linear]
    assert [m.p for m in whole.classifier if isinstance(m, nn.Dropout)] == [0.5] * 3


def test_embedding_is_the_gated_class_token() -> None:
    model = reduced().eval()
    with torch.inference_mode():
        embedding, tokens = model.features(faces())
        torch.testing.assert_close(embedding, model.transformer.gate(tokens[:, 0]))
    assert embedding.shape == (4, 64)
    assert tokens.shape == (4, 13, 64)


# --- balancing ---


def test_logits_are_the_balanced_distributions() -> None:
    model = reduced().eval()
    with torch.no_grad():
        model.balancing.anchors.mul_(20)
        for layer in (model.balancing.attention.query, model.balancing.attention.key, model.balancing.attention.value):
            layer.weight.mul_(3)
        embedding, tokens = model.features(faces())
        plain = model.classifier(embedding)
        logits = model(faces())
    torch.testing.assert_close(logits.logsumexp(1), torch.zeros(4), rtol=0, atol=1e-6)
    torch.testing.assert_close(logits, model.balancing(plain, embedding, tokens))
    assert (logits.exp() - plain.softmax(1)).abs().max() > 0.01


def test_trust_starts_at_zero() -> None:
    model = reduced(trust_steps=100).eval()
    with torch.inference_mode():
        embedding, _ = model.features(faces())
        torch.testing.assert_close(model(faces()), model.classifier(embedding).log_softmax(1))


@pytest.mark.parametrize("soft", [False, True])
def test_training_forward_returns_logits_and_extra_loss(soft: bool) -> None:
    model = reduced(trust_steps=4).eval()  # without dropout, to compare two runs
    model.balancing.steps.fill_(1)
    labels = torch.tensor([0, 3, 6, 3])
    targets = F.one_hot(labels, 7).float() if soft else labels
    expected = model(faces())
    embedding, _ = model.features(faces())
    logits, loss = model.training_forward(faces(), targets)
    torch.testing.assert_close(logits, expected)
    anchors, confidences = model.balancing.anchors, confidence(model.classifier(embedding).softmax(1))
    center = center_loss(anchor_distances(embedding, anchors), labels, confidences, 64)
    torch.testing.assert_close(loss, 0.25 * (spread_loss(anchors) + center))
    assert model.balancing.trust() == 0.5
    (F.cross_entropy(logits, targets) + loss).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_training_under_autocast_stays_close() -> None:
    model = reduced().eval()
    labels = torch.tensor([0, 3, 6, 3])
    exact, _ = model.training_forward(faces(), labels)
    with torch.autocast("cpu", torch.bfloat16):
        logits, loss = model.training_forward(faces(), labels)
    assert logits.dtype == loss.dtype == torch.float32
    torch.testing.assert_close(logits, exact, rtol=0, atol=0.05)


@pytest.mark.slow
def test_it_can_overfit_with_its_own_loss() -> None:
    model, labels, x = reduced(trust_steps=10), torch.arange(14) % 7, faces(14, 32)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    before = spread_loss(model.balancing.anchors).item()
    for step in range(60):
        logits, loss = model.train().training_forward(x, labels)
        if step > 10 and (logits.argmax(1) == labels).all():
            break
        (F.cross_entropy(logits, labels) + loss).backward()
        optimizer.step()
        optimizer.zero_grad()
    assert (logits.argmax(1) == labels).all()
    assert model.balancing.trust() == 1
    assert spread_loss(model.balancing.anchors).item() < 2 * before < 0  # the anchors have separated


# --- backbone weights ---


def poster_name(name: str) -> str:
    """Return the name of one of our tensors in POSTER V2."""
    return re.sub(r"^landmarks\.", "face_landback.", re.sub(r"^image\.", "ir_back.", name))


def face_evolve_name(name: str) -> str:
    """Return the name of an IR-50 tensor in face.evoLVe, which numbers units across stages."""
    before = {"1": 0, "2": 3, "3": 7}
    name = name.removeprefix("image.")
    return re.sub(r"^body(\d)\.(\d+)", lambda m: f"body.{before[m[1]] + int(m[2])}", name)


def authors_name(name: str) -> str:
    """Return the name of one of our tensors in the authors' code."""
    name = re.sub(r"^image\.body(\d)\.(\d+)\.", r"ir.net_\1.net.\2.", name)
    name = re.sub(r"^image\.", "ir.", name).replace("res_layer", "res").replace("shortcut_layer", "shortcut")
    paths = ["conv1 conv2_dw conv_23 conv_3", "conv_34 conv_4", "conv_45 conv_5 conv_6_sep"]
    for path, parts in enumerate(paths, 1):
        for index, part in enumerate(parts.split()):
            prefix = f"landmarks.{part}."
            if name.startswith(prefix):
                name = f"landmark.path_{path}.{index}." + name.removeprefix(prefix).replace("model.", "net.")
    if name.startswith("landmark."):
        for index, part in enumerate(("conv", "conv_dw", "project")):  # of a bottleneck
            name = re.sub(rf"\.{part}\.(conv|bn|prelu)\.", rf".net.{index}.\1.", name)
        for index, part in enumerate(("conv", "bn", "prelu")):
            name = re.sub(rf"\.{part}\.(\w+)$", rf".net.{index}.\1", name)
    return name


def test_third_party_names() -> None:
    assert authors_name("image.body3.13.res_layer.2.weight") == "ir.net_3.net.13.res.2.weight"
    assert authors_name("landmarks.conv_4.model.5.conv_dw.bn.running_mean") == (
        "landmark.path_2.1.net.5.net.1.net.1.running_mean"
    )
    assert authors_name("landmarks.conv_6_sep.prelu.weight") == "landmark.path_3.2.net.2.weight"
    assert face_evolve_name("image.body2.0.shortcut_layer.1.bias") == "body.3.shortcut_layer.1.bias"
    assert face_evolve_name("image.body3.13.res_layer.4.weight") == "body.20.res_layer.4.weight"


BACKBONES = {
    "poster": (poster_name, ("image.", "landmarks.")),
    "poster-image": (lambda name: poster_name(name).removeprefix("ir_back."), ("image.",)),
    "poster-landmarks": (lambda name: poster_name(name).removeprefix("face_landback."), ("landmarks.",)),
    "face-recognition": (face_evolve_name, ("image.",)),
    "authors": (authors_name, ("image.", "landmarks.")),
    "authors-image": (lambda name: authors_name(name).removeprefix("ir."), ("image.",)),
    "authors-landmarks": (lambda name: authors_name(name).removeprefix("landmark."), ("landmarks.",)),
}


@pytest.mark.parametrize("source", BACKBONES)
def test_backbone_weights_with_third_party_names(whole: ARBEx, source: str) -> None:
    theirs, parts = BACKBONES[source]
    expected = {name: tensor for name, tensor in whole.state_dict().items() if name.startswith(parts)}
    given = {theirs(name): tensor for name, tensor in expected.items()}
    assert len(given) == len(expected)
    assert not given.keys() & expected.keys()
    assert rename_state(SPEC, given).keys() == expected.keys()


@pytest.mark.slow
def test_file_with_one_backbone(tmp_path: Path) -> None:
    model, other = create_model("arbex", 7, reduced=True), reduced()
    state = {
        face_evolve_name(name): tensor for name, tensor in other.state_dict().items() if name.startswith("image.")
    } | {"output_layer.3.weight": torch.zeros(4, 4)}
    # The small variant has one unit per stage: units 0, 3 and 7 of the full one.
    torch.save(state, tmp_path / "ir50.pth")
    report = load_pretrained(model, SPEC, str(tmp_path / "ir50.pth"), EMOTIONS, {"reduced": True})
    assert set(report.loaded) == {name for name in other.state_dict() if name.startswith("image.")}
    assert {name.split(".")[0] for name in report.new} >= {"landmarks", "fusion", "transformer", "classifier"}
    assert report.unused == ["output_layer.3.weight"]
    for name, tensor in model.state_dict().items():
        if name.startswith("image."):
            assert torch.equal(tensor, other.state_dict()[name])


def test_own_state_dict_is_unchanged(whole: ARBEx) -> None:
    own = whole.state_dict()
    assert rename_state(SPEC, own) is own
