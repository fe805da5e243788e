"""CSV files: one dialect, written atomically."""

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from fercli.artifacts.tables import write_csv, write_rows


def test_dialect(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    write_csv(file, ("name", "value"), [("a,b", 0.1), ('say "c"', 2), ("two\nlines", None)])
    assert file.read_bytes() == b'name,value\n"a,b",0.1\n"say ""c""",2\n"two\nlines",\n'
    with file.open(newline="") as text:
        assert list(csv.reader(text))[1:] == [["a,b", "0.1"], ['say "c"', "2"], ["two\nlines", ""]]


def test_empty_table_has_a_header(tmp_path: Path) -> None:
    write_csv(tmp_path / "table.csv", ["a", "b"], [])
    assert (tmp_path / "table.csv").read_bytes() == b"a,b\n"


def test_failure_keeps_the_old_table(tmp_path: Path) -> None:
    def rows() -> Iterator[list[int]]:
        yield [1]
        raise ValueError("no more")

    write_csv(tmp_path / "table.csv", ["a"], [[7]])
    with pytest.raises(ValueError, match="no more"):
        write_csv(tmp_path / "table.csv", ["a"], rows())
    assert [file.name for file in tmp_path.iterdir()] == ["table.csv"]
    assert (tmp_path / "table.csv").read_bytes() == b"a\n7\n"


def test_rows_are_appended_to_an_open_file(tmp_path: Path) -> None:
    with (tmp_path / "table.csv").open("w", newline="") as file:
        write_rows(file, [["a", "b"]])
        write_rows(file, ([k, -k] for k in range(2)))
    assert (tmp_path / "table.csv").read_bytes() == b"a,b\n0,0\n1,-1\n"
