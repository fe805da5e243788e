"""Digests of files and folders, and the walk over a folder."""

import hashlib
import os
import sqlite3
from pathlib import Path

import pytest

from fercli.artifacts import digests
from fercli.artifacts.digests import cache_folder, digest_file, digest_json, digest_source, walk_files
from fercli.errors import DataError
from tests.helpers.datasets import write_tree


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FERCLI_CACHE", str(tmp_path / "cache"))


def walk_names(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in walk_files(folder)]


def test_file_digest_is_its_sha256(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"x" * 100_000)
    assert digest_file(path) == digest_source(path) == hashlib.sha256(b"x" * 100_000).hexdigest()


def test_json_digest_is_canonical() -> None:
    assert digest_json({"a": 1, "b": [1.5, "é"]}) == digest_json({"b": [1.5, "é"], "a": 1})
    assert digest_json([1, 2]) != digest_json([2, 1])
    assert digest_json("broken \udcff") != digest_json("broken ?")


def test_folder_digest_depends_on_names_and_contents_only(tmp_path: Path) -> None:
    files = {"a/x.png": b"1", "a/y.png": b"2", "b.txt": b"3"}
    digest = digest_source(write_tree(tmp_path / "one", files))
    assert digest_source(write_tree(tmp_path / "two", dict(reversed(files.items())))) == digest
    for changed in (
        {**files, "b.txt": b"4"},
        {**files, "c.txt": b""},
        {"a/x.png": b"1", "a/y.png": b"2", "c.txt": b"3"},
    ):
        assert digest_source(write_tree(tmp_path / f"other{len(os.listdir(tmp_path))}", changed)) != digest
    write_tree(tmp_path / "one", {".hidden": b"5", "a/.DS_Store": b"6"})
    assert digest_source(tmp_path / "one") == digest


def test_unchanged_files_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_tree(tmp_path / "data", {f"{i}.png": bytes([i]) for i in range(5)})
    hashed: list[str] = []
    monkeypatch.setattr(digests, "digest_file", lambda path: (hashed.append(path.name), digest_file(path))[1])
    first = digest_source(folder)
    assert len(hashed) == 5
    assert digest_source(folder) == first
    assert len(hashed) == 5
    before = (folder / "3.png").stat()
    (folder / "3.png").write_bytes(b"!")
    os.utime(folder / "3.png", ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert digest_source(folder) != first
    assert hashed[5:] == ["3.png"]


@pytest.mark.parametrize("broken", ["text", "folder", "other table", "file in its place"])
def test_corrupt_cache_does_not_change_results(tmp_path: Path, broken: str) -> None:
    folder = write_tree(tmp_path / "data", {"a.png": b"1"})
    cache = tmp_path / "cache"
    if broken == "file in its place":
        cache.write_text("")
    else:
        cache.mkdir()
    if broken == "text":
        (cache / "digests.sqlite").write_text("no database\n" * 500)
    elif broken == "folder":
        (cache / "digests.sqlite").mkdir()
    elif broken == "other table":
        base = sqlite3.connect(cache / "digests.sqlite")
        base.execute("CREATE TABLE digests (x)")
        base.close()
    expected = hashlib.sha256(b"a.png\0" + hashlib.sha256(b"1").hexdigest().encode() + b"\n").hexdigest()
    assert digest_source(folder) == expected
    assert digest_source(folder) == expected


def test_missing_and_special_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file or folder"):
        digest_source(tmp_path / "no")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="a pipe, not a file"):
        digest_source(tmp_path / "pipe")


def test_walk_is_ordered_and_skips_hidden_files(tmp_path: Path) -> None:
    write_tree(tmp_path / "d", {"b/2": b"", "b/1": b"", "a": b"", ".h": b"", ".g/x": b"", "Z": b"", "-": b"", "é": b""})
    assert walk_names(tmp_path / "d") == ["-", "Z", "a", "b/1", "b/2", "é"]


def test_links_are_followed_but_not_loops(tmp_path: Path) -> None:
    folder = write_tree(tmp_path / "d", {"a/1.png": b"1"})
    outside = write_tree(tmp_path / "outside", {"2.png": b"2", "deep/3.png": b"3"})
    (folder / "loop").symlink_to(folder)
    (folder / "a" / "up").symlink_to("..")
    (folder / "self").symlink_to("self")
    (folder / "gone").symlink_to("nowhere")
    (folder / "file.png").symlink_to(outside / "2.png")
    (folder / "folder").symlink_to(outside)
    assert walk_names(folder) == ["a/1.png", "file.png", "folder/2.png", "folder/deep/3.png"]
    assert len(digest_source(folder)) == 64


def test_file_names_of_any_bytes(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    folder.mkdir()
    raw = [b"\xff\xfe.png", b"new\nline.png", b"'\"`$(rm).png", "顔.png".encode(), b"-rf.png", b"x" * 251 + b".png"]
    for name in raw:
        with open(os.path.join(os.fsencode(folder), name), "wb") as file:
            file.write(b"1")
    assert [os.fsencode(path.name) for path in walk_files(folder)] == sorted(raw)
    assert digest_source(folder) == digest_source(folder)


def test_unreadable_folder_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_tree(tmp_path / "d", {"a/1.png": b"1", "b/2.png": b"2"})
    scandir = os.scandir

    def refuse(path: Path):  # like a folder without read permission
        if Path(path).name == "b":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match="d/b: Permission denied"):
        digest_source(folder)


def test_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_folder().name == "cache"
    monkeypatch.delenv("FERCLI_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache_folder() == Path("/x/fercli")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert cache_folder() == Path("/home/me/.cache/fercli")
