"""Parsing lists: malformed lines, names and numbers are handled."""

import csv
import os
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fercli.datasets.readers import lists
from fercli.datasets.readers.lists import box_between, cells, header_of, lines_of, number, within
from fercli.errors import DataError


def written(folder: Path, content: bytes) -> Path:
    path = folder / "list.txt"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"\n\n  \n", []),
        (b"a 1\nb 2", ["a 1", "b 2"]),
        (b"\xef\xbb\xbfa 1\r\n\r\nb 2\r\n", ["a 1", "b 2"]),
        (b"a\xff 1\n", ["a\udcff 1"]),
        ("顔.jpg 1\n".encode(), ["顔.jpg 1"]),
        (b"a 1\n" + b"x" * 200_000 + b"\nb 2\n", ["a 1", None, "b 2"]),
        (b"a 1\n" + b"x" * 200_000, ["a 1", None]),
        (b"\xff\xfea\0\n\0", ["\udcff\udcfea\0", "\0"]),
    ],
    ids=["empty", "blank", "plain", "BOM and CRLF", "no UTF-8", "UTF-8", "huge line", "huge last line", "UTF-16"],
)
def test_line_format_variants(tmp_path: Path, content: bytes, lines: list[str | None]) -> None:
    assert list(lines_of(written(tmp_path, content))) == lines


def test_huge_lines_are_not_kept_in_memory(tmp_path: Path) -> None:
    path = written(tmp_path, b"x" * 30_000_000 + b"\na 1\n")
    tracemalloc.start()
    assert list(lines_of(path)) == [None, "a 1"]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_unreadable_list_is_a_one_line_error(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "gone"):
        with pytest.raises(DataError, match=str(path)):
            list(lines_of(path))


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_lines_match_the_reference(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any bytes.txt"
    path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lists, "MAX_LINE", 20)
        found = list(lines_of(path))
    plain = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    expected = []
    for place, line in enumerate(plain):
        whole = len(line) + (place < len(plain) - 1)
        if whole > 20 or (whole == 20 and place == len(plain) - 1):
            expected.append(None)
        elif text := line.decode("utf-8", "surrogateescape").strip():
            expected.append(text)
    assert found == expected


@pytest.mark.slow
@given(st.text(max_size=40))
@settings(max_examples=300, deadline=None)
def test_cells_match_csv(line: str) -> None:
    if "\n" in line or "\r" in line:
        cells(line)
        return
    assert cells(line) == next(csv.reader([line]), None) or not line


PARTS = st.sampled_from(
    ["..", ".", "", "a", "b.jpg", "...", "C:", "c:x", "~", "\0", "..\\..", "/", " ", "a b", "\udcff"]
)


@pytest.mark.slow
@given(st.one_of(st.lists(PARTS, max_size=6).map("/".join), st.text(max_size=20)))
@settings(max_examples=500, deadline=None)
def test_names_never_lead_outside_the_folder(name: str) -> None:
    path = within(name)
    if path is not None:
        whole = os.path.normpath(os.path.join("/data/set", path))
        assert whole.startswith("/data/set/")
        assert "\0" not in path
        assert "\\" not in path


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("689/a.jpg", "689/a.jpg"),
        ("689\\a.jpg", "689/a.jpg"),
        ("./a.jpg", "a.jpg"),
        (" a b.jpg ", "a b.jpg"),
        ("a..jpg", "a..jpg"),
        ("../a.jpg", None),
        ("a/../../b.jpg", None),
        ("/etc/passwd", None),
        ("C:\\a.jpg", None),
        ("a//b.jpg", None),
        ("a.jpg/", None),
        ("a\0.jpg", None),
        ("", None),
        (".", None),
    ],
)
def test_within(name: str, path: str | None) -> None:
    assert within(name) == path


@pytest.mark.slow
@given(st.one_of(st.floats(), st.integers()).map(str))
@settings(max_examples=300, deadline=None)
def test_valid_numbers(text: str) -> None:
    value = float(text) if abs(float(text)) < 1e18 else None
    found = number(text)
    if found is not None:
        assert found == float(text)
    elif value is not None:
        assert value != value, text


@pytest.mark.parametrize(
    "text", ["", "nan", "inf", "-inf", "1_0", "１", "0x1", "1e999", "1,5", "--1", "1 2", "9" * 5000]
)
def test_invalid_numbers(text: str) -> None:
    assert number(text) is None


def test_boxes_between_corners() -> None:
    assert box_between("10.5", "5", "50.5", "45") == (10.5, 5.0, 40.0, 40.0)
    assert box_between("-3", "-2", "5", "5") == (-3.0, -2.0, 8.0, 7.0)
    for ends in (("5", "5", "5", "9"), ("9", "5", "5", "9"), ("a", "5", "9", "9"), ("1", "2", "inf", "9")):
        assert box_between(*ends) is None


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (b'\xef\xbb\xbfA, b ,"C"\r\n1,2,3', ["a", "b", "c"]),
        (b"\xff\xfea\0", []),
        (b"", [""]),
    ],
)
def test_headers(tmp_path: Path, content: bytes, names: list[str]) -> None:
    assert header_of(written(tmp_path, content)) == names
    assert header_of(tmp_path) == []
