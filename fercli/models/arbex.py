"""ARBEx: landmark and image features fused by window cross-attention, a transformer, and reliability balancing.

Wasi et al. 2023. Where the paper is silent, this follows its authors' public code, whose feature extraction is POSTER
V2's (Mao et al. 2023, `fercli.models.poster_v2`): its embedding (768) and tokens go to the classifier and the
balancing.

The authors freeze IR-50 and the landmark network at weights from face recognition and landmark detection. These are not
part of fercli: without `--weights FILE` both are trained from random weights like the rest; with it, `--freeze
backbone` freezes both. The file contains the weights of either or both (as a checkpoint of POSTER V2 does), under the
names of POSTER V2, of the authors or, for IR-50, of face.evoLVe; if it contains only one of them, omit `--freeze`,
which would freeze the other at random weights.

Differences from the authors' code: the balancing attends to the image's own tokens, not across the batch, so that a
prediction does not depend on the other images; anchors are initialised at random, not with zeros; and evaluation
balances as training does, whereas theirs by default uses the classifier's distribution alone.

Parameters for seven classes: 44,208,227. That is 17,611,968 for IR-50, 911,232 for the landmark network and 1,179,904
for the convolution after it, 1,737,358 for the fusion, 6,835,200 for the tokens, 15,472,896 for the transformer,
389,767 for the classifier and 69,902 for the balancing. Layers that the authors' code builds but never calls are
omitted.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from fercli.models.poster_v2 import UNITS, PosterFeatures, backbone_names
from fercli.models.reliability import ReliabilityBalancing
from fercli.models.renaming import rename_parts


class ARBEx(PosterFeatures):
    """The whole network: POSTER V2's features, a classifier with hidden layers, and reliability balancing.

    Args:
        classes: Number of emotions.
        channels: Channels of tokens and embedding.
        hidden: Widths of the classifier's hidden layers.
        anchors: Anchors per class. The default of the authors' class is 10; their training script uses 1.
        trust_steps: See `ReliabilityBalancing`.
        **sizes: See `PosterFeatures`.
    """

    def __init__(
        self,
        classes: int,
        channels: int = 768,
        hidden: Sequence[int] = (384, 192, 96),
        anchors: int = 10,
        trust_steps: int = 10_000,
        **sizes: Any,
    ) -> None:
        super().__init__(channels=channels, **sizes)
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise((channels, *hidden)):
            layers += [nn.Linear(inputs, outputs), nn.ReLU(inplace=True), nn.BatchNorm1d(outputs), nn.Dropout(0.5)]
        self.classifier = nn.Sequential(*layers, nn.Linear(hidden[-1], classes))
        self.balancing = ReliabilityBalancing(channels, classes, anchors, trust_steps)

    def forward(self, x: Tensor) -> Tensor:
        """Map faces (B, 3, H, W) to logits (B, classes): the logarithm of the balanced distribution."""
        embedding, tokens = self.features(x)
        logits: Tensor = self.balancing(self.classifier(embedding), embedding, tokens)
        return logits

    def training_forward(self, x: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (B, classes) and the spread and center losses to add, a scalar; count a step for the trust.

        Args:
            x: Faces (B, 3, H, W).
            targets: int64 (B,), or soft float (B, classes).
        """
        embedding, tokens = self.features(x)
        return self.balancing.training_forward(self.classifier(embedding), embedding, tokens, targets)


def build(classes: int, **sizes: Any) -> nn.Module:
    """Build ARBEx; see the class."""
    return ARBEx(classes, **sizes)


_CONV, _INVERTED = ("conv", "bn", "prelu"), ("conv", "conv_dw", "project")
_PATHS = (("conv1", "conv2_dw", "conv_23", "conv_3"), ("conv_34", "conv_4"), ("conv_45", "conv_5", "conv_6_sep"))
"""Parts of the landmark network, grouped into paths as in the authors' code."""


def _image_names(prefix: str) -> dict[str, str]:
    """Return the names of IR-50's parts in the authors' code, mapped to ours."""
    names = {f"{prefix}input_layer": "image.input_layer"}
    for stage, units in enumerate(UNITS, 1):
        for unit in range(units):
            for theirs, part in (("res", "res_layer"), ("shortcut", "shortcut_layer")):
                names[f"{prefix}net_{stage}.net.{unit}.{theirs}"] = f"image.body{stage}.{unit}.{part}"
    return names


def _landmark_names(prefix: str) -> dict[str, str]:
    """Return the names of the landmark network's parts in the authors' code, mapped to ours."""
    names: dict[str, str] = {}

    def conv(theirs: str, ours: str) -> None:
        for k, part in enumerate(_CONV):
            names[f"{prefix}{theirs}.net.{k}"] = f"landmarks.{ours}.{part}"

    def inverted(theirs: str, ours: str) -> None:
        for k, part in enumerate(_INVERTED):
            conv(f"{theirs}.net.{k}", f"{ours}.{part}")

    for path, parts in enumerate(_PATHS, 1):
        for index, part in enumerate(parts):
            theirs = f"path_{path}.{index}"
            if part in ("conv1", "conv2_dw", "conv_6_sep"):
                conv(theirs, part)
            elif part in ("conv_23", "conv_34", "conv_45"):
                inverted(theirs, part)
            else:
                for block in range(6):
                    inverted(f"{theirs}.net.{block}", f"{part}.model.{block}")
    return names


_THEIRS = backbone_names()
for _image, _landmarks in (("", ""), ("ir.", "landmark.")):
    _THEIRS |= _image_names(_image) | _landmark_names(_landmarks)


def rename(state: dict[str, Tensor]) -> dict[str, Tensor] | None:
    """Return a state_dict with the weights of IR-50, the landmark network or both under our names; None if it has none.

    They come alone, or in a checkpoint of POSTER V2 or of the authors' code, whose other parts are not used.
    """
    renamed = rename_parts(state, _THEIRS)
    return None if renamed.keys() == state.keys() else renamed
