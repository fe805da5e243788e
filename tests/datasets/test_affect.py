"""Valence and arousal in the index: written only where a row has them, and read back."""

from dataclasses import replace
from pathlib import Path

import pytest

from fercli.artifacts.digests import digest_file
from fercli.artifacts.tables import write_csv
from fercli.datasets.affect import format_affect, parse_affect
from fercli.datasets.index import COLUMNS, INDEX, Row, read_rows, write_index
from tests.helpers.datasets import face, make_dataset

BEFORE = [name for name in COLUMNS if name not in ("valence", "arousal")]
ROW = Row("train/happy/a.png", "train", "happy", sha256="0" * 64)


@pytest.mark.parametrize(
    ("valence", "arousal", "cells"),
    [
        (0.5, -1.0, ("0.5", "-1.0")),
        (-0.0, 1 / 3, ("0.0", "0.333333")),
        (-2.0, -2.0, ("", "")),
        (0.5, -2.0, ("", "")),
        (1.01, 0.0, ("", "")),
        (float("nan"), 0.0, ("", "")),
        (None, 0.5, ("", "")),
    ],
)
def test_only_pairs_of_numbers_in_range_are_annotations(
    valence: float | None, arousal: float | None, cells: tuple[str, str]
) -> None:
    assert format_affect(valence, arousal) == cells
    if cells[0]:
        assert parse_affect(*cells) == pytest.approx((valence, arousal), abs=1e-6)
    else:
        assert parse_affect(*cells) is None


@pytest.mark.parametrize("cells", [("0.5", ""), ("", "0.5"), ("x", "0"), ("1.5", "0"), ("nan", "nan"), ("inf", "0")])
def test_invalid_cells_are_refused(cells: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="valence"):
        parse_affect(*cells)


def test_an_index_without_annotations_is_byte_for_byte_what_it_was(tmp_path: Path) -> None:
    digest = write_index(tmp_path, [ROW])
    write_csv(tmp_path / "before.csv", BEFORE, [[getattr(ROW, name) for name in BEFORE]])
    assert digest == digest_file(tmp_path / "before.csv")
    assert read_rows(tmp_path / "before.csv") == [ROW]


def test_annotations_are_read_back(tmp_path: Path) -> None:
    rows = [replace(ROW, valence="0.5", arousal="-0.25"), replace(ROW, path="train/happy/b.png")]
    write_index(tmp_path, rows)
    assert (tmp_path / INDEX).read_text().splitlines()[0] == ",".join(COLUMNS)
    assert read_rows(tmp_path / INDEX) == rows


def test_an_iterator_of_annotated_rows_is_refused_rather_than_cut(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="pass a list"):
        write_index(tmp_path, iter([replace(ROW, valence="0.5", arousal="0.5")]))
    assert write_index(tmp_path, iter([ROW])) == write_index(tmp_path, [ROW])


def test_made_datasets_carry_them(tmp_path: Path) -> None:
    columns = {"train/happy/a.png": {"valence": "0.9", "arousal": "0.1"}}
    made = make_dataset(tmp_path / "d", {"train/happy/a.png": face(1, 16)}, columns=columns)
    assert [(row.valence, row.arousal) for row in read_rows(made.path / INDEX)] == [("0.9", "0.1")]
