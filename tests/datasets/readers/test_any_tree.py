"""Robustness of all readers: no content of a folder makes them fail."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fercli
from fercli.datasets.readers import READERS, Item, Reader, find_others, find_reader
from fercli.errors import DataError
from tests.helpers.datasets import face, write_tree
from tests.helpers.layouts.wild import (
    AFFECTNET_HEADER,
    LAYOUTS,
    affectnet_row,
    npy,
    read,
)


@pytest.mark.parametrize("name", LAYOUTS)
def test_each_layout_matches_only_its_reader(name: str, tmp_path: Path) -> None:
    source = LAYOUTS[name](tmp_path).source
    assert find_others(source, find_reader(source)) == []


@pytest.mark.parametrize("name", LAYOUTS)
def test_wrong_forced_format_is_a_one_line_error(name: str, tmp_path: Path) -> None:
    write_tree(tmp_path, {"a/1.png": face(1), "notes.txt": b"a text"})
    for source in (tmp_path, tmp_path / "notes.txt", tmp_path / "a"):
        with pytest.raises(DataError) as caught:
            read(source, name)
        assert str(source) in str(caught.value)
        assert len(str(caught.value)) < 400


@pytest.mark.parametrize("name", LAYOUTS)
def test_names_that_are_not_utf8_are_imported(name: str, tmp_path: Path) -> None:
    """A missing file whose listed name is not UTF-8 is reported in a readable manifest."""
    source = LAYOUTS[name](tmp_path / "source").source
    for table in [
        path for path in source.rglob("*") if path.suffix in (".txt", ".csv", ".lst") and "box" not in path.name
    ]:
        with table.open("ab") as file:
            file.write(b"\n1/\xff\xfe\x1b[31m.jpg 1,5,10,50,45,90,3,1\n")
    made = fercli.import_dataset(source, tmp_path / "out")
    assert json.loads((made.path / "artifact.json").read_text(encoding="utf-8"))["skipped"]


PLACES = st.sampled_from(
    [
        *("basic/EmoLabel/list_patition_label.txt", "list_patition_label.txt", "basic/Image/aligned/train_00001.jpg"),
        *("aligned/train_00001_aligned.jpg", "aligned", "Image/original/test_1.png", "original/train_00001.jpg/x"),
        *("boundingbox/train_00001_boundingbox.txt", "basic/Annotation/boundingbox/train_00001_boundingbox.txt"),
        *("train/1/train_00001_aligned.jpg", "test/9/x.png", "DATASET/test/7/test_1.png", "train/5"),
        *("training.csv", "validation.csv", "automatically_annotated.csv", "Manually_Annotated/training.csv/x"),
        *("Manually_Annotated_Images/1/0.jpg", "Manually_Annotated_file_lists/training.csv", "1/0.jpg"),
        *("train_set/images/0.jpg", "train_set/annotations/0_exp.npy", "train_set/annotations/_exp.npy"),
        *("val_set/images/.jpg", "val_set/annotations/7_exp.npy", "val_set/images/1_exp.npy/x", "val_set/images"),
        *("label.lst", "label/label.lst", "image/origin/a.jpg", "image", "origin/a.jpg", "label.lst/x"),
        *("Train/Angry/Film_000000001_00000012.png", "Val/Val_Aligned_Faces_new/Val_Aligned_Faces/Sad/x.png"),
        *("Train_Aligned_Faces/Happy/x.png", "Test/x.png", "Train/Train_Aligned_Faces/Fear/y.png", "Val/Angry"),
        *("fer2013.csv", "fer2013new.csv", "train/happy/Training_1.jpg", "test/sad/PublicTest_1.jpg", "happy/1.png"),
        *(
            "labels.csv",
            "labels/a.tsv",
            "images/a.png",
            "train.csv",
            "test.csv",
            "ckextended.csv",
            "compound/list_label.txt",
        ),
        *("sad/2.png", f"{'x' * 200}/y.png", "顔/1.png", "angry/a\nb.jpg", "notes.txt"),
    ]
)
CONTENTS = st.one_of(
    st.binary(max_size=80),
    st.sampled_from(
        [
            b"",
            b"train_00001.jpg 5\ntest_1.png 9\n../x.jpg 1\n",
            b"a.jpg 0 5 10 50 45 90 3\ntrain_00001.jpg 1 nan 0 0 0 0 0\n",
            (AFFECTNET_HEADER + affectnet_row("1/0.jpg", 3) + affectnet_row("x" * 300, 3)).encode(),
            b"emotion,pixels,Usage\n3,1 2 3,Training\n",
            b"usage,Image name,neutral,happiness\n",
            b'emotion,pixels\n3,1 2 3\n"9,1\n',
            b'path,label,set,person\na.png,happy,train,A\n../x.png,3,b,\n"a.png,sad\n',
            b"a.png;happy\nx;9\n",
            b"train_00001.jpg 8 1\ntest_1.png 11 0\n",
            npy("3"),
            npy([1, 2]),
        ]
    ),
)


@pytest.mark.slow
@given(tree=st.dictionaries(PLACES, CONTENTS, max_size=14))
@settings(max_examples=100, deadline=None)
def test_readers_handle_any_file_tree(tree: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> None:
    source = tmp_path_factory.mktemp("tree")
    for path, content in tree.items():
        place = source / path
        if not any(above.is_file() for above in place.parents) and not place.is_dir():
            write_tree(source, {path: content})
    for reader in READERS:
        assert reader.matches(source) in (True, False)
        for item in items_or_one_line(reader, source):
            assert item.name
            assert item.file is None or item.file.is_relative_to(source)
    shutil.rmtree(source)


def items_or_one_line(reader: Reader, source: Path) -> Iterator[Item]:
    try:
        yield from reader.read(source)
    except DataError:  # always a one-line message
        return
