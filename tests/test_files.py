"""Special files are rejected before a byte is read, and file names of any bytes become valid text."""

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
    """Return the path of a special file: a pipe, a socket, a device, or a link to a pipe."""
    path = folder / "special"
    if kind == "a device":
        return Path("/dev/zero")
    if kind == "a socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(os.path.relpath(path))  # the length of a socket address is limited
        return path
    os.mkfifo(path)
    if kind == "a link to a pipe":
        (folder / "link").symlink_to(path)
        return folder / "link"
    return path


@pytest.mark.parametrize("opener", OPENERS)
@pytest.mark.parametrize("kind", ["a pipe", "a link to a pipe", "a device", "a socket"])
def test_special_files_are_rejected_without_blocking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, opener: Callable[[Path], Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = special(tmp_path, kind)
    with pytest.raises(OSError, match=f"{kind.removeprefix('a link to ')}, not a file") as caught:
        opener(path)
    assert caught.value.errno == errno.EINVAL
    assert caught.value.filename == str(path)


@pytest.mark.parametrize("opener", OPENERS)
def test_folders_and_missing_files_raise_the_usual_errors(tmp_path: Path, opener: Callable[[Path], Any]) -> None:
    with pytest.raises(IsADirectoryError):
        opener(tmp_path)
    with pytest.raises(FileNotFoundError):
        opener(tmp_path / "nothing")


def test_missing_message(tmp_path: Path) -> None:
    assert missing_message(tmp_path / "none", "weights file").endswith("none: no such weights file")
    assert missing_message(tmp_path, "weights file").endswith(": a folder, not a weights file")
    assert missing_message(special(tmp_path, "a pipe"), "weights file").endswith(": a pipe, not a weights file")
    assert missing_message(Path("a\0b"), "picture").endswith(": no such picture")


def test_files_and_links_are_read(tmp_path: Path) -> None:
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
def test_valid_text_is_unchanged(text: str) -> None:
    if not any("\ud800" <= c <= "\udfff" for c in text):
        assert as_text(text) == text


def test_different_names_stay_different() -> None:
    assert as_text(os.fsdecode(b"caf\xe9")) == r"caf\xe9"
    assert as_text(os.fsdecode(b"caf\xea")) == r"caf\xea"
    as_text("half a pair \ud800").encode()
