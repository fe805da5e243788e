"""Names of files are data: what is printed, written for spreadsheets and into pages does nothing, whatever they are."""

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
from tests.helpers.cli import Ended
from tests.helpers.datasets import face, small_csv, write_tree
from tests.helpers.photographs import photograph

Fer = Callable[..., Ended]
HOSTILE = (
    "=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "[red]red[", "back\\[red]", "\x1b[31mescape\x07", "two\nlines",
    "\u202egpj", "<img src=x onerror=alert(1)>", "&lt;b&gt;{{ 7 * 7 }}", os.fsdecode(b"\xff\xfe"),
)  # fmt: skip
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def inert(ended: Ended) -> None:
    """Check what a call printed."""
    assert ended.code == 0, ended.err
    for stream in (ended.out, ended.err):
        assert "Traceback" not in stream
        assert all(line.isprintable() for line in stream.split("\n")), ended


def check_files(folder: Path) -> None:
    """Check the tables and pages of an artifact."""
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


@pytest.mark.parametrize("out", ["[red]out\x1b[31m", "=out", "-out"])
def test_stages_of_data(fer: Fer, hostile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str) -> None:
    monkeypatch.chdir(tmp_path)
    place = f"./{out}"
    inert(fer("detect", hostile / "photographs", place))
    check_files(tmp_path / out)
    inert(fer("show", place))
    listed = fer("show", tmp_path)
    inert(listed)
    assert replace_unprintable(out).replace("_[31m", " [31m") in listed.out
    inert(fer("import", hostile / "faces", f"{place}2"))
    inert(fer("clean", f"{place}2", f"{place}3"))
    inert(fer("balance", f"{place}3", f"{place}4", "--policy", "13"))
    inert(fer("pack", f"{place}4", f"{place}5"))
    for number in (2, 3, 4):
        check_files(tmp_path / f"{out}{number}")
    for number in ("2", "5"):
        inert(fer("show", f"{place}{number}"))


def test_stages_of_models(fer: Fer, hostile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert fer("import", hostile / "faces", "faces", "-q").code == 0
    inert(fer("pack", "faces", "pack"))
    run = "[red]run\x1b[31m"
    inert(fer("train", "pack", run, "--model", "quick", "--epochs", "1", "--batch-size", "8", "--device=cpu"))
    inert(fer("evaluate", run, "pack", "=evaluation", "--device=cpu"))
    inert(fer("explain", run, hostile / "photographs", "--out", "explanation", "--device=cpu", "--faces", "crop"))
    inert(fer("predict", run, hostile / "photographs", "--csv", "[red].csv", "--device=cpu"))
    other = ("train", "pack", "[/red]", "--model", "quick", "--epochs", "1", "--batch-size", "8", "--device=cpu")
    inert(fer(*other, "--seed", "1"))
    inert(fer("ensemble", run, "[/red]", "--pack", "pack", "--out", "-e", "--device=cpu"))
    for folder in ("=evaluation", "-e", "explanation"):
        check_files(tmp_path / folder)
    inert(fer("show", "=evaluation"))
    inert(fer("show", "."))


def test_errors_name_files_inertly(fer: Fer, tmp_path: Path) -> None:
    for name in HOSTILE:
        for command in ("import", "detect", "clean", "pack", "show", "train"):
            ended = fer(command, tmp_path / name)
            assert ended.code in (1, 2)
            assert len(ended.lines) == 1
            assert ended.lines[0].isprintable()
            error = json.loads(fer(command, tmp_path / name, "--json").out)["error"]
            assert error["message"].isprintable()


def test_the_next_step_can_be_pasted(fer: Fer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import subprocess

    monkeypatch.chdir(tmp_path)
    small_csv(tmp_path / "a.csv", each=1)
    for name in ("plain", "with space", "it's", "-dash", "$HOME;x", "[red]", "\x1b[31m\n", "\u202e"):
        ended = fer("import", "a.csv", f"./{name}")
        line = ended.lines[-1].partition("next: ")[2]
        assert line.isprintable()
        words = subprocess.run(["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True).stdout
        command = [os.fsdecode(word) for word in words.split(b"\0")][:-1]
        assert command[:2] == ["fer", "clean"]
        assert (tmp_path / command[2]).samefile(tmp_path / name)
        assert command[3:] == ["cleaned"]


@given(st.text())
def test_cells_and_pages(text: str) -> None:
    for cell in (path_cell(text), word_cell(text)):
        assert cell.endswith(text)
    assert from_path_cell(path_cell(text)) == text
    assert from_word_cell(word_cell(text)) == text
    assert not path_cell(text).startswith(FORMULA)
    assert os.path.normpath(path_cell(text)) == os.path.normpath(text)
    with_sign = word_cell(text)
    if with_sign.startswith(FORMULA):
        assert np.isscalar(float(with_sign))


@given(st.text(alphabet="./'=+-@1a", max_size=6))
def test_cells_come_back(text: str) -> None:
    assert from_path_cell(path_cell(text)) == text
    assert from_word_cell(word_cell(text)) == text


@given(st.text())
def test_pages(text: str) -> None:
    assert all(c.isprintable() or c in "\n\t" for c in replace_unprintable(text))
    assert len(replace_unprintable(text)) == len(text)
