"""POSTER V2: the assembled network, its parts against their equations, and weights of the authors' code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fercli.emotions import EMOTIONS
from fercli.errors import DataError
from fercli.models.arbex import ARBEx
from fercli.models.poster_v2 import Gate, PosterV2, TokenTransformer
from fercli.models.pretrained import load_pretrained
from fercli.models.registry import create_model, find_model, rename_state
from fercli.recipes import load_recipe
from fercli.training.freezing import frozen_by
from tests.helpers.models import shapes_of

SPEC = find_model("poster-v2")
SHAPES = {
    "landmarks_reduce": (256, 7, 7),
    "fusion.0": (64, 28, 28),
    "fusion.1": (128, 14, 14),
    "fusion.2": (256, 7, 7),
    "embed.0": (768, 7, 7),
    "embed.1": (768, 7, 7),
    "embed.2": (768, 7, 7),
    "classifier": (7,),
}
LAYERS = (nn.Linear, nn.Conv2d, nn.LayerNorm, nn.BatchNorm2d, nn.PReLU)


@pytest.fixture(scope="module")
def whole() -> PosterV2:
    with torch.device("meta"):
        return PosterV2(7).eval()


def reduced() -> PosterV2:
    torch.manual_seed(0)
    return PosterV2(7, **SPEC.reduced)


def faces(count: int = 4, side: int = 48) -> Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(side))


@pytest.mark.parametrize("side", [48, 112, 224])
def test_shapes_of_each_part_at_any_input_size(whole: PosterV2, side: int) -> None:
    assert shapes_of(whole, side, SHAPES) == SHAPES
    embedding, tokens = whole.features(torch.empty(2, 3, side, side, device="meta"))
    assert embedding.shape == (2, 768)
    assert tokens.shape == (2, 148, 768)


def test_number_of_parameters(whole: PosterV2) -> None:
    parts = {name: sum(p.numel() for p in part.parameters()) for name, part in whole.named_children()}
    assert parts == {
        "image": 17_611_968,
        "landmarks": 911_232,
        "landmarks_reduce": 1_179_904,
        "fusion": 1_737_358,
        "embed": 6_835_200,
        "transformer": 15_472_896,
        "classifier": 5_383,
    }
    assert sum(parts.values()) == SPEC.parameters == 43_753_941


def test_paper_counts_parameters_of_called_layers(whole: PosterV2) -> None:
    in_layers = sum(p.numel() for m in whole.modules() if isinstance(m, LAYERS) for p in m.parameters())
    assert SPEC.parameters - in_layers == 125_646
    # The landmark network's output: 7x7 depthwise convolution, norm, linear layer without bias, norm.
    output = 49 * 512 + 2 * 512 + 512 * 136 + 2 * 136
    assert output == 96_016
    assert round((in_layers + output) / 1e6, 1) == 43.7


def test_differs_from_arbex_in_classifier_and_balancing(whole: PosterV2) -> None:
    with torch.device("meta"):
        arbex = ARBEx(7)

    def shared(model: nn.Module) -> dict[str, torch.Size]:
        own = ("classifier.", "balancing.")
        return {name: t.shape for name, t in model.state_dict().items() if not name.startswith(own)}

    assert shared(whole) == shared(arbex)
    assert [name for name, _ in whole.classifier.named_parameters()] == ["weight", "bias"]
    assert not hasattr(whole, "training_forward")


def test_drop_path_grows_with_the_scale(whole: PosterV2) -> None:
    assert [fuse.drop_path.drop_prob for fuse in whole.fusion] == [0, 0.125, 0.25]


def test_gate_matches_its_equation() -> None:
    torch.manual_seed(0)
    gate, x = Gate(4), torch.randn(3, 4)
    hidden = torch.relu(x @ gate.linear1.weight.T + gate.linear1.bias)
    torch.testing.assert_close(gate(x), x * torch.sigmoid(hidden @ gate.linear2.weight.T + gate.linear2.bias))


def self_attention(x: Tensor, attention: nn.Module, heads: int) -> Tensor:
    """Compute the attention of one image's tokens (N, C) head by head."""
    qkv = x @ attention.qkv.weight.T + attention.qkv.bias
    query, key, value = qkv.chunk(3, 1)
    d = x.shape[1] // heads
    out = []
    for head in range(heads):
        own = slice(head * d, (head + 1) * d)
        weights = (query[:, own] @ key[:, own].T / d**0.5).softmax(1)
        out.append(weights @ value[:, own])
    result: Tensor = attention.proj(torch.cat(out, 1))
    return result


