"""ARBEx: landmarks and image joined by window cross-attention, a transformer, and reliability balancing.

Wasi et al. 2023. What the paper leaves open follows its authors' public code, whose feature extraction is POSTER V2's
(Mao et al. 2023). A face is brought to 112 px whatever its size, so that any input size will do; IR-50 and a landmark
network give maps of 28, 14 and 7 places a side, which are joined at each scale; 147 tokens and a class token go through
two transformer blocks; the class token, gated, is the embedding of 768 values that the classifier and the balancing
read.

The authors hold IR-50 and the landmark network still, at weights from face recognition and landmark detection. Those
are not part of fercli: unless `--weights FILE` brings them, both are trained from random weights like the rest. With
them, `--freeze backbone` holds both still. The file has the weights of either or of both (a checkpoint of POSTER V2
does), under the names of POSTER V2, of the authors or, for IR-50, of face.evoLVe; with those of one alone, leave out
`--freeze`, or the other is held at random.

Three things differ from the authors' code: the balancing attends to an image's own tokens, not across the batch, so
that a face's prediction does not depend on its company; anchors begin at random, not at zero; and evaluation balances
as training does, where theirs by default takes the classifier's distribution alone.

Parameters for seven classes: 44,208,227. That is 17,611,968 of IR-50, 911,232 of the landmark network and 1,179,904 of
the convolution behind it, 1,737,358 where they are joined, 6,835,200 that make tokens, 15,472,896 of the transformer,
389,767 of the classifier and 69,902 of the balancing. (POSTER V2, whose classifier is one layer and which balances
nothing, counts 43.7 M.) Layers that the authors' code builds and never calls are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from fercli.models.ir50 import IR50
from fercli.models.landmark_net import LandmarkNet
from fercli.models.reliability import ReliabilityBalancing
from fercli.models.renaming import rename_parts
from fercli.models.window_attention import LandmarkFusion

DROP_PATH = (0.0, 0.125, 0.25)
"""Of the fusion at each scale."""


class Gate(nn.Module):
    """Squeeze-and-excitation of a vector, without a bottleneck: x sigmoid(W2 relu(W1 x))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(channels, channels)
        self.linear2 = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Weigh each value of (B, C) by one in 0..1."""
        return x * torch.sigmoid(self.linear2(torch.relu(self.linear1(x))))


class TokenTransformer(nn.Module):
    """A class token before the tokens, learnt positions, transformer blocks, a norm; the class token is gated.

    Args:
        channels: C.
        tokens: N.
        depth: Blocks.
        heads: Of each.
    """

    def __init__(self, channels: int, tokens: int, depth: int, heads: int) -> None:
        super().__init__()
        norm = partial(nn.LayerNorm, eps=1e-6)
        self.cls_token = nn.Parameter(torch.empty(1, 1, channels))
        self.pos_embed = nn.Parameter(torch.empty(1, tokens + 1, channels))
        self.blocks = nn.Sequential(
            *(Block(channels, heads, qkv_bias=True, norm_layer=norm) for _ in range(depth))  # type: ignore[arg-type]
        )
        self.norm = norm(channels)
        self.gate = Gate(channels)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)
        nn.init.trunc_normal_(self.cls_token, std=0.02)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Return the embedding (B, C) and all tokens (B, N + 1, C), the class token first, from tokens (B, N, C)."""
        x = torch.cat([self.cls_token.expand(tokens.shape[0], -1, -1), tokens], 1) + self.pos_embed
        x = self.norm(self.blocks(x))
        return self.gate(x[:, 0]), x


