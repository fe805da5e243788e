"""Validation of weights when they are loaded, before anything is computed with them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from fercli.errors import DataError


def check_weights(state: Mapping[str, Tensor], own: Mapping[str, Tensor], where: str | Path) -> None:
    """Check the tensors that are about to be loaded into a model.

    Tensors that the model does not have are ignored.

    Args:
        state: Names to tensors.
        own: The model's state_dict, to compare types with.
        where: Their source, for the error message.

    Raises:
        DataError: there are none, or one is complex, integer where the model's is floating point, sparse or without
            data, or contains values not finite in the model's precision or a negative variance.
    """
    if not state:
        raise DataError(f"{where}: contains no weights")
    for name, mine in own.items():
        given = state.get(name)
        if given is not None and (why := _wrong(name, given, mine)):
            raise DataError(f"{where}: invalid weights: {name} {why}; train or download them again")


def _wrong(name: str, given: Tensor, own: Tensor) -> str:
    """Return why a tensor is invalid; empty if it is valid."""
    if given.is_complex():
        return "is complex"
    if given.layout != torch.strided or given.is_quantized or given.is_meta:
        return "is not a plain tensor (sparse, quantised, or without data)"
    if own.is_floating_point() and not given.is_floating_point():
        return f"is {_name(given)}, not {_name(own)}"
    # A number too large for the model's precision becomes infinite. Integer counters may be stored as floats.
    values = given.to(own.dtype) if own.is_floating_point() else given.double()
    if not bool(torch.isfinite(values).all()):
        kind = "NaN" if bool(torch.isnan(values).any()) else "infinite values"
        return f"contains {kind}"
    if name.rpartition(".")[2] == "running_var" and bool((values < 0).any()):
        return "contains negative variances"
    return ""


def _name(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
