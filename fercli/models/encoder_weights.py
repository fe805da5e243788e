"""Weights of encoders from files: any prefix before timm's names, and the formats that timm itself converts.

What is converted is decided by what fits, never by the name of a file: of all readings of a file the one with the most
tensors of the encoder, by name and shape.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from fercli.models.probes import DEFAULT_ENCODER
from fercli.models.timm_models import build

PREFIX = "encoder."
"""Before the names of the encoder's tensors in a probe."""
_CLIP = "class_embedding"
"""A name that only the image towers of CLIP have; timm converts them under the prefix `visual.`."""


def rename(state: dict[str, Tensor], encoder: str) -> dict[str, Tensor] | None:
    """Return a state_dict with the encoder's tensors under the names of a probe; None if they are that already.

    Understands timm's names under any prefix (`module.`, `image_encoder.`, `visual.trunk.`), and what timm converts for
    this encoder: CLIP's image towers (so FaRL's), DINOv2's. MAE's encoders (so FMAE's) have timm's names.

    Args:
        state: Names to tensors.
        encoder: The encoder's name in timm.
    """
    model = _encoder(encoder)
    expected = {name: tensor.shape for name, tensor in model.state_dict().items()}
    if all(f"{PREFIX}{name}" in state for name in expected):
        return None
    readings = [state, *_readings(state, model, next(iter(expected)))]
    best = max(readings, key=lambda reading: _fits(reading, expected))
    return {f"{PREFIX}{name}": tensor for name, tensor in best.items()}


def rename_default(state: dict[str, Tensor]) -> dict[str, Tensor] | None:
    """Return a state_dict with names mapped for the encoder of the model `probe`."""
    return rename(state, DEFAULT_ENCODER)


@cache
def _encoder(name: str) -> nn.Module:
    """Return an encoder without data."""
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return build(0, name)


def _fits(reading: Mapping[str, Tensor], expected: Mapping[str, torch.Size]) -> int:
    return sum(name in reading and reading[name].shape == shape for name, shape in expected.items())


def _readings(state: dict[str, Tensor], model: nn.Module, first: str) -> Iterator[dict[str, Tensor]]:
    """Yield a state_dict without its prefixes, and as timm converts it."""
    convert: Callable[..., Any] | None = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
    for mark, given in ((first, ""), (_CLIP, "visual.")):
        for prefix in sorted({name[: -len(mark)] for name in state if name.endswith(mark)} | {""}):
            plain = {
                given + name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)
            }
            yield plain
            if convert is not None:
                try:
                    yield dict(convert(dict(plain), model))
                except Exception:  # of another format: what timm raises depends on where it notices
                    continue
