"""A probe: a frozen encoder of timm, and a small head that is trained on its features.

The usual measure of what a pretrained encoder knows. The head is that of the linear probes of MAE (He et al. 2022,
appendix A.1), a batch norm without affine parameters and a linear layer; or it has one hidden layer. The encoder has no
classifier and is always in evaluation mode, so its features of a face never change, and training computes them once
(`fercli.models.feature_cache`).

`probe` has a usual encoder; `probe/<name>` has any encoder of timm.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from functools import cache, partial
from typing import Self

import torch
from pydantic import Field
from torch import Tensor, nn

from fercli.emotions import EMOTIONS
from fercli.models import timm_models
from fercli.models.encoder_weights import rename
from fercli.models.preprocessing import Preprocessing
from fercli.models.probes import PREFIX, PROBE
from fercli.models.spec import ModelSpec

HIDDEN = 512
"""Width of the hidden layer of the head `mlp`."""
HIDDEN_DROPOUT = 0.2
USUAL_SIDE = 224
"""Default input size, pixels, of encoders that accept any and have a larger one of their own."""


class Probe(nn.Module):
    """An encoder and a head, from faces (B, C, H, W) to logits (B, classes).

    Args:
        encoder: From faces to features (B, D). It stays in evaluation mode.
        head: From features to logits.
    """

    def __init__(self, encoder: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head
        self.train()

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (B, classes)."""
        logits: Tensor = self.head(self.encoder(x))
        return logits

    def train(self, mode: bool = True) -> Self:
        """Set the mode of the head."""
        super().train(mode)
        self.encoder.eval()
        return self

    def without_encoder(self) -> Probe:
        """Return the probe of features, (B, D); it shares the head, whose parameters keep their names."""
        return Probe(nn.Identity(), self.head)


class FeaturePreprocessing(Preprocessing):
    """The preprocessing of features instead of faces: (N, V, D), the first of V views that of the face itself.

    Attributes:
        width: Number of features, D.
    """

    width: int = Field(exclude=True)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one input of the head."""
        return (self.width,)

    def to_float(self, images: Tensor) -> Tensor:
        """Return the features, (B, V, D)."""
        return images.float()

    def resize(self, x: Tensor, size: int | None = None) -> Tensor:
        """Return the features of the faces themselves, (B, D); they have no size."""
        del size
        return x[:, 0]

    def normalise(self, x: Tensor) -> Tensor:
        """Return the features."""
        return x


def build(classes: int, encoder: str, multiple: int = 1, side: int = 0, head: str = "linear") -> nn.Module:
    """Build a probe with random weights.

    Args:
        classes: Number of emotions.
        encoder: The encoder's name in timm.
        multiple: Inputs are enlarged bilinearly to the next multiple, pixels.
        side: Inputs are resized to this side instead, pixels; 0: not.
        head: linear, or mlp for one hidden layer.
    """
    body = timm_models.build(0, encoder, multiple, side)
    width = int(getattr(body, "head_hidden_size", None) or body.num_features)  # type: ignore[arg-type]
    parts: OrderedDict[str, nn.Module] = OrderedDict(norm=nn.BatchNorm1d(width, affine=False))
    if head == "mlp":
        parts |= {"hidden": nn.Linear(width, HIDDEN), "activation": nn.GELU()}
        width = HIDDEN
    parts |= {"dropout": nn.Dropout(HIDDEN_DROPOUT if head == "mlp" else 0.0), "classifier": nn.Linear(width, classes)}
    return Probe(body, nn.Sequential(parts))


@cache
def probe_spec(encoder: str) -> ModelSpec:
    """Return the spec of the probe of timm's model `encoder`.

    The input size is the encoder's own; above 224 px that, where it accepts any size.

    Raises:
        UsageError: timm has no such model or weights, or the model accepts neither grey nor RGB.
    """
    found = timm_models.timm_spec(encoder)
    arguments = {**found.arguments, "encoder": encoder}
    del arguments["name"]
    side = found.input_size if found.arguments["side"] else max(min(found.input_size, USUAL_SIDE), found.smallest)
    with torch.device("meta"):
        parameters = sum(p.numel() for p in build(len(EMOTIONS), **arguments).parameters())
    return replace(
        PROBE,
        name=f"{PREFIX}{encoder}",
        arguments=arguments,
        parameters=parameters,
        input_size=side,
        smallest=found.smallest,
        smallest_why=found.smallest_why,
        mean=found.mean,
        std=found.std,
        gradcam=f"encoder.{found.gradcam}" if found.gradcam else "",
        recipe=PROBE.recipe_file,
        imagenet=found.imagenet,
        rename=partial(rename, encoder=encoder),
        reduced={},
        reduced_size=0,
    )
