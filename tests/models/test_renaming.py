"""State_dicts under other names."""

from __future__ import annotations

import torch

from fercli.models.renaming import rename_parts


def test_the_longest_part_counts_and_others_stay() -> None:
    tensors = {name: torch.tensor(k) for k, name in enumerate(["a.weight", "a.b.weight", "ab.weight", "c"])}
    renamed = rename_parts(tensors, {"a": "x", "a.b": "y", "c": "z"})
    assert {name: int(tensor) for name, tensor in renamed.items()} == {
        "x.weight": 0,
        "y.weight": 1,
        "ab.weight": 2,
        "c": 3,
    }
