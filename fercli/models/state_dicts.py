"""Reading state_dicts from weights files of any origin: nothing in them is executed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from fercli.errors import DataError
from fercli.files import missing_message, utf8_path


def read_state(file: Path) -> dict[str, Tensor]:
    """Read weights from a safetensors file, or from a PyTorch file with only tensors and plain values.

    Raises:
        DataError: the file is missing, corrupt, or not a plain state_dict.
    """
    return read_weights(file)[0]


def read_weights(file: Path) -> tuple[dict[str, Tensor], str]:
    """Read weights like `read_state`; return them and, if the file has several sets, a phrase naming the one read.

    A PyTorch file is a pickle, which can run code when loaded; it is loaded in torch's weights-only mode, which rejects
    everything else.

    If a training checkpoint also contains a moving average of the weights, the average is used: it is what such
    training code evaluates (that of EmoNeXt, ConvNeXt and timm).

    Raises:
        DataError: the file is missing, corrupt, or not a plain state_dict.
    """
    if not file.is_file():
        raise DataError(missing_message(file, "weights file"))
    if file.suffix == ".safetensors":
        try:
            with utf8_path(file) as name:
                state = dict(load_file(name))
        except (SafetensorError, OSError, ValueError, KeyError) as error:
            raise DataError(f"{file}: not a valid safetensors file ({error})") from error
        if not state:
            raise DataError(f"{file}: contains no weights")
        return state, ""
    try:
        with torch.serialization.safe_globals(_numpy_values()):
            found = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises pickle, zip, EOF and runtime errors here, with the same meaning
        raise DataError(
            f"{file}: rejected: it is corrupt, or contains more than weights and could run code when loaded; "
            "use a safetensors file"
        ) from error
    average = next((name for name in _AVERAGES if isinstance(found, dict) and _is_state(found.get(name))), "")
    if average:
        found = found[average]
        parts = {k.removeprefix(_EMA_MODEL): v for k, v in found.items() if str(k).startswith(_EMA_MODEL)}
        found = parts or found
    for name in ("state_dict", "model_state_dict", "model", "net"):
        if isinstance(found, dict) and isinstance(found.get(name), dict):
            found = found[name]
    if not _is_state(found):
        raise DataError(f"{file}: contains no state_dict (names to tensors)")
    state = {str(name).removeprefix("module."): tensor for name, tensor in found.items()}
    return state, f"the moving average, '{average}', which such training code evaluates" if average else ""


_AVERAGES = ("ema", "model_ema", "state_dict_ema")
_EMA_MODEL = "ema_model."
"""Prefix of the averaged weights in the state of ema-pytorch, which contains other tensors as well."""


def _is_state(found: Any) -> bool:
    return isinstance(found, dict) and bool(found) and all(isinstance(value, Tensor) for value in found.values())


def _numpy_values() -> list[Any]:
    """Return the types that torch must allow to load NumPy scalars, which checkpoints use for the best accuracy."""
    scalar = np.float64(0).__reduce__()[0]
    types = [type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64, np.int32, np.bool_)]
    return [(scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")] + [np.dtype, *types]


def mismatch(expected: dict[str, Tensor], given: dict[str, Tensor]) -> str:
    """Return how two state_dicts differ in names and shapes, as a phrase; empty if they do not."""
    missing = [name for name in expected if name not in given]
    extra = [name for name in given if name not in expected]
    shapes = [name for name in expected if name in given and expected[name].shape != given[name].shape]
    parts = []
    if missing:
        parts.append(f"{len(missing)} missing, such as {missing[0]}")
    if extra:
        parts.append(f"{len(extra)} unknown, such as {extra[0]}")
    if shapes:
        name = shapes[0]
        parts.append(f"{name} is {tuple(given[name].shape)}, not {tuple(expected[name].shape)}")
    return "; ".join(parts)
