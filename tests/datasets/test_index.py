"""The index: it round-trips, and modified or invalid ones are refused."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fercli.artifacts import Artifact, Manifest, open_artifact
from fercli.artifacts.digests import digest_file
from fercli.datasets.index import COLUMNS, Row, count, emotions_of, read_index, totals, write_index
from fercli.errors import DataError
from tests.helpers.datasets import face, make_dataset

texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)


@pytest.fixture
def dataset(tmp_path: Path) -> Artifact:
    return make_dataset(tmp_path / "data", {"train/sad/1.png": face(1), "test/happy/2.png": face(2)})


def rewritten(dataset: Artifact, text: str) -> Artifact:
    """Return the dataset with another index and a matching digest, like a forged one."""
    (dataset.path / "index.csv").write_bytes(text.encode("utf-8", "surrogateescape"))
    file = dataset.path / "artifact.json"
    digest = digest_file(dataset.path / "index.csv")
    file.write_text(json.dumps({**json.loads(file.read_text()), "digest": digest}))
    return open_artifact(dataset.path)


@given(st.lists(st.lists(texts, min_size=len(COLUMNS), max_size=len(COLUMNS)), max_size=3))
@settings(max_examples=25, deadline=None)
def test_rows_round_trip(tmp_path_factory: pytest.TempPathFactory, values: list[list[str]]) -> None:
    rows = [replace(Row(*row), path=f"train/sad/{i}.png", split="train") for i, row in enumerate(values)]
    folder = tmp_path_factory.mktemp("index")
    digest = write_index(folder, rows)
    assert digest == digest_file(folder / "index.csv")
    assert read_index(Artifact(folder, Manifest(kind="dataset", stage="import", digest=digest))) == rows


def test_header_lists_the_columns(dataset: Artifact) -> None:
    lines = (dataset.path / "index.csv").read_text().splitlines()
    assert lines[0] == (
        "path,split,emotion,votes,source,row,photograph,box,landmarks,score,subject,fold,frame,face_id,sha256,origin,parent,"
        "made"
    )
    assert len(lines) == 3


def test_index_without_newer_columns_is_read(tmp_path: Path) -> None:
    (tmp_path / "index.csv").write_text("path,split,emotion,sha256,origin,parent\na.png,train,sad,1,real,\n")
    digest = digest_file(tmp_path / "index.csv")
    rows = read_index(Artifact(tmp_path, Manifest(kind="dataset", stage="import", digest=digest)))
    assert rows == [Row("a.png", "train", "sad", sha256="1")]


def test_missing_or_modified_index_is_refused(dataset: Artifact) -> None:
    index = dataset.path / "index.csv"
    index.write_bytes(index.read_bytes() + b"\n")
    with pytest.raises(DataError, match="was modified"):
        read_index(dataset)
    index.unlink()
    with pytest.raises(DataError, match="is missing"):
        read_index(dataset)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not an index"),
        ("path,split,emotion,sha256\ncaf\udce9.png,train,sad,0\n", "cannot be read as an index .*utf-8"),
        ("path,split,emotion,sha\udce9256\n", "cannot be read as an index .*utf-8"),
        (",".join(["column"] * 10_000), "not an index .{,300}$"),
        ("path,split\n", "not an index"),
        ("path,split,emotion,sha256,weather\n", "not an index"),
        ("path,split,emotion,sha256,path\na,train,sad,0,a\n", "not an index"),
        ("path,split,emotion,sha256\na,train,sad,0\nb,train,sad,0\na,test,sad,1\n", "'a' is listed twice"),
        ("path,split,emotion,sha256\ntrain//a,train,sad,0\n", "is not a path within"),
        ("path,split,emotion,sha256\n./a,train,sad,0\n", "is not a path within"),
        ("path,split,emotion,sha256\n,train,sad,0\n", "is not a path within"),
        ("path,split,emotion,sha256\na,training,sad,0\n", "'training' is not a split"),
        ("path,split,emotion,sha256\na,,sad,0\n", "'' is not a split"),
        ("path,split,emotion,sha256\na,b\n", "cannot be read"),
        ("path,split,emotion,sha256\na,train,sad,0,more\n", "cannot be read"),
        ("path,split,emotion,sha256\n" + "x" * 200_000 + ",train,sad,0\n", "cannot be read"),
        ("path,split,emotion,sha256\n/etc/passwd,train,sad,0\n", "is not a path within"),
        ("path,split,emotion,sha256\ntrain/../../x.png,train,sad,0\n", "is not a path within"),
        ("path,split,emotion,sha256\n..,train,sad,0\n", "is not a path within"),
        ("path,split,emotion,sha256\na\0b,train,sad,0\n", "is not a path within"),
    ],
)
def test_invalid_index_is_refused(dataset: Artifact, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_index(rewritten(dataset, text))


def test_older_index_with_fewer_columns_is_read(dataset: Artifact) -> None:
    text = "path,split,emotion,sha256\ntrain/sad/1.png,train,sad,0\n"
    assert read_index(rewritten(dataset, text)) == [Row("train/sad/1.png", "train", "sad", sha256="0")]


def test_counts_include_every_emotion_in_every_split() -> None:
    rows = [
        Row("1", "test", "sad"),
        Row("2", "train", "contempt"),
        Row("3", "train", "sad"),
        Row("4", "unlabelled", ""),
    ]
    emotions = emotions_of(rows)
    counts = count(rows, emotions)
    assert emotions == ["sad", "contempt"]
    assert list(counts) == ["train", "test", "unlabelled"]
    assert counts["train"] == {"sad": 1, "contempt": 1}
    assert counts["test"] == {"sad": 1, "contempt": 0}
    assert counts["unlabelled"]["unlabelled"] == 1
    assert totals(counts) == {"train": 2, "test": 1, "unlabelled": 1}
    assert count([], []) == {}
