"""Renaming of third-party state_dicts."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor


def rename_parts(state: Mapping[str, Tensor], parts: Mapping[str, str]) -> dict[str, Tensor]:
    """Replace module name prefixes in a state_dict.

    Args:
        state: Names to tensors.
        parts: Their module names to ours; the longest matching prefix applies. Other names are kept.
    """
    by_length = sorted(parts, key=len, reverse=True)
    renamed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        part = next((part for part in by_length if name.startswith(f"{part}.")), None)
        renamed[parts[part] + name[len(part) :] if part is not None else name] = tensor
    return renamed
