"""Hostile file names are inert on the terminal, in CSV files and in HTML pages."""

import csv
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fercli.sanitize import from_path_cell, from_word_cell, path_cell, replace_unprintable, word_cell
from tests.helpers.cli import CliResult
from tests.helpers.datasets import face, small_csv, write_tree
from tests.helpers.photographs import photograph

Fer = Callable[..., CliResult]
HOSTILE = (
    "=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "[red]red[", "back\\[red]", "\x1b[31mescape\x07", "two\nlines",
    "\u202egpj", "<img src=x onerror=alert(1)>", "&lt;b&gt;{{ 7 * 7 }}", os.fsdecode(b"\xff\xfe"),
)  # fmt: skip
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def assert_inert(result: CliResult) -> None:
    """Check that a call succeeded and printed nothing harmful."""
    assert result.code == 0, result.err
    for stream in (result.out, result.err):
        assert "Traceback" not in stream
        assert all(line.isprintable() for line in stream.split("\n")), result


def check_files(folder: Path) -> None:
    """Check that the tables and pages of an artifact are inert."""
    for table in folder.glob("*.csv"):
        for row in csv.reader(table.open(encoding="utf-8", newline="")):
            for cell in row:
                number = re.fullmatch(r"[-+]?[\d.]+(e[-+]?\d+)?( .*)?", cell)
                assert number or not cell.startswith(FORMULA), (table, row)
                assert cell.isprintable(), (table, row)
    for page in folder.glob("*.html"):
        text = page.read_text("utf-8")
        assert "<img src=x" not in text
        assert "49" not in re.findall(r"&lt;b&gt;\S*", text)
        assert all(c.isprintable() or c in "\n\t" for c in text), page


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs without a label, and faces by split and emotion, under hostile names."""
    folder = tmp_path_factory.mktemp("hostile")
    for number, name in enumerate(HOSTILE):
        write_tree(folder / "photographs", {f"{name}.png": photograph((30, 10, 60 + number))})
        for split in ("train", "validation", "test"):
            seed = 100 * number + len(split)
            write_tree(
                folder / "faces", {f"{split}/{e}/{name}.png": face(seed + 50 * (e == "sad")) for e in ("happy", "sad")}
            )
    (folder / "faces" / "train" / "happy" / "[red]broken\x1b[31m.png").write_bytes(b"none")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("out", ["[red]out\x1b[31m", "=out", "-out"])
def test_data_stages(fer: Fer, hostile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str) -> None:
    monkeypatch.chdir(tmp_path)
    path = f"./{out}"
    assert_inert(fer("detect", hostile / "photographs", path))
    check_files(tmp_path / out)
    assert_inert(fer("show", path))
    listed = fer("show", tmp_path)
    assert_inert(listed)
    assert replace_unprintable(out).replace("_[31m", " [31m") in listed.out
    assert_inert(fer("import", hostile / "faces", f"{path}2"))
    assert_inert(fer("clean", f"{path}2", f"{path}3"))
    assert_inert(fer("balance", f"{path}3", f"{path}4", "--policy", "13"))
    assert_inert(fer("pack", f"{path}4", f"{path}5"))
    for number in (2, 3, 4):
        check_files(tmp_path / f"{out}{number}")
    for number in ("2", "5"):
        assert_inert(fer("show", f"{path}{number}"))


@pytest.mark.slow
def test_model_stages(fer: Fer, hostile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert fer("import", hostile / "faces", "faces", "-q").code == 0
    assert_inert(fer("pack", "faces", "pack"))
    run = "[red]run\x1b[31m"
    assert_inert(fer("train", "pack", run, "--model", "quick", "--epochs", "1", "--batch-size", "8", "--device=cpu"))
    assert_inert(fer("evaluate", run, "pack", "=evaluation", "--device=cpu"))
    assert_inert(
        fer("explain", run, hostile / "photographs", "--out", "explanation", "--device=cpu", "--faces", "crop")
    )
    assert_inert(fer("predict", run, hostile / "photographs", "--csv", "[red].csv", "--device=cpu"))
    other = ("train", "pack", "[/red]", "--model", "quick", "--epochs", "1", "--batch-size", "8", "--device=cpu")
    assert_inert(fer(*other, "--seed", "1"))
    assert_inert(fer("ensemble", run, "[/red]", "--pack", "pack", "--out", "-e", "--device=cpu"))
    for folder in ("=evaluation", "-e", "explanation"):
        check_files(tmp_path / folder)
    assert_inert(fer("show", "=evaluation"))
    assert_inert(fer("show", "."))


@pytest.mark.slow
def test_file_names_in_errors_are_inert(fer: Fer, tmp_path: Path) -> None:
    for name in HOSTILE:
        for command in ("import", "detect", "clean", "pack", "show", "train"):
            result = fer(command, tmp_path / name)
            assert result.code in (1, 2)
            assert len(result.lines) == 1
            assert result.lines[0].isprintable()
            error = json.loads(fer(command, tmp_path / name, "--json").out)["error"]
            assert error["message"].isprintable()


@pytest.mark.slow
def test_next_command_can_be_pasted(fer: Fer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import subprocess

    monkeypatch.chdir(tmp_path)
    small_csv(tmp_path / "a.csv", each=1)
    for name in ("plain", "with space", "it's", "-dash", "$HOME;x", "[red]", "\x1b[31m\n", "\u202e"):
        result = fer("import", "a.csv", f"./{name}")
        line = result.lines[-1].partition("next: ")[2]
        assert line.isprintable()
        words = subprocess.run(["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True).stdout
        command = [os.fsdecode(word) for word in words.split(b"\0")][:-1]
        assert command[:2] == ["fer", "clean"]
        assert (tmp_path / command[2]).samefile(tmp_path / name)
        assert command[3:] == ["cleaned"]


@given(st.text())
def test_cells_are_reversible_and_no_formulas(text: str) -> None:
    for one in (path_cell(text), word_cell(text)):
        assert one.endswith(text)
    assert from_path_cell(path_cell(text)) == text
    assert from_word_cell(word_cell(text)) == text
    assert not path_cell(text).startswith(FORMULA)
    assert os.path.normpath(path_cell(text)) == os.path.normpath(text)
    cell = word_cell(text)
    if cell.startswith(FORMULA):
        assert np.isscalar(float(cell))


@given(st.text(alphabet="./'=+-@1a", max_size=6))
def test_cells_round_trip(text: str) -> None:
    assert from_path_cell(path_cell(text)) == text
    assert from_word_cell(word_cell(text)) == text


@given(st.text())
def test_replace_unprintable(text: str) -> None:
    assert all(c.isprintable() or c in "\n\t" for c in replace_unprintable(text))
    assert len(replace_unprintable(text)) == len(text)
