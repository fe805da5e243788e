"""Where pretrained weights come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fercli.errors import FerError, UsageError
from fercli.models.registry import MODELS, ModelSpec

if TYPE_CHECKING:
    from torch import Tensor


def imagenet_state(spec: ModelSpec) -> dict[str, Tensor]:
    """Return the ImageNet weights of a model's backbone under the model's names, through timm's hub entry.

    They are fetched once and kept in the hub's cache ($HF_HOME), which a machine without a network can be given.

    Raises:
        UsageError: there are none for this model.
        FerError: they are not in the cache and cannot be fetched.
    """
    if not spec.imagenet:
        names = ", ".join(s.name for s in MODELS if s.imagenet)
        raise UsageError(f"--weights imagenet: there are none for {spec.name}; there are for {names}")
    import timm

    try:
        state = timm.create_model(spec.imagenet, pretrained=True).state_dict()
    except Exception as error:  # the hub's client raises its own, the network's and the system's errors here
        raise FerError(
            f"--weights imagenet: timm's {spec.imagenet} is not in the hub's cache and cannot be fetched "
            f"({type(error).__name__}); give --weights FILE, or put it into the cache ($HF_HOME)"
        ) from error
    return {spec.imagenet_prefix + name: tensor for name, tensor in state.items()}
