"""Renaming of state_dicts."""

from __future__ import annotations

import torch

from fercli.models.renaming import rename_parts


def test_longest_prefix_applies_and_other_names_are_kept() -> None:
    tensors = {name: torch.tensor(k) for k, name in enumerate(["a.weight", "a.b.weight", "ab.weight", "c"])}
    renamed = rename_parts(tensors, {"a": "x", "a.b": "y", "c": "z"})
    assert {name: int(tensor) for name, tensor in renamed.items()} == {
        "x.weight": 0,
        "y.weight": 1,
        "ab.weight": 2,
        "c": 3,
    }
