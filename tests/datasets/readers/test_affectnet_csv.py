"""AffectNet's lists: codes, boxes, image folders, and streaming."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fercli
from fercli.artifacts import open_artifact
from fercli.datasets.index import read_index
from fercli.datasets.readers import affectnet_csv, find_reader
from fercli.emotions import EMOTIONS
from fercli.errors import DataError
from tests.helpers.datasets import write_tree
from tests.helpers.layouts.wild import (
    AFFECTNET,
    AFFECTNET_HEADER,
    LAYOUTS,
    affectnet_row,
    affectnet_tree,
    found,
    photograph,
    read,
)


def test_codes(tmp_path: Path) -> None:
    tree, texts = affectnet_tree("Manually_Annotated", {"training": [*range(11)], "validation": [*range(8)]})
    source = write_tree(tmp_path, {**tree, **{f"{name}.csv": text.encode() for name, text in texts.items()}})
    items = read(source)
    assert [item.emotion for item in items] == [*AFFECTNET, "", "", "", *AFFECTNET]
    reasons = ["labelled none", "labelled uncertain", "labelled non-face"]
    assert [item.problem or item.left_out for item in items[8:11]] == reasons
    assert [item.split for item in items] == ["train"] * 11 + ["test"] * 8
    assert {item.box for item in items if item.emotion} == {(10.0, 5.0, 40.0, 42.0)}


def test_contempt_is_kept_with_eight_classes(tmp_path: Path) -> None:
    tree, texts = affectnet_tree("Manually_Annotated", {"training": [*range(8)] * 3, "validation": [*range(8)]})
    source = write_tree(tmp_path / "a", {**tree, **{f"{name}.csv": text.encode() for name, text in texts.items()}})
    seven = fercli.import_dataset(source, tmp_path / "seven")
    eight = fercli.import_dataset(source, tmp_path / "eight", classes=8)
    assert sum(seven.manifest.counts["test"].values()) == 7
    assert seven.manifest.counts["test"].keys() == set(EMOTIONS)
    assert eight.manifest.counts["test"]["contempt"] == 1
    assert eight.manifest.counts["train"]["contempt"] + eight.manifest.counts["validation"]["contempt"] == 3
    assert [*seven.manifest.counts] == ["train", "validation", "test"]


@pytest.mark.parametrize(
    ("lists", "images"),
    [
        (".", "Manually_Annotated_Images"),
        (".", "Manually_Annotated/Manually_Annotated_Images"),
        (".", "Manually_Annotated"),
        ("Manually_Annotated_file_lists", "Manually_Annotated_Images"),
        ("Manually_Annotated/Manually_Annotated_file_lists", "Manually_Annotated/Manually_Annotated_Images"),
        ("Manually_Annotated", "Manually_Annotated/Manually_Annotated_Images"),
        (".", "."),
    ],
)
def test_image_folder_is_found(tmp_path: Path, lists: str, images: str) -> None:
    tree: dict[str, np.ndarray | bytes] = {f"{images}/689/a{n}.jpg": photograph(n) for n in range(2)}
    tree[f"{lists}/training.csv"] = (AFFECTNET_HEADER + affectnet_row("689/a0.jpg", 1)).encode()
    tree[f"{lists}/validation.csv"] = (AFFECTNET_HEADER + affectnet_row("689\\a1.jpg", 2)).encode()
    source = write_tree(tmp_path, tree)
    items = read(source)
    assert find_reader(source).name == "affectnet-csv"
    assert found(items) == [("train", "happy", "a0", ""), ("test", "sad", "a1", "")]
    within = "" if images == "." else f"{images}/"
    assert [item.source for item in items] == [f"{within}689/a0.jpg", f"{within}689/a1.jpg"]
    assert all(item.file and item.file.is_file() for item in items)


def test_single_list_is_refused(tmp_path: Path) -> None:
    """Its digest would not cover the images."""
    for name, reader in (("training.csv", "affectnet-csv"), ("automatically_annotated.csv", "affectnet-automatic")):
        source = write_tree(tmp_path, {name: (AFFECTNET_HEADER + affectnet_row("689/a0.jpg", 1)).encode()}) / name
        assert find_reader(source).name == reader
        with pytest.raises(DataError, match=f"{name}: give the folder with"):
            read(source)


def test_columns_in_any_order_with_or_without_boxes(tmp_path: Path) -> None:
    write_tree(tmp_path, {"1/a.jpg": photograph(1)})
    table = tmp_path / "training.csv"
    table.write_bytes('\ufeffexpression,"subDirectory_filePath"\r\n3,"1/a.jpg"\r\n\r\n'.encode())
    (item,) = read(tmp_path)
    assert (item.emotion, item.box, item.file) == ("surprise", None, tmp_path / "1/a.jpg")
    table.write_text("path,expression\n1/a.jpg,3\n")
    with pytest.raises(
        DataError, match=r"training\.csv: AffectNet's lists have the columns subDirectory_filePath.* 'path'"
    ):
        read(tmp_path, "affectnet-csv")


def test_stray_quote_affects_only_its_own_row(tmp_path: Path) -> None:
    tree, texts = affectnet_tree("Manually_Annotated", {"training": [k % 7 for k in range(20)]})
    lines = texts["training"].splitlines(keepends=True)
    for row in (3, 17):
        lines[1 + row] = '"' + lines[1 + row]
    items = read(write_tree(tmp_path, {**tree, "training.csv": "".join(lines).encode()}))
    assert [(item.row, item.problem) for item in items if item.problem] == [
        (3, "stray quotation mark"),
        (17, "stray quotation mark"),
    ]
    assert [item.emotion for item in items if not item.problem] == [
        AFFECTNET[k % 7] for k in range(20) if k not in (3, 17)
    ]


def test_automatic_list_never_becomes_test(tmp_path: Path) -> None:
    source = LAYOUTS["affectnet-automatic"](tmp_path / "auto").source
    assert {item.split for item in read(source)} == {item.split for item in read(source / "Automatically_Annotated")}
    assert {item.split for item in read(source)} == {"train"}
    write_tree(source, {"training.csv": (AFFECTNET_HEADER + affectnet_row("689/a0.jpg", 1)).encode()})
    assert find_reader(source).name == "affectnet-csv"
    assert len(read(source, "affectnet-automatic")) == 16


@pytest.mark.parametrize(
    ("texts", "box", "problem"),
    [
        (["1", "2", "30", "40.5"], (1.0, 2.0, 30.0, 40.5), ""),
        (["-4", "2", "30", "40"], (-4.0, 2.0, 30.0, 40.0), ""),
        (["", "", "", ""], None, ""),
        (["NULL", "NULL", "NULL", "NULL"], None, ""),
        (["1", "2", "-1", "-1"], None, ""),
        (["1", "2", "", "40"], None, "wrong face box"),
        (["1", "2", "1e999", "40"], None, "wrong face box"),
        (["1", "2", "nan", "40"], None, "wrong face box"),
    ],
)
def test_boxes(texts: list[str], box: object, problem: str) -> None:
    assert affectnet_csv.parse_box(texts) == (box, problem)


@pytest.mark.slow
def test_lists_are_streamed(tmp_path: Path) -> None:
    table = tmp_path / "training.csv"
    with table.open("w") as file:
        file.write(AFFECTNET_HEADER)
        for number in range(5000):
            file.write(affectnet_row(f"{number % 100}/{number:08x}.jpg", number % 11))
    tracemalloc.start()
    number = sum(1 for _ in find_reader(tmp_path).read(tmp_path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert number == 5000
    assert peak < 500_000 < table.stat().st_size


@pytest.mark.slow
@given(st.lists(st.text(max_size=30), max_size=8))
@settings(max_examples=150, deadline=None)
def test_any_text_below_the_header_is_parsed(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    folder = tmp_path_factory.getbasetemp() / "any rows"
    write_tree(folder, {"training.csv": (AFFECTNET_HEADER + "\n".join(lines)).encode("utf-8", "replace")})
    for item in read(folder):
        assert item.problem or item.left_out


def test_valence_and_arousal_are_read_where_they_are_annotated(tmp_path: Path) -> None:
    cells = ["-0.17,0.42", "-2,-2", "1,-1.0", "0.5,1.5", "NULL,NULL", "0.5", "nan,0.1", "0.25,-2"]
    tree, lists = {}, AFFECTNET_HEADER
    for n, affect in enumerate(cells):
        tree[f"Manually_Annotated_Images/1/{n}.png"] = photograph(n)
        lists += affectnet_row(f"1/{n}.png", n % 7, affect=affect)
    source = write_tree(tmp_path / "source", {**tree, "training.csv": lists.encode()})
    nothing = ("", "")
    expected = [("-0.17", "0.42"), nothing, ("1.0", "-1.0"), *[nothing] * 5]
    assert [item.affect for item in read(source)] == expected
    dataset = fercli.import_dataset(source, tmp_path / "dataset")
    assert dataset.summary["affect"] == 2
    found = {row.source: (row.valence, row.arousal) for row in read_index(open_artifact(dataset.path, "dataset"))}
    assert found["Manually_Annotated_Images/1/0.png"] == ("-0.17", "0.42")


def test_lists_without_the_columns_have_neither(tmp_path: Path) -> None:
    lists = "subDirectory_filePath,expression\n1/a.png,1\n"
    tree = {"Manually_Annotated_Images/1/a.png": photograph(0), "training.csv": lists.encode()}
    assert [item.affect for item in read(write_tree(tmp_path, tree))] == [("", "")]
