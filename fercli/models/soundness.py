"""Whether weights can be right: whatever cannot is refused where it is loaded, before anything is computed with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from fercli.errors import DataError


def check_weights(state: Mapping[str, Tensor], own: Mapping[str, Tensor], where: str | Path) -> None:
    """Check the tensors that a model is about to take.

    Those without a place in the model are not looked at.

    Args:
        state: Names to tensors.
        own: The model's, by which types are compared.
        where: What the error calls them.

    Raises:
        DataError: there is none, or one is complex, whole numbers where the model has real ones, sparse or without its
            data, holds what is not finite in the model's precision, or a variance below zero.
    """
    if not state:
        raise DataError(f"{where}: holds no weights")
    for name, mine in own.items():
        given = state.get(name)
        if given is not None and (why := _wrong(name, given, mine)):
            raise DataError(f"{where}: weights that cannot be right: {name} {why}; train or fetch them again")


def _wrong(name: str, given: Tensor, own: Tensor) -> str:
    """Return why a tensor cannot be right; empty where it can."""
    if given.is_complex():
        return "is complex"
    if given.layout != torch.strided or given.is_quantized or given.is_meta:
        return "is not a plain tensor (sparse, quantised, or without its data)"
    if own.is_floating_point() and not given.is_floating_point():
        return f"is {_name(given)}, not {_name(own)}"
    # A number that is too large for the model's precision becomes infinite. What the model counts may come as real.
    values = given.to(own.dtype) if own.is_floating_point() else given.double()
    if not bool(torch.isfinite(values).all()):
        kind = "NaN" if bool(torch.isnan(values).any()) else "infinite values"
        return f"holds {kind}"
    if name.rpartition(".")[2] == "running_var" and bool((values < 0).any()):
        return "holds variances below zero"
    return ""


def _name(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
