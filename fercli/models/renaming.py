"""State_dicts of other people's code under our names."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor


def rename_parts(state: Mapping[str, Tensor], parts: Mapping[str, str]) -> dict[str, Tensor]:
    """Return a state_dict whose names begin with ours where they began with theirs.

    Args:
        state: Names to tensors.
        parts: Module names of theirs to ours; the longest that a name begins with counts. Other names stay.
    """
    by_length = sorted(parts, key=len, reverse=True)
    renamed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        part = next((part for part in by_length if name.startswith(f"{part}.")), None)
        renamed[parts[part] + name[len(part) :] if part is not None else name] = tensor
    return renamed
