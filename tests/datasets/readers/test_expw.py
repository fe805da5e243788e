"""ExpW: the order of box sides, and photographs kept in one split."""

from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fercli
from fercli.datasets.index import read_index
from fercli.datasets.readers import expw
from tests.helpers.datasets import write_tree
from tests.helpers.layouts.wild import (
    LAYOUTS,
    TOKENS,
    found,
    photograph,
    read,
)


@pytest.mark.slow
@given(st.text(max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_line_is_parsed(line: str) -> None:
    values = expw.parse_line(line)
    assert values is None or (len(values) == 8 and all(values))


def test_faces_of_one_photograph_stay_together(tmp_path: Path) -> None:
    made = fercli.import_dataset(LAYOUTS["expw"](tmp_path / "expw").source, tmp_path / "out")
    by_photograph = defaultdict(set)
    for row in read_index(made):
        by_photograph[row.photograph].add(row.split)
        assert row.subject == f"photograph {Path(row.photograph).name}"
        assert row.score == "90.5"
        assert row.path.startswith(f"{row.split}/{row.emotion}/{Path(row.photograph).stem}_")
    assert {len(splits) for splits in by_photograph.values()} == {1}
    assert len(by_photograph) == 14
    assert set().union(*by_photograph.values()) == {"train", "validation", "test"}
    assert made.manifest.details["differs_from_published"]["splits"]["all"]["published"] == 91_793


def test_order_of_box_sides(tmp_path: Path) -> None:
    source = write_tree(
        tmp_path, {"origin/a b.jpg": photograph(1), "label/label.lst": b"a b.jpg 3 5 10 50 45 33.5 6\n"}
    )
    (item,) = read(source)
    # top 5, left 10, right 50, bottom 45
    assert item.box == (10.0, 5.0, 40.0, 40.0)
    assert (item.emotion, item.name, item.score, item.source) == ("neutral", "a b_3", "33.5", "origin/a b.jpg")


@pytest.mark.parametrize("between", [" ", "\t", ",", ", ", "  "])
def test_list_format_variants(tmp_path: Path, between: str) -> None:
    header = "image_name face_id_in_image face_box_top face_box_left face_box_right face_box_bottom face_box_cofidence "
    text = f"{header}expression_label\r\na.jpg 0 5 10 50 45 33.5 0\r\n\r\na.jpg 1 5 10 50 45 33.5 5\r\n"
    write_tree(tmp_path, {"image/a.jpg": photograph(1), "label.lst": ("\ufeff" + text.replace(" ", between)).encode()})
    assert found(read(tmp_path)) == [("", "angry", "a_0", ""), ("", "surprise", "a_1", "")]


@pytest.mark.slow
@given(
    TOKENS,
    st.lists(st.integers(0, 10**6), min_size=7, max_size=7),
    st.sampled_from([" ", "\t", ","]),
)
@settings(max_examples=200, deadline=None)
def test_lines_round_trip(name: str, numbers: list[int], between: str) -> None:
    if between == "," and " " in name:
        name = name.replace(" ", "_")
    line = between.join([name, *map(str, numbers)])
    assert expw.parse_line(line) == [name, *map(str, numbers)]
