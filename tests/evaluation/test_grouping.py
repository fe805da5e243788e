"""Groups of images, from the index of the dataset or from a table."""

from __future__ import annotations

from pathlib import Path

import pytest

from fercli.artifacts import artifact_input
from fercli.errors import DataError, UsageError
from fercli.evaluation.grouping import read_groups
from tests.helpers.datasets import face, make_dataset
from tests.helpers.packs import make_pack


def test_a_column_of_the_index_is_found_through_the_lineage(tmp_path: Path) -> None:
    paths = ["test/happy/0.png", "test/sad/1.png"]
    data = make_dataset(tmp_path / "data", {path: face(k, 16) for k, path in enumerate(paths)})
    pack = make_pack(tmp_path / "pack", inputs=[artifact_input("dataset", data)])
    assert read_groups("emotion", [pack]) == {paths[0]: "happy", paths[1]: "sad"}
    (data.path / "index.csv").write_text("")
    with pytest.raises(DataError, match=r"index.csv: was modified"):
        read_groups("emotion", [pack])


def test_a_table_is_read(tmp_path: Path) -> None:
    table = tmp_path / "groups.csv"
    table.write_text("group,path,more\n'=x,./=a.png,1\nold,b.png,2\nold,b.png,3\n")
    assert read_groups(str(table), []) == {"=a.png": "=x", "b.png": "old"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected the columns path and group"),
        ("path,groups\na,b\n", "expected the columns path and group"),
        ("path,group\na\n", "line 2 has too few cells"),
        ("path,group\na,b\na,c\n", "line 3: an image is in two groups"),
        ("path,group\ncaf\xe9,b\n", "can't decode"),
    ],
)
def test_invalid_tables_are_one_line(tmp_path: Path, text: str, message: str) -> None:
    table = tmp_path / "groups.csv"
    table.write_text(text, encoding="latin-1")
    with pytest.raises(DataError, match="cannot be read as a table of groups") as raised:
        read_groups(str(table), [])
    assert message in str(raised.value)


def test_a_folder_and_an_unknown_column_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read as a table of groups"):
        read_groups(str(tmp_path), [])
    with pytest.raises(UsageError, match="no column 'persons'"):
        read_groups("persons", [])
