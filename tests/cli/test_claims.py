"""`fer claims`: what the papers say beside what was measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

Fer = Callable[..., Any]


def test_overview(fer: Fer) -> None:
    lines = fer("claims").out.splitlines()
    quick = next(line for line in lines if line.startswith("quick "))
    assert "67.73 % [66.19, 69.24]" in quick
    resemotenet = [line for line in lines if line.startswith("resemotenet ")]
    assert any("79.79 %" in line and "not measured" in line for line in resemotenet)
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("model", "parts"),
    [
        (
            "quick",
            ["measured", "67.73 %", "macro F1 0.645", "n = 3,589, 5 seeds", "66.59 %", "macro F1 0.625", "one seed"],
        ),
        ("resemotenet", ["the paper says", "79.79 % on FER2013", "protocol", "known", "not measured"]),
    ],
)
def test_details(fer: Fer, model: str, parts: list[str]) -> None:
    found = fer("claims", model)
    assert found.code == 0
    for part in parts:
        assert part in " ".join(found.out.split()), part


def test_json_and_unknown_names(fer: Fer) -> None:
    (entry,) = json.loads(fer("claims", "quick", "--json").out)
    assert entry["measured"][0]["accuracy"] == 67.73
    assert entry["claims"] == []
    found = fer("claims", "resemotnet")
    assert found.code == 2
    assert "did you mean resemotenet" in found.err
