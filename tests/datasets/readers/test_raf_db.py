"""RAF-DB: codes, prefixes, boxes, and the layouts of its copies."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fercli
from fercli.datasets.index import read_index
from fercli.datasets.readers import find_others, find_reader, raf_db
from fercli.errors import DataError
from fercli.images import read_image
from tests.helpers.datasets import face, write_tree
from tests.helpers.layouts.wild import (
    LAYOUTS,
    RAF,
    TOKENS,
    found,
    photograph,
    read,
)


def small_raf_db(folder: Path, where: str = "basic", pictures: str = "Image/aligned", ending: str = "_aligned") -> Path:
    tree: dict[str, np.ndarray | bytes] = {}
    text = ""
    for code in range(1, 8):
        for split in ("train", "test"):
            tree[f"{where}/{pictures}/{split}_{code:05d}{ending}.jpg"] = face(code, 100)
            text += f"{split}_{code:05d}.jpg {code}\n"
    tree[f"{where}/EmoLabel/list_patition_label.txt"] = text.encode()
    return write_tree(folder, tree)


RAF_FOUND = [(split, RAF[code - 1], f"{split}_{code:05d}", "") for code in range(1, 8) for split in ("train", "test")]


def test_source_may_be_the_parent_basic_or_flat(tmp_path: Path) -> None:
    parent = small_raf_db(tmp_path / "parent")
    assert found(read(parent)) == RAF_FOUND
    assert found(read(parent / "basic")) == RAF_FOUND
    flat = small_raf_db(tmp_path / "flat", ".", "aligned")
    shutil.move(flat / "EmoLabel/list_patition_label.txt", flat)
    assert found(read(flat)) == RAF_FOUND
    plain = small_raf_db(tmp_path / "plain names", ".", "aligned", "")
    assert found(read(plain)) == RAF_FOUND
    assert {find_reader(source).name for source in (parent, parent / "basic", flat, plain)} == {"raf-db"}


@pytest.mark.parametrize(
    "dress",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace(" ", "\t"),
        lambda text: text.replace(" ", ","),
        lambda text: text.replace("\n", "\n\n  \n"),
        lambda text: text.rstrip("\n"),
    ],
    ids=["BOM", "CRLF", "tabs", "commas", "empty lines", "no last line end"],
)
def test_list_format_variants(tmp_path: Path, dress: Callable[[str], str]) -> None:
    source = small_raf_db(tmp_path)
    labels = source / "basic/EmoLabel/list_patition_label.txt"
    labels.write_bytes(dress(labels.read_text()).encode())
    assert found(read(source)) == RAF_FOUND


def test_aligned_faces_are_the_default(tmp_path: Path) -> None:
    source = small_raf_db(tmp_path)
    for code in range(1, 8):
        for split in ("train", "test"):
            name = f"{split}_{code:05d}"
            box = f"basic/Annotation/boundingbox/{name}_boundingbox.txt"
            write_tree(source, {f"basic/Image/original/{name}.jpg": photograph(code), box: b"10 5 50.5 40.25\n"})
    reader = find_reader(source)
    assert reader.name == "raf-db"
    assert find_others(source, reader) == ["raf-db-original"]
    assert all(item.box is None for item in read(source))
    items = read(source, "raf-db-original")
    assert found(items) == RAF_FOUND
    assert {item.box for item in items} == {(10.0, 5.0, 40.5, 35.25)}
    assert all(item.file and item.file.parent.name == "original" for item in items)


def test_original_images_are_cropped(tmp_path: Path) -> None:
    made = fercli.import_dataset(LAYOUTS["raf-db-original"](tmp_path / "raf").source, tmp_path / "out")
    for row in read_index(made):
        assert row.box == "10.50 5.25 40.00 39.75"
        assert row.photograph == row.source
        assert read_image(made.path / row.path).shape[:2] == (40, 40)


def test_missing_images_are_reported(tmp_path: Path) -> None:
    made = fercli.import_dataset(LAYOUTS["raf-db"](tmp_path / "raf").source, tmp_path / "out")
    # 14 good images, one with an unknown code, one damaged; unlisted images and those without a prefix do not count.
    assert made.manifest.details["differs_from_published"]["splits"] == {
        "train": {"published": 12271, "found": 16},
        "test": {"published": 3068, "found": 14},
    }
    assert sum(raf_db.PUBLISHED.values()) == 15_339


@pytest.mark.parametrize("name", ["../../../secret.jpg", "/etc/secret.jpg", "a/train_00001.jpg", "..", "train_1\0.jpg"])
def test_paths_outside_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    source = small_raf_db(tmp_path / "raf")
    write_tree(tmp_path, {"secret.jpg": face(1), "secret_aligned.jpg": face(1)})
    (source / "basic/EmoLabel/list_patition_label.txt").write_text(f"{name} 4\n")
    (item, *others) = read(source)
    assert (item.problem, item.file) == ("path leads outside the folder", None)
    assert {other.problem for other in others} == {"not in the list"}


@given(st.text(max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_line_is_parsed(line: str) -> None:
    entry = raf_db.parse_line(line)
    assert entry is None or all(entry)


@given(TOKENS, st.integers(1, 7), st.sampled_from(" \t,"))
@settings(max_examples=200, deadline=None)
def test_lines_round_trip(name: str, code: int, between: str) -> None:
    assert raf_db.parse_line(f"{name}{between}{code}") == [name, str(code)]


def test_boxes(tmp_path: Path) -> None:
    path = tmp_path / "box.txt"
    for content, box in {
        b"1 2 11.5 22\n": (1.0, 2.0, 10.5, 20.0),
        b"1\n2\r\n11.5,22": (1.0, 2.0, 10.5, 20.0),
        b"": None,
        b"1 2 3": None,
        b"1 2 1 9": None,
        b"\xff\xfe1 2 3 4": None,
        b"0 0 " + b"9" * 10_000 + b" 9": None,
    }.items():
        path.write_bytes(content)
        assert raf_db.read_box(path) == box
    assert raf_db.read_box(tmp_path) is None


def test_code_folders_of_other_datasets_are_not_raf_db(tmp_path: Path) -> None:
    other = write_tree(
        tmp_path / "other", {f"{split}/{k}/{k}.jpg": face(k) for split in ("train", "test") for k in (1, 2)}
    )
    with pytest.raises(DataError, match="named by codes"):
        find_reader(other)
    assert {item.problem for item in read(other, "raf-db-folders")} == {"no train or test prefix"}
