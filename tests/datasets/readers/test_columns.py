"""Rows of a table: each line is a row, part of a quoted value, or reported."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fercli.datasets.readers.columns import Layout, layout_of, rows_of

ROWS = [("a.png", "happy", "x"), ("b.png", "sad", "y"), ("c.png", "fear", "z"), ("d.png", "angry", "w")]


def table(folder: Path, text: str) -> tuple[Path, Layout]:
    path = folder / "a.csv"
    path.write_text(text, newline="")
    layout = layout_of(path, {})
    assert isinstance(layout, Layout), layout
    return path, layout


@pytest.mark.parametrize(
    ("place", "stray"),
    [(0, '"a.png,happy,x'), (1, 'b.png,"sad,y'), (2, 'c.png,fear,"z')],
)
def test_stray_quote_affects_only_its_own_row(place: int, stray: str, tmp_path: Path) -> None:
    lines = [",".join(row) for row in ROWS]
    lines[place] = stray
    path, layout = table(tmp_path, "\n".join(["path,label,who", *lines, 'e.png,"sad",v']))
    found = list(rows_of(path, layout))
    assert len(found) == len(lines) + 1
    expected: list[list[str] | None] = [*map(list, ROWS), ["e.png", "sad", "v"]]
    expected[place] = None
    assert [values for values, _ in found] == expected
    assert found[place][1] == "stray quotation mark"


def test_two_stray_quotes_do_not_join_rows(tmp_path: Path) -> None:
    path, layout = table(tmp_path, 'path,label\na.png,"happy\nb.png,sad\nc.png,"fear\nd.png,angry')
    assert [why or values for values, why in rows_of(path, layout)] == [
        "stray quotation mark",
        ["b.png", "sad"],
        "stray quotation mark",
        ["d.png", "angry"],
    ]


def test_too_long_line_after_a_stray_quote_is_reported(tmp_path: Path) -> None:
    path, layout = table(tmp_path, f'path,label\na.png,"happy\n{"x" * 70_000}\nb.png,sad')
    assert [why for _, why in rows_of(path, layout)] == ["stray quotation mark", "line unreadable", ""]


@pytest.mark.slow
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(["a.png", "b c.png", 'd"e.png', "f,g.png"]),
            st.sampled_from(["happy", "sad"]),
            st.text('xyz \n",;', max_size=12).map(str.strip).filter(lambda text: "\n\n" not in text.replace(" ", "")),
        ),
        max_size=6,
    ),
    quoted=st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_csv_rows_round_trip(
    rows: list[tuple[str, str, str]], quoted: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Values without newlines always round-trip; others unless a part looks like a row, which is reported."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL, lineterminator="\n")
    writer.writerows([("path", "label", "comment"), *rows])
    path, layout = table(tmp_path_factory.mktemp("t"), buffer.getvalue())
    found = list(rows_of(path, layout))
    plain = [list(row) for row in rows if "\n" not in row[2]]
    assert [values for values, _ in found if values in plain] == plain or any("\n" in row[2] for row in rows)
    if all("\n" not in row[2] for row in rows):
        assert [values for values, _ in found] == plain


@pytest.mark.slow
@given(content=st.binary(max_size=120))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_rows_or_a_reason(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "any table.csv"
    path.write_bytes(b"path,label,who\n" + content)
    layout = layout_of(path, {})
    assert isinstance(layout, Layout)
    lines = [line for line in content.split(b"\n") if line.decode("utf-8", "surrogateescape").strip()]
    found = list(rows_of(path, layout))
    assert len(found) <= len(lines)
    for values, why in found:
        assert (values is None) == bool(why)
        assert values is None or 2 <= len(values) <= 3
    path.write_bytes(content)
    assert isinstance(layout_of(path, {}), Layout | str)