def test_transformer_matches_its_equations() -> None:
    torch.manual_seed(0)
    transformer, tokens = TokenTransformer(16, 6, 2, heads=8).eval(), torch.randn(2, 6, 16)
    with torch.no_grad():
        for parameter in transformer.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
        embedding, out = transformer(tokens)
        for k in range(2):
            x = torch.cat([transformer.cls_token[0], tokens[k]]) + transformer.pos_embed[0]
            for block in transformer.blocks:
                x = x + self_attention(block.norm1(x), block.attn, 8)
                x = x + block.mlp.fc2(F.gelu(block.mlp.fc1(block.norm2(x))))
            x = F.layer_norm(x, (16,), transformer.norm.weight, transformer.norm.bias, 1e-6)
            torch.testing.assert_close(out[k], x)
            torch.testing.assert_close(embedding[k], transformer.gate(x[:1])[0])


def test_logits_are_linear_in_the_gated_class_token() -> None:
    model = reduced().eval()
    with torch.inference_mode():
        embedding, tokens = model.features(faces())
        torch.testing.assert_close(embedding, model.transformer.gate(tokens[:, 0]))
        expected = embedding @ model.classifier.weight.T + model.classifier.bias
        torch.testing.assert_close(model(faces()), expected)
    assert embedding.shape == (4, 64)
    assert tokens.shape == (4, 13, 64)


def test_faces_are_resized_with_nearest_neighbour() -> None:
    model, small = reduced().eval(), faces(side=32)
    large = small.repeat_interleave(2, 2).repeat_interleave(2, 3)
    large[:, :, 1::2] = 7  # every other row is skipped
    with torch.inference_mode():
        assert torch.equal(model(large), model(small))


