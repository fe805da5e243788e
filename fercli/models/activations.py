"""Activation functions by name."""

from __future__ import annotations

from torch import nn

_LAYERS: dict[str, type[nn.Module]] = {"": nn.ReLU, "relu": nn.ReLU, "elu": nn.ELU, "selu": nn.SELU}


def activation_layer(name: str) -> type[nn.Module]:
    """Return the layer class of `relu`, `elu` (Clevert et al. 2016) or `selu` (Klambauer et al. 2017); empty: ReLU.

    All accept `inplace`.

    Raises:
        ValueError: there is no such activation.
    """
    if name not in _LAYERS:
        raise ValueError(f"no activation {name!r}; there are {', '.join(filter(None, _LAYERS))}")
    return _LAYERS[name]
