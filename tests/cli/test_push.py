"""`fer push`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.cli import CliResult
from tests.helpers.hub import TOKEN, StandIn, stand_in

Fer = Callable[..., CliResult]
FILES = ["README.md", "artifact.json", "model.json", "model.safetensors", "training_sha256.safetensors"]


def test_a_dry_run_shows_what_would_be_uploaded(fer: Fer, hub: StandIn) -> None:
    result = fer("push", "ferplus", "anna/faces", "--dry-run")
    assert result.code == 0
    first, header, *rows = result.out.splitlines()
    assert first.strip() == "anna/faces, a new private repository"
    assert header.split() == ["file", "kB", "on", "the", "hub"]
    assert [row.split()[0] for row in rows] == FILES
    assert {row.split()[-1] for row in rows} == {"new"}
    assert (hub.repositories, hub.uploads()) == ({}, [])
    assert TOKEN not in result.out + result.err


def test_pushing_twice(fer: Fer, hub: StandIn) -> None:
    result = fer("push", "ferplus", "anna/faces", "--message", "first")
    assert result.code == 0
    (commit,) = [c for c, text in hub.repositories["anna/faces"].messages.items() if text == "first"]
    *_, pushed, page = result.out.splitlines()
    assert pushed == f"pushed hf://anna/faces@{commit}"
    assert page == f"{hub.url}/anna/faces, private"
    assert "uploading 5 files" in result.err
    again = fer("push", "ferplus", "anna/faces")
    assert f"up to date hf://anna/faces@{commit}" in again.out
    assert again.out.count("unchanged") == len(FILES)
    assert fer("push", "ferplus", "anna/faces", "--quiet").out == f"hf://anna/faces@{commit}\n"


def test_json(fer: Fer, hub: StandIn) -> None:
    dry = json.loads(fer("push", "ferplus", "anna/faces", "--dry-run", "--json").out)
    assert (dry["dry_run"], dry["uploaded"], dry["commit"], dry["private"]) == (True, 0, None, True)
    done = json.loads(fer("push", "ferplus", "anna/faces", "--public", "--json").out)
    assert done["address"] == f"hf://anna/faces@{done['commit']}"
    assert done["url"] == f"{hub.url}/anna/faces"
    assert (done["created"], done["private"], done["uploaded"], done["dry_run"]) == (True, False, 5, False)
    assert [one["path"] for one in done["files"]] == FILES
    assert all(one["bytes"] > 0 for one in done["files"])
    failed = json.loads(fer("push", "ferplus", "anna/faces", "--json").out)
    assert "is public; push to it with --public" in failed["error"]["message"]


def test_errors_are_one_line(fer: Fer, hub: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = fer("push", "ferplus", "faces")
    assert (wrong.code, len(wrong.lines)) == (2, 1)
    assert wrong.lines[0].endswith("faces: not the name of a repository; write OWNER/NAME")
    missing = fer("push", tmp_path / "none", "anna/faces")
    assert (missing.code, len(missing.lines)) == (1, 1)
    with stand_in(tmp_path / "other", monkeypatch, token=""):
        nobody = fer("push", "ferplus", "anna/faces")
        assert (nobody.code, nobody.out) == (1, "")
        assert nobody.lines[0].endswith("not logged in to the hub; log in with hf auth login, or set HF_TOKEN")
    with stand_in(tmp_path / "third", monkeypatch, token="hf_" + "x" * 34):
        stranger = fer("push", "ferplus", "anna/faces")
        assert (stranger.code, "x" * 34 in stranger.err) == (1, False)
        assert "the hub does not accept the token of this login" in stranger.lines[-1]
