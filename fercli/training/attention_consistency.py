"""Attention consistency: a model should look at the same places in a face and in its mirror image.

Zhang, Wang, Ling and Deng 2022, "Learn from all: erasing attention consistency for noisy label facial expression
recognition", section 3. A model remembers a wrong label by a part of the features; erasing parts of the faces (the
setting `erasing`), and maps that agree, keep it from relying on such a part.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from fercli.models.activation_maps import ActivationMaps
from fercli.models.preprocessing import Preprocessing

OPTION = "attention-consistency"


class AttentionConsistency:
    """Runs a model on faces and on their mirror images, and compares the class activation maps.

    As in the authors' code, the maps are those of all emotions, the linear layer's weights are constants in them, both
    passes are in training mode, and the mirror images are not classified: the labels act through the faces alone.
    (Both passes therefore update the running statistics of batch norms.)

    Args:
        model: Ends in global average pooling and a linear layer.
        preprocessing: Its preprocessing.

    Raises:
        UsageError: it does not.
    """

    def __init__(self, model: nn.Module, preprocessing: Preprocessing) -> None:
        side = preprocessing.input_size
        self._maps = ActivationMaps(model, OPTION, (len(preprocessing.mean), side, side))

    def __call__(self, forward: Callable[..., Any], x: Tensor, *inputs: Tensor) -> tuple[Any, Tensor]:
        """Run the model on faces and on their mirror images.

        Args:
            forward: Runs the model once.
            x: Faces, erased and normalised, (B, C, H, W).
            inputs: What it takes besides, as its extra loss does.

        Returns:
            What `forward` returns for the faces, and the consistency loss, a scalar.
        """
        with self._maps.recorded() as features:
            output = forward(x, *inputs)
            forward(x.flip(3), *inputs)
        of_faces, of_mirrored = map(self._maps.of, features)
        return output, consistency_loss(of_faces, of_mirrored)


def consistency_loss(maps: Tensor, mirrored: Tensor) -> Tensor:
    """Return the mean squared difference of the maps of faces and the flipped maps of their mirror images, a scalar.

    The paper's consistency loss, divided by the numbers of faces, emotions and pixels.

    Args:
        maps: Of the faces, (B, classes, h, w).
        mirrored: Of their mirror images, (B, classes, h, w).
    """
    return F.mse_loss(maps, mirrored.flip(3))
