"""`fer card`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fercli.pretrained import read_card
from tests.helpers.cli import CliResult


def test_it_prints_or_writes_the_card(fer: Callable[..., CliResult], tmp_path: Path) -> None:
    assert fer("card", "ferplus").out == read_card("ferplus")
    assert fer("card", "ferplus", "--out", tmp_path / "CARD.md").code == 0
    assert (tmp_path / "CARD.md").read_text("utf-8") == read_card("ferplus")
    again = fer("card", "ferplus", "--out", tmp_path / "CARD.md")
    assert again.code == 1
    assert "already exists; choose another file, or replace it with --overwrite" in again.err
    assert fer("card", "ferplus", "--out", tmp_path / "CARD.md", "--overwrite").code == 0
    elsewhere = fer("card", "ferplus", "--out", tmp_path / "nowhere" / "CARD.md")
    assert elsewhere.code == 1
    assert "CARD.md: cannot be written: No such file or directory" in elsewhere.err
    missing = fer("card", tmp_path / "nothing")
    assert missing.code == 1
    assert missing.err.count("\n") == 1