def test_small_variant_trains_a_step() -> None:
    model, labels = reduced().train(), torch.tensor([0, 3, 6, 3])
    before = {name: p.clone() for name, p in model.named_parameters()}
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    torch.manual_seed(1)
    for fuse in model.fusion:
        fuse.drop_path.drop_prob = 0.0
    first = F.cross_entropy(model(faces()), labels)
    first.backward()
    optimizer.step()
    assert F.cross_entropy(model(faces()), labels) < first
    moved = {name.partition(".")[0] for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {name for name, _ in model.named_children()}


def test_freezing_the_backbone_leaves_ir50_trainable() -> None:
    settings = load_recipe("poster-v2").train.model_copy(update={"freeze": frozenset({"backbone"})})
    frozen = frozen_by(reduced(), settings, SPEC.backbone)
    assert {name.partition(".")[0] for name in frozen.parameters | frozen.norms} == {"landmarks"}


# --- weights ---


def authors_name(name: str) -> str:
    """Return the name of one of our tensors in the authors' code."""
    scale = re.match(r"fusion\.(\d)\.scale(\d)\.gamma$", name)
    if scale:
        return f"ffn{int(scale[1]) + 1}.gamma{scale[2]}"
    parts = {
        "reduce": "conv{}", "norm1": "window{}.norm", "norm2": "ffn{}.norm", "mlp": "ffn{}.mlp",
        "attention.kv": "attn{}.qkv", "attention.proj": "attn{}.proj", "attention.bias": "attn{}",
    }  # fmt: skip
    for ours, theirs in parts.items():
        name = re.sub(
            rf"^fusion\.(\d)\.{re.escape(ours)}\.", lambda m, theirs=theirs: theirs.format(int(m[1]) + 1) + ".", name
        )
    starts = {
        "image.": "ir_back.", "landmarks.": "face_landback.", "landmarks_reduce.": "last_face_conv.",
        "embed.0.": "embed_q.", "embed.1.": "embed_k.0.", "embed.2.": "embed_v.proj.",
        "transformer.gate.": "VIT.se_block.", "transformer.": "VIT.", "classifier.": "VIT.head.linear.",
    }  # fmt: skip
    for ours, theirs in starts.items():
        if name.startswith(ours):
            return theirs + name.removeprefix(ours)
    return name


def test_authors_names() -> None:
    assert authors_name("fusion.2.attention.bias.relative_position_bias_table") == "attn3.relative_position_bias_table"
    assert authors_name("fusion.0.scale2.gamma") == "ffn1.gamma2"
    assert authors_name("fusion.1.reduce.weight") == "conv2.weight"
    assert authors_name("landmarks.conv1.conv.weight") == "face_landback.conv1.conv.weight"
    assert authors_name("transformer.blocks.1.attn.qkv.bias") == "VIT.blocks.1.attn.qkv.bias"
    assert authors_name("transformer.pos_embed") == "VIT.pos_embed"


def test_weights_of_the_authors_code_fit(whole: PosterV2) -> None:
    own = whole.state_dict()
    given = {authors_name(name): tensor for name, tensor in own.items()}
    assert len(given) == len(own)
    assert not given.keys() & own.keys()
    assert rename_state(SPEC, given).keys() == own.keys()
    assert rename_state(SPEC, own) is own


UNUSED = (
    "VIT.CON1.weight", "VIT.blocks.0.conv.weight", "VIT.patch_embed.proj.weight",
    "attn1.relative_position_index", "face_landback.output_layer.linear.weight", "ir_back.output_layer.3.weight",
)  # fmt: skip
"""Some of the tensors of the authors' layers that are not called."""


def authors_state(model: nn.Module) -> dict[str, Tensor]:
    state = {f"module.{authors_name(name)}": tensor for name, tensor in model.state_dict().items()}
    return state | {f"module.{name}": torch.zeros(2) for name in UNUSED}


def test_file_of_the_authors_code_gives_the_same_logits(tmp_path: Path) -> None:
    model, other = create_model("poster-v2", 7, reduced=True).eval(), reduced().eval()
    torch.save({"epoch": 3, "state_dict": authors_state(other)}, tmp_path / "poster.pth")
    report = load_pretrained(model, SPEC, str(tmp_path / "poster.pth"), EMOTIONS, {"reduced": True})
    assert report.new == []
    assert len(report.unused) == len(UNUSED)
    assert "the order of its emotions is unknown" in report.order
    with torch.inference_mode():
        assert torch.equal(model(faces()), other(faces()))


@pytest.mark.parametrize(("prefix", "part"), [("ir_back.", "image."), ("face_landback.", "landmarks.")])
def test_file_of_one_backbone(tmp_path: Path, prefix: str, part: str) -> None:
    model, other = create_model("poster-v2", 7, reduced=True), reduced()
    names = [name for name in other.state_dict() if name.startswith(part)]
    state = {authors_name(name).removeprefix(prefix): other.state_dict()[name] for name in names}
    torch.save(state, tmp_path / "backbone.pth")
    report = load_pretrained(model, SPEC, str(tmp_path / "backbone.pth"), EMOTIONS, {"reduced": True})
    assert report.loaded == names
    assert report.unused == []


class RecorderMeter:
    """Like the object of the authors' script in the files it saves."""


def test_file_with_objects_of_the_script_is_rejected(tmp_path: Path) -> None:
    file = tmp_path / "model.pth"
    torch.save({"state_dict": authors_state(reduced()), "recorder": RecorderMeter()}, file)
    with pytest.raises(DataError, match="contains more than weights and could run code"):
        load_pretrained(reduced(), SPEC, str(file), EMOTIONS, {"reduced": True})


def test_weights_of_arbex_fit_but_for_the_head() -> None:
    with torch.device("meta"):
        arbex = ARBEx(7, **find_model("arbex").reduced).state_dict()
    own = reduced().state_dict()
    missing = [name for name in own if name not in arbex or arbex[name].shape != own[name].shape]
    assert missing == ["classifier.weight", "classifier.bias"]


# --- recipe ---


def test_recipe_and_claims() -> None:
    recipe = load_recipe("poster-v2")
    train = recipe.train
    assert (train.optimizer, train.lr, train.batch_size, train.epochs) == ("adam", 3.5e-5, 144, 200)
    assert (train.schedule, train.step_size, train.gamma, train.class_weights) == ("step", 1, 0.98, False)
    assert [(claim.dataset, claim.accuracy) for claim in recipe.claims_of("poster-v2")] == [
        ("RAF-DB", 92.21), ("AffectNet-7", 67.49), ("AffectNet-8", 63.77), ("CAER-S", 93.0),
    ]  # fmt: skip
    assert all("best on" in claim.protocol for claim in recipe.claims_of("poster-v2"))
