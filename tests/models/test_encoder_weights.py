"""Names of encoders' weights: timm's under any prefix, and the formats of CLIP, MAE and DINOv2."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import timm
import torch
from torch import Tensor

from fercli.models.encoder_weights import rename


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return timm.create_model("test_vit", num_classes=0).state_dict()


def found(given: dict[str, Tensor], encoder: str = "test_vit") -> dict[str, Tensor]:
    renamed = rename(given, encoder)
    assert renamed is not None
    return {name.removeprefix("encoder."): tensor for name, tensor in renamed.items()}


def check(given: dict[str, Tensor], state: dict[str, Tensor]) -> None:
    own = found(given)
    for name, tensor in state.items():
        assert torch.equal(own[name], tensor), name


@pytest.mark.parametrize("prefix", ["", "module.", "image_encoder.", "visual.trunk.", "a.b."])
def test_any_prefix(state: dict[str, Tensor], prefix: str) -> None:
    others = {"logit_scale": torch.ones(()), "text.embedding": torch.ones(3)} if prefix else {}
    check({**others, **{f"{prefix}{name}": tensor for name, tensor in state.items()}}, state)


def test_a_probe_keeps_its_names(state: dict[str, Tensor]) -> None:
    own = {f"encoder.{name}": tensor for name, tensor in state.items()}
    assert rename({**own, "head.classifier.weight": torch.ones(7, 64)}, "test_vit") is None


def as_clip(name: str) -> str:
    """Return CLIP's name of a tensor of timm's vision transformer."""
    for ours, theirs in (
        ("patch_embed.proj.", "conv1."), ("cls_token", "class_embedding"), ("pos_embed", "positional_embedding"),
        ("blocks.", "transformer.resblocks."), (".norm", ".ln_"), ("attn.qkv.", "attn.in_proj_"),
        ("attn.proj.", "attn.out_proj."), ("mlp.fc1", "mlp.c_fc"), ("mlp.fc2", "mlp.c_proj"),
    ):  # fmt: skip
        name = name.replace(ours, theirs)
    return name.replace("norm_pre.", "ln_pre.").replace("norm.", "ln_post.")


@pytest.mark.parametrize("prefix", ["visual.", "", "image_encoder.visual."])
def test_clip(state: dict[str, Tensor], prefix: str) -> None:
    """The image tower of CLIP and FaRL, with and without the rest of it."""
    shapes: dict[str, Callable[[Tensor], Tensor]] = {
        "class_embedding": lambda tensor: tensor[0, 0], "positional_embedding": lambda tensor: tensor[0],
    }  # fmt: skip
    clip = {
        prefix + as_clip(name): shapes.get(as_clip(name), lambda tensor: tensor)(tensor)
        for name, tensor in state.items()
    }
    check({**clip, f"{prefix}proj": torch.ones(64, 16), "text_projection": torch.ones(2, 2)}, state)


def test_published_names_of_clip_cover_its_tower() -> None:
    """OpenAI's ViT-B/16, whose names FaRL has too."""
    width = 768
    block = {
        "attn.in_proj_weight": (3 * width, width), "attn.in_proj_bias": (3 * width,),
        "attn.out_proj.weight": (width, width), "attn.out_proj.bias": (width,),
        "mlp.c_fc.weight": (4 * width, width), "mlp.c_fc.bias": (4 * width,),
        "mlp.c_proj.weight": (width, 4 * width), "mlp.c_proj.bias": (width,),
        "ln_1.weight": (width,), "ln_1.bias": (width,), "ln_2.weight": (width,), "ln_2.bias": (width,),
    }  # fmt: skip
    shapes = {
        "class_embedding": (width,), "positional_embedding": (197, width), "proj": (width, 512),
        "conv1.weight": (width, 3, 16, 16), "ln_pre.weight": (width,), "ln_pre.bias": (width,),
        "ln_post.weight": (width,), "ln_post.bias": (width,),
        **{f"transformer.resblocks.{k}.{name}": shape for k in range(12) for name, shape in block.items()},
    }  # fmt: skip
    given = {f"visual.{name}": torch.empty(shape, device="meta") for name, shape in shapes.items()}
    with torch.device("meta"):
        expected = timm.create_model("vit_base_patch16_clip_224", num_classes=0).state_dict()
    own = found(given, "vit_base_patch16_clip_224")
    assert {name: own[name].shape for name in expected} == {name: tensor.shape for name, tensor in expected.items()}


def test_mae(state: dict[str, Tensor]) -> None:
    """A pretrained masked autoencoder: timm's names, and a decoder."""
    decoder = {"mask_token": torch.ones(1, 1, 8), "decoder_embed.weight": torch.ones(8, 64)}
    check({**state, **decoder}, state)


def test_other_input_size(state: dict[str, Tensor]) -> None:
    """Position embeddings of another grid are interpolated by timm."""
    with torch.no_grad():
        other = timm.create_model("test_vit", num_classes=0, img_size=96).state_dict()
    assert other["pos_embed"].shape != state["pos_embed"].shape
    assert found(other)["pos_embed"].shape == state["pos_embed"].shape


def test_other_architecture_does_not_fit() -> None:
    given = timm.create_model("test_resnet", num_classes=0).state_dict()
    assert set(found(given)) == set(given)