class ARBEx(nn.Module):
    """The whole network, RGB input (grey faces repeated to three channels).

    Args:
        classes: Number of emotions.
        side: What faces are brought to, pixels; a multiple of 16. (Nearest pixels are taken, as in the authors' code.)
        widths: Channels of the three scales.
        depths: Units of IR-50's stages.
        landmark_depths: Residual blocks of the landmark network at each scale.
        channels: Of tokens and embedding.
        blocks: Of the transformer.
        hidden: Widths of the classifier's hidden layers.
        anchors: For each class. Ten, as the authors' class has it by default; their training script asks for one.
        trust_steps: As of `ReliabilityBalancing`.
    """

    def __init__(
        self,
        classes: int,
        side: int = 112,
        widths: Sequence[int] = (64, 128, 256),
        depths: Sequence[int] = (3, 4, 14),
        landmark_depths: Sequence[int] = (4, 6, 2),
        channels: int = 768,
        blocks: int = 2,
        hidden: Sequence[int] = (384, 192, 96),
        anchors: int = 10,
        trust_steps: int = 10_000,
    ) -> None:
        super().__init__()
        first, second, third = widths
        self.side = side
        self.image = IR50(widths, depths)
        self.landmarks = LandmarkNet(widths, landmark_depths)
        self.landmarks_reduce = nn.Conv2d(2 * third, third, 3, padding=1)
        self.fusion = nn.ModuleList(
            LandmarkFusion(width, heads, side // shrink, drop)
            for width, heads, shrink, drop in zip(widths, (2, 4, 8), (4, 8, 16), DROP_PATH, strict=True)
        )
        halve = partial(nn.Conv2d, kernel_size=3, stride=2, padding=1)
        self.embed = nn.ModuleList(
            [
                nn.Sequential(halve(first, channels), halve(channels, channels)),
                halve(second, channels),
                nn.Conv2d(third, channels, 1),
            ]
        )
        self.transformer = TokenTransformer(channels, 3 * (side // 16) ** 2, blocks, heads=8)
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise((channels, *hidden)):
            layers += [nn.Linear(inputs, outputs), nn.ReLU(inplace=True), nn.BatchNorm1d(outputs), nn.Dropout(0.5)]
        self.classifier = nn.Sequential(*layers, nn.Linear(hidden[-1], classes))
        self.balancing = ReliabilityBalancing(channels, classes, anchors, trust_steps)

    def features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the embedding (B, C) and the tokens (B, N + 1, C) of faces (B, 3, H, W)."""
        x = F.interpolate(x, size=(self.side, self.side))
        fine, middle, coarse = self.landmarks(x)
        asked = (fine, middle, self.landmarks_reduce(coarse))
        joined = [fuse(image, asks) for fuse, image, asks in zip(self.fusion, self.image(x), asked, strict=True)]
        tokens = [embed(part).flatten(2).transpose(1, 2) for embed, part in zip(self.embed, joined, strict=True)]
        found: tuple[Tensor, Tensor] = self.transformer(torch.cat(tokens, 1))
        return found

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, classes) of faces (B, 3, H, W): the logarithm of the balanced distribution."""
        embedding, tokens = self.features(x)
        logits: Tensor = self.balancing(self.classifier(embedding), embedding, tokens)
        return logits

    def training_forward(self, x: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (B, classes) and the spread and centre losses to add, a scalar; trust rises by a step.

        Args:
            x: Faces (B, 3, H, W).
            targets: int64 (B,), or soft float (B, classes).
        """
        embedding, tokens = self.features(x)
        return self.balancing.training_forward(self.classifier(embedding), embedding, tokens, targets)


def build(classes: int, **sizes: Any) -> nn.Module:
    """Build ARBEx; see the class."""
    return ARBEx(classes, **sizes)


_UNITS = (3, 4, 14)
_CONV, _INVERTED = ("conv", "bn", "prelu"), ("conv", "conv_dw", "project")
_PATHS = (("conv1", "conv2_dw", "conv_23", "conv_3"), ("conv_34", "conv_4"), ("conv_45", "conv_5", "conv_6_sep"))
"""Parts of the landmark network, as the authors' code divides them into paths."""


def _image_names(prefix: str) -> dict[str, str]:
    """Return what others call the parts of IR-50, and what we do."""
    names = {f"{prefix}input_layer": "image.input_layer"}
    for stage, units in enumerate(_UNITS, 1):
        for unit in range(units):
            ours = f"image.body{stage}.{unit}"
            names[f"{prefix}body{stage}.{unit}"] = ours  # POSTER V2
            names[f"{prefix}body.{sum(_UNITS[: stage - 1]) + unit}"] = ours  # face.evoLVe
            for theirs, part in (("res", "res_layer"), ("shortcut", "shortcut_layer")):
                names[f"{prefix}net_{stage}.net.{unit}.{theirs}"] = f"{ours}.{part}"
    return names


def _landmark_names(prefix: str) -> dict[str, str]:
    """Return what others call the parts of the landmark network, and what we do."""
    names: dict[str, str] = {}

    def conv(theirs: str, ours: str) -> None:
        for k, part in enumerate(_CONV):
            names[f"{prefix}{ours}.{part}"] = f"landmarks.{ours}.{part}"  # POSTER V2
            names[f"{prefix}{theirs}.net.{k}"] = f"landmarks.{ours}.{part}"

    def inverted(theirs: str, ours: str) -> None:
        for k, part in enumerate(_INVERTED):
            conv(f"{theirs}.net.{k}", f"{ours}.{part}")

    for path, parts in enumerate(_PATHS, 1):
        for place, part in enumerate(parts):
            theirs = f"path_{path}.{place}"
            if part in ("conv1", "conv2_dw", "conv_6_sep"):
                conv(theirs, part)
            elif part in ("conv_23", "conv_34", "conv_45"):
                inverted(theirs, part)
            else:
                for block in range(6):
                    inverted(f"{theirs}.net.{block}", f"{part}.model.{block}")
    return names


_THEIRS: dict[str, str] = {}
for _image, _landmarks in (("", ""), ("ir_back.", "face_landback."), ("ir.", "landmark.")):
    _THEIRS |= _image_names(_image) | _landmark_names(_landmarks)


def rename(state: dict[str, Tensor]) -> dict[str, Tensor] | None:
    """Return a state_dict with IR-50's weights, the landmark network's or both under our names; None where it has none.

    Both come by themselves, or within a checkpoint of POSTER V2 or of the authors' code, whose other parts stay unused.
    """
    renamed = rename_parts(state, _THEIRS)
    return None if renamed.keys() == state.keys() else renamed
