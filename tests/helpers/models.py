"""Small variants of all models, and untrained runs, for tests."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import nn

from fercli.artifacts import Artifact, artifact_input
from fercli.artifacts.building import build
from fercli.emotions import EMOTIONS
from fercli.models.checkpoints import TRAINING_DIGESTS, CheckpointMetadata, save_checkpoint
from fercli.models.naming import BACKBONES, impossible
from fercli.models.preprocessing import Preprocessing
from fercli.models.registry import create_model, find_model
from fercli.models.spec import ModelSpec, Options
from fercli.models.table import TABLE
from fercli.packs.file import read_digests
from fercli.packs.opening import open_pack

FORMS = (("", ""), ("cbam", ""), ("se", "elu"), ("eca", "selu"), ("sa", "relu"))
"""Attentions and activations tested with the small variants of each backbone family."""


class Member(NamedTuple):
    """A model small enough to be trained in a test: a small variant, or a small model of timm."""

    spec: ModelSpec
    options: Options
    side: int | None = None

    def __str__(self) -> str:
        return "-".join([self.spec.name, *(str(value) for name, value in self.options.items() if name != "reduced")])

    @property
    def build_call(self) -> str:
        """The build function and its arguments, to identify equal networks."""
        reduced = self.spec.reduced if "reduced" in self.options else {}
        return f"{self.spec.build} {sorted({**self.spec.arguments, **reduced, **self.options}.items())}"

    def build(self, classes: int = len(EMOTIONS)) -> nn.Module:
        return create_model(self.spec.name, classes, **self.options)

    @property
    def preprocessing(self) -> Preprocessing:
        return Preprocessing.of(self.spec, self.side, reduced="reduced" in self.options)


def _of(spec: ModelSpec) -> list[Member]:
    """Return a model's small variant with each value of its options."""
    reduced: Options = {"reduced": True} if spec.reduced else {}
    others: list[Options] = [{name: value} for name, allowed in spec.options.items() for value in allowed[1:]]
    return [Member(spec, {**reduced, **options}) for options in ({}, *others)]


def _combined() -> list[Member]:
    """Return small variants of the first backbone of each family with several attentions and activations."""
    firsts = {backbone.family: backbone for backbone in reversed(BACKBONES)}
    return [
        Member(find_model("-".join(filter(None, (backbone.name, *form)))), {"reduced": True})
        for backbone in firsts.values()
        for form in FORMS
        if not impossible(backbone, form[0])
    ]


# timm's test models have a native size of 160 px.
TIMM = [Member(find_model(f"timm/{name}"), {}, 64) for name in ("test_resnet", "test_vit")]
_ALL = [*(member for spec in TABLE for member in _of(spec)), *_combined(), *TIMM]
MEMBERS: list[Member] = list({member.build_call: member for member in reversed(_ALL)}.values())[::-1]
"""Each network once: several sizes of a family may have the same small variant."""
FAMILIES: list[Member] = list({member.spec.family: member for member in reversed(MEMBERS)}.values())
"""One member of each family."""
each_member = pytest.mark.parametrize("member", MEMBERS, ids=str)
each_family = pytest.mark.parametrize("member", FAMILIES, ids=str)


def shapes_of(model: nn.Module, side: int, names: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """Return the output shapes of named modules on the meta device, without the batch dimension, in calling order."""
    found: dict[str, tuple[int, ...]] = {}
    handles = [
        model.get_submodule(name).register_forward_hook(
            lambda _m, _i, out, name=name: found.update({name: tuple(out.shape[1:])})
        )
        for name in names
    ]
    model(torch.empty(2, 3, side, side, device="meta"))
    for handle in handles:
        handle.remove()
    return found


def random_state(shapes: Mapping[str, tuple[int, ...]], generator: torch.Generator) -> dict[str, torch.Tensor]:
    """Return random weights that preserve the scale of activations, with no small variances."""
    return {
        name: torch.rand(shape, generator=generator) / 2 + 0.5 * ("running_var" in name)
        if len(shape) < 2
        else torch.randn(shape, generator=generator) * (2 / math.prod(shape[1:])) ** 0.5
        for name, shape in shapes.items()
    }


def make_run(
    folder: Path,
    pack: Artifact,
    emotions: Sequence[str] = EMOTIONS,
    seed: int = 0,
    *,
    model: str = "quick",
    side: int = 16,
    order: Sequence[int] | None = None,
    validation: dict[str, float] | None = None,
    options: Options | None = None,
) -> Artifact:
    """Build a run whose best checkpoint has random weights, so that it makes all kinds of mistakes.

    With `order`, the logits (and emotions) of the same model are permuted.
    """
    torch.manual_seed(seed)
    net = create_model(model, len(emotions), **(options or {}))
    head = [module for module in net.modules() if isinstance(module, torch.nn.Linear)][-1]
    order = list(order or range(len(emotions)))
    with torch.no_grad():
        head.weight.mul_(20)
        head.weight.copy_(head.weight[order])
        head.bias.copy_(head.bias[order])
    metadata = CheckpointMetadata(
        architecture=model,
        options=find_model(model).check_options(options or {}),
        emotions=[emotions[k] for k in order],
        preprocessing=Preprocessing.of(find_model(model), side),
        training_data=pack.manifest.digest,
        epoch=3,
        selection="best of the epochs by validation accuracy",
        validation=validation or {},
    )
    with build(folder, "run", "train", options={"seed": seed}, inputs=[artifact_input("pack", pack)]) as builder:
        for part in ("best", "last"):
            save_checkpoint(builder.folder / part, net.state_dict(), metadata, "train")
        np.save(builder.folder / TRAINING_DIGESTS, read_digests(open_pack(pack), "train"))
        builder.finish(digest=f"{model} {seed}", emotions=list(emotions))
    return builder.artifact
