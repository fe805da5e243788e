"""`fer models --pretrained` and the cards."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from fercli.pretrained import pretrained_names, read_card, read_figures

Fer = Callable[..., Any]


def test_table_has_each_model_and_its_first_figure(fer: Fer) -> None:
    result = fer("models", "--pretrained")
    assert result.code == 0
    for name in pretrained_names():
        first = read_figures(name)[0]
        (row,) = [line for line in result.out.splitlines() if line.startswith(name)]
        assert f"{first.accuracy:.1%}" in row
        assert f"{first.n:,}" in row
        assert row.rstrip().endswith(first.data)
    assert max(map(len, result.out.splitlines())) <= 80


def test_card_is_plain_markdown_for_other_programs(fer: Fer) -> None:
    assert fer("models", "ferplus").out.strip() == read_card("ferplus").strip()
    both = fer("models", "fer2013", "quick").out
    assert both.startswith("# fer2013")
    assert "quick.toml" in both


def test_json(fer: Fer) -> None:
    listed = json.loads(fer("models", "--pretrained", "--json").out)
    assert [one["name"] for one in listed] == pretrained_names()
    (one,) = json.loads(fer("models", "ferplus", "--json").out)
    assert one == listed[0]
    assert one["architecture"] == "small"
    assert len(one["emotions"]) == 8
    assert one["figures"][0]["accuracy"] == read_figures("ferplus")[0].accuracy
    mixed = json.loads(fer("models", "quick", "ferplus", "--json").out)
    assert [entry["name"] for entry in mixed] == ["ferplus", "quick"]


@pytest.mark.parametrize(
    ("words", "message"),
    [(("ferplus", "--pretrained"), "--pretrained: lists all"), (("ferplsu",), "no model 'ferplsu'")],
)
def test_errors(fer: Fer, words: tuple[str, ...], message: str) -> None:
    result = fer("models", *words)
    assert result.code == 2
    assert message in result.err
