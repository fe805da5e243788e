"""What is no regular file is refused before a byte is read, and names of any bytes become valid text."""

import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fercli.files import as_text, check_file, missing_message, open_file, open_text, read_bytes

OPENERS: list[Callable[[Path], Any]] = [open_file, open_text, read_bytes, check_file]


def special(folder: Path, kind: str) -> Path:
    """Return a path of a kind: a pipe, a socket, a device, a link to a pipe."""
    path = folder / "special"
    if kind == "a device":
        return Path("/dev/zero")
    if kind == "a socket":
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(os.path.relpath(path))  # a socket's address is short
        return path
    os.mkfifo(path)
    if kind == "a link to a pipe":
        (folder / "link").symlink_to(path)
        return folder / "link"
    return path


@pytest.mark.parametrize("opener", OPENERS)
@pytest.mark.parametrize("kind", ["a pipe", "a link to a pipe", "a device", "a socket"])
def test_what_is_no_file_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, opener: Callable[[Path], Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = special(tmp_path, kind)
    with pytest.raises(OSError, match=f"{kind.removeprefix('a link to ')}, not a file") as caught:
        opener(path)
    assert caught.value.errno == errno.EINVAL
    assert caught.value.filename == str(path)


@pytest.mark.parametrize("opener", OPENERS)
def test_folders_and_missing_files_are_told_as_ever(tmp_path: Path, opener: Callable[[Path], Any]) -> None:
    with pytest.raises(IsADirectoryError):
        opener(tmp_path)
    with pytest.raises(FileNotFoundError):
        opener(tmp_path / "nothing")


def test_what_stands_where_a_file_is_wanted_is_told(tmp_path: Path) -> None:
    assert missing_message(tmp_path / "none", "weights file").endswith("none: no such weights file")
    assert missing_message(tmp_path, "weights file").endswith(": a folder, not a weights file")
    assert missing_message(special(tmp_path, "a pipe"), "weights file").endswith(": a pipe, not a weights file")
    assert missing_message(Path("a\0b"), "picture").endswith(": no such picture")


def test_files_and_links_to_them_are_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"a\r\n\xff")
    (tmp_path / "link").symlink_to("file")
    assert read_bytes(tmp_path / "link") == b"a\r\n\xff"
    with open_text(tmp_path / "file", errors="surrogateescape", newline="") as file:
        assert file.read() == "a\r\n\udcff"


@given(st.binary(max_size=40))
def test_any_name_becomes_valid_text(raw: bytes) -> None:
    text = as_text(os.fsdecode(raw))
    assert text.encode() == raw.decode("utf-8", "backslashreplace").encode()


@given(st.text())
def test_valid_text_stays(text: str) -> None:
    if not any("\ud800" <= c <= "\udfff" for c in text):
        assert as_text(text) == text


def test_names_that_differ_stay_different_and_nothing_fails() -> None:
    assert as_text(os.fsdecode(b"caf\xe9")) == r"caf\xe9"
    assert as_text(os.fsdecode(b"caf\xea")) == r"caf\xea"
    as_text("half a pair \ud800").encode()
