"""Tables of images and labels: columns, paths, and listed, missing and unlisted images."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import fercli
from fercli.datasets.index import read_index
from fercli.datasets.readers import Item, find_reader
from fercli.datasets.readers.base import ImportOptions
from fercli.emotions import EMOTIONS
from fercli.errors import DataError, FerError, UsageError
from tests.helpers.cli import Ended
from tests.helpers.datasets import face, write_tree
from tests.helpers.progress import Log

CODES = ",".join(f"{code}={emotion}" for code, emotion in enumerate(EMOTIONS))


def tree(folder: Path, table: str | bytes, name: str = "labels.csv", where: str = "pictures", count: int = 4) -> Path:
    """Write `count` images named 0.png, 1.png, … and a table."""
    pictures: dict[str, np.ndarray | bytes] = {f"{where}/{n}.png": face(n, 20) for n in range(count)}
    return write_tree(folder, {**pictures, name: table.encode() if isinstance(table, str) else table})


def read(source: Path, name: str | None = None, **values: object) -> list[Item]:
    options = ImportOptions(**values)  # type: ignore[arg-type]
    return list(find_reader(source, name, options).read(source, options))


def outcomes(items: list[Item]) -> list[tuple[str, str]]:
    """Return each item's source, and its emotion or the reason for being skipped."""
    return [(item.source, item.problem or item.left_out or item.emotion) for item in items]


TWO = [("pictures/0.png", "happy"), ("pictures/1.png", "sad")]


@pytest.mark.parametrize(
    "table",
    [
        "path,label\n0.png,happy\n1.png,sad\n",
        "\ufeffPath,Label\r\n0.png,HAPPY\r\n\r\n1.png,Sadness\r\n",
        'label,"Image Name"\nhappy,"0.png"\n"sad",1.png',
        "file;emotion\n0.png;happy\n1.png;sad",
        "id\tfilename\texpression\n1\tpictures/0.png\thappy\n2\tpictures\\1.png\tsad",
        "image|class\n0.png|happy\n1.png|sad",
        "image class\n0.png happy\n1.png   sad",
        "image-path,label,\n./0.png,happy,\n1.png,sad,",
        "filename,label\n0,happy\n1,sad",
        'path,comment,label\n0.png,"a, ""b""\nand more",happy\n1.png,,sad',
        b"path,label,who\n0.png,happy,J\xe9r\xf4me\n1.png,sad,x\n",
    ],
    ids=[
        *("plain", "BOM, CRLF, case", "quoted", "semicolons", "tabs and backslashes", "bars", "blanks"),
        *("hyphens", "no endings", "a line end in quotes", "no UTF-8"),
    ],
)
def test_table_format_variants(table: str | bytes, tmp_path: Path) -> None:
    source = tree(tmp_path, table, count=2)
    assert find_reader(source).name == "table"
    assert outcomes(read(source)) == TWO
    assert outcomes(read(source / "labels.csv")) == TWO


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("0.png,happy\n1.png,sad", {}),
        ("0.png,happy\n1.png,sad", {"path": "1", "label": "2"}),
        ("7;happy;0.png\n8;sad;1.png", {"path": "3", "label": "2"}),
        ("pic,what\n0.png,happy\n1.png,sad", {"path": "pic", "label": "WHAT"}),
        ("pic,what\n0.png,happy\n1.png,sad", {"path": "pic", "label": "2"}),
        ("path,label,emotion\n0.png,3,happy\n1.png,4,sad", {"label": "emotion"}),
    ],
)
def test_columns_selected_by_name_or_number(table: str, columns: dict[str, str], tmp_path: Path) -> None:
    source = tree(tmp_path, table, count=2)
    assert outcomes(read(source / "labels.csv", columns=columns)) == TWO
    assert outcomes(read(source, "table", columns=columns)) == TWO


@pytest.mark.parametrize(
    ("table", "columns", "why"),
    [
        ("", {}, "the table is empty"),
        ("a\nb\n", {}, r"line 1 has one column \('a'\)"),
        ("a,b\n", {}, r"no column for path and label: line 1 has 'a', 'b'; .*--columns path=COLUMN,label=COLUMN"),
        ("path,b\n", {}, "no column for label: line 1 has 'path', 'b'"),
        (
            "path,label,emotion\n",
            {},
            "columns label or emotion could both be the label; select one with --columns label=label",
        ),
        (
            "path,label\n",
            {"label": "mood"},
            "there is no column 'mood' for --columns label; line 1 has 'path', 'label'",
        ),
        ("path,label\n", {"label": "3"}, "there is no column '3'"),
        ("path,label\n", {"label": "0"}, "there is no column '0'"),
        ("0.png,happy,x\n", {}, "no column for path and label: line 1 has '0.png', 'happy', 'x'"),
        ("path,label\n".encode("utf-16"), {}, "the table is UTF-16; save it as UTF-8"),
        (b"\x89PNG\r\n\x1a\n", {}, "line 1 has one column"),
    ],
)
def test_ambiguous_or_missing_columns_are_refused(
    table: str | bytes, columns: dict[str, str], why: str, tmp_path: Path
) -> None:
    source = tree(tmp_path, table)
    for each in (source, source / "labels.csv"):
        with pytest.raises(DataError, match=why) as caught:
            read(each, columns=columns)
        assert "labels.csv: " in str(caught.value)
        assert len(str(caught.value)) < 500


def test_splits_subjects_and_label_names(tmp_path: Path) -> None:
    rows = [("TRAIN", "happy", "A"), ("valid", "Joy", " B "), ("dev", "grin", "A"), ("PrivateTest", "odd", "")]
    lines = ["person,set,emotion,file", *(f"{who},{split},{word},{n}.png" for n, (split, word, who) in enumerate(rows))]
    source = tree(tmp_path, "\n".join(lines))
    items = read(source, names={"grin": "surprise", "odd": ""})
    assert [(item.split, item.emotion, item.subject, item.row) for item in items] == [
        ("train", "happy", "A", 0),
        ("validation", "happy", "B", 1),
        ("validation", "surprise", "A", 2),
        ("test", "", "", 3),
    ]
    assert items[3].left_out == "excluded by --map"
    assert {item.split for item in read(source, columns={"split": "-"}, names={"grin": "sad", "odd": "sad"})} == {""}


def test_persons_stay_together(tmp_path: Path) -> None:
    lines = ["path,label,subject", *(f"{n}.png,{EMOTIONS[n % 7]},P{n // 7}" for n in range(70))]
    made = fercli.import_dataset(tree(tmp_path / "in", "\n".join(lines), count=70), tmp_path / "out", folds=5)
    rows = read_index(made)
    assert {row.split for row in rows} == {"train", "validation", "test"}
    assert all(len({row.split for row in rows if row.subject == f"P{n}"}) == 1 for n in range(10))
    assert all(len({row.fold for row in rows if row.subject == f"P{n}"}) == 1 for n in range(10))


def test_codes_need_a_complete_map(tmp_path: Path) -> None:
    source = tree(tmp_path / "in", "path,label\n0.png,0\n1.png,3\n2.png,3.0\n3.png,06\n")
    with pytest.raises(
        DataError, match=r"labels\.csv: its labels are codes \(range from 0 to 6\) of an unknown dataset"
    ):
        fercli.import_dataset(source, tmp_path / "out")
    with pytest.raises(UsageError, match="also has the codes 3, 6; a map that gives codes must give"):
        fercli.import_dataset(source, tmp_path / "out", map="0=angry")
    made = fercli.import_dataset(source, tmp_path / "out", map=CODES)
    assert Counter(row.emotion for row in read_index(made)) == {"angry": 1, "happy": 2, "neutral": 1}


def test_tables_with_only_unknown_labels_or_splits_are_refused(tmp_path: Path) -> None:
    source = tree(tmp_path, "path,label,set\n0.png,froh,a\n1.png,traurig,b\n")
    with pytest.raises(DataError, match=r"no label is an emotion \('froh', 'traurig'\); map them with --map 'froh="):
        read(source)
    with pytest.raises(DataError, match=r"no value in the split column is a split .*\('a', 'b'\).*split=-"):
        read(source, names={"froh": "happy", "traurig": "sad"})
    items = read(source, names={"froh": "happy"}, columns={"split": "-"})
    assert outcomes(items)[:2] == [("pictures/0.png", "happy"), ("pictures/1.png", "unknown label 'traurig'")]


def test_many_unknown_labels_share_one_reason(tmp_path: Path) -> None:
    lines = ["path,label", "0.png,happy", *(f"{n}.png,w{n}" for n in range(1, 40))]
    reasons = Counter(item.problem for item in read(tree(tmp_path, "\n".join(lines), count=40)))
    assert reasons == {"": 1, "unknown label": 39}


# --- paths ---


@pytest.mark.parametrize(
    "path", ["../secret.png", "/etc/secret.png", "C:\\secret.png", "pictures/../../secret.png", ""]
)
def test_paths_never_lead_outside_the_folder(path: str, tmp_path: Path) -> None:
    write_tree(tmp_path, {"secret.png": face(9)})
    source = tree(tmp_path / "in", f"path,label\n0.png,happy\n{path},sad\n")
    for each in (source, source / "labels.csv"):
        items = read(each)
        assert (items[1].problem, items[1].file) == ("path leads outside the folder", None)


def test_absolute_paths_are_refused_with_advice(tmp_path: Path) -> None:
    source = tree(tmp_path, "path,label\n/home/me/0.png,happy\n/home/me/1.png,sad\n")
    with pytest.raises(DataError, match=r"every path leads outside its folder \('/home/me/0\.png'\); paths are"):
        read(source / "labels.csv")


@pytest.mark.parametrize(
    ("table", "where", "path"),
    [
        ("labels.csv", "pictures", "0.png"),
        ("labels.csv", "pictures", "pictures/0.png"),
        ("labels.csv", ".", "0.png"),
        ("annotations/labels.csv", "pictures", "0.png"),
        ("annotations/labels.csv", "pictures", "pictures/0.png"),
        ("labels/labels.csv", "labels/deep", "deep/0.png"),
    ],
)
def test_images_are_found_in_sibling_and_nested_folders(table: str, where: str, path: str, tmp_path: Path) -> None:
    source = tree(tmp_path, f"path,label\n{path},happy\n", table, where, count=1)
    (item,) = read(source)
    assert item.file == tmp_path / where / "0.png"
    assert item.source == item.file.relative_to(source).as_posix()


def test_images_in_several_folders(tmp_path: Path) -> None:
    tree(tmp_path, "path,label\n0.png,happy\nx.png,sad\ngone.png,sad\n", count=1)
    write_tree(tmp_path, {"more/x.png": face(5)})
    assert outcomes(read(tmp_path)) == [("pictures/0.png", "happy"), ("more/x.png", "sad"), ("more/gone.png", "sad")]


def test_ambiguous_image_folders_are_refused(tmp_path: Path) -> None:
    source = tree(tmp_path, "path,label\n0.png,happy\n1.png,sad\n", where="aligned", count=2)
    write_tree(source, {"original/0.png": face(7), "original/9.png": face(8)})
    with pytest.raises(DataError, match=r"labels\.csv: its images exist in both aligned and original; include"):
        read(source)
    write_tree(source, {"0.png": face(9)})  # refers to the table's own folder
    assert outcomes(read(source))[:2] == [("0.png", "happy"), ("aligned/1.png", "sad")]


def test_missing_repeated_and_unlisted_images_are_counted(tmp_path: Path) -> None:
    table = "path,label\n0.png,happy\n0.png,happy\n1.png,sad\n1.png,fear\npictures/1.png,sad\ngone.png,sad\n"
    made = fercli.import_dataset(tree(tmp_path / "in", table), tmp_path / "out")
    assert made.summary["skipped"] == {
        "listed again with another label or split": 3,
        "listed twice": 1,
        "missing": 1,
        "not in the table": 2,
    }
    assert sum(made.summary["images"].values()) == 1
    assert made.manifest.skipped["listed twice"] == ["pictures/0.png row 1"]


# --- several tables ---


def test_one_table_per_split(tmp_path: Path) -> None:
    tree(tmp_path / "in", "path,label\n0.png,happy\n1.png,happy\n3.png,happy", "train.csv")
    write_tree(tmp_path / "in", {"labels_val.csv": b"path,label\n2.png,sad\n3.png,happy\n"})
    items = read(tmp_path / "in")
    assert [(item.split, item.source) for item in items if not item.problem] == [
        ("validation", "pictures/2.png"),
        ("train", "pictures/0.png"),
        ("train", "pictures/1.png"),
    ]
    assert [item.problem for item in items if item.problem] == ["listed again with another label or split"] * 2


def test_split_table_refers_to_the_folder_of_that_split(tmp_path: Path) -> None:
    write_tree(tmp_path, {f"{split}/{n}.png": face(n) for split in ("train", "test") for n in range(2)})
    for split, label in (("train", "happy"), ("test", "sad")):
        (tmp_path / f"{split}.csv").write_text(f"path,label\n0.png,{label}\n1.png,{label}\n")
    assert [(item.split, *each) for item in read(tmp_path) for each in outcomes([item])] == [
        ("test", "test/0.png", "sad"),
        ("test", "test/1.png", "sad"),
        ("train", "train/0.png", "happy"),
        ("train", "train/1.png", "happy"),
    ]
    assert outcomes(read(tmp_path / "train.csv")) == [("train/0.png", "happy"), ("train/1.png", "happy")]


def test_several_tables_without_splits_are_refused(tmp_path: Path) -> None:
    tree(tmp_path, "path,label\n0.png,happy", "a.csv")
    write_tree(tmp_path, {"b.csv": b"path,label\n1.png,sad\n", "other.csv": b"x,y\n"})
    with pytest.raises(DataError, match=r"several tables \(a\.csv, b\.csv\); give one of them instead of the folder"):
        read(tmp_path)
    assert outcomes(read(tmp_path / "b.csv")) == [("pictures/1.png", "sad")]


# --- detection ---


def test_table_of_other_images_is_not_recognised(tmp_path: Path) -> None:
    source = tree(tmp_path / "a", "path,label\nelsewhere/0.png,happy\n")
    with pytest.raises(DataError, match="unknown layout"):
        find_reader(source)
    assert find_reader(source / "labels.csv").name == "table"
    bare = tree(tmp_path / "b", "0.png,happy\n1.png,sad\n", "notes.txt")
    with pytest.raises(DataError, match="unknown layout"):
        find_reader(bare)


def test_unreadable_table_is_reported_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"unknown folder layout, and my\.csv: no column for label: line 1 has"):
        find_reader(tree(tmp_path, "file,mood\n0.png,happy\n", "my.csv"))


def test_pixel_csv_with_other_columns_is_refused_with_advice(tmp_path: Path) -> None:
    source = write_tree(tmp_path, {"a.csv": b"label;pixels;Usage\n3;1 2 3;Training\n"}) / "a.csv"
    with pytest.raises(
        DataError, match=r"no column for path: .*; a CSV of pixels has the columns emotion, pixels, Usage"
    ):
        read(source)


def test_emotion_folders_take_precedence_over_a_table(tmp_path: Path) -> None:
    source = write_tree(tmp_path, {"happy/0.png": face(0), "sad/1.png": face(1)})
    (source / "labels.csv").write_text("path,label\nhappy/0.png,happy\nsad/1.png,sad\n")
    assert find_reader(source).name == "emotions"
    assert outcomes(read(source / "labels.csv")) == [("happy/0.png", "happy"), ("sad/1.png", "sad")]


def test_unreadable_list_is_refused_with_the_reason(tmp_path: Path) -> None:
    source = tree(tmp_path, "0.png happy x\n1.png sad y\n", "list.txt")
    with pytest.raises(DataError, match=r"no column for path and label: line 1 has '0\.png', 'happy', 'x'"):
        find_reader(source / "list.txt")
    assert outcomes(read(source / "list.txt", columns={"path": "1", "label": "2"}))[:2] == TWO


def test_columns_option_applies_to_tables_only(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="columns: only the format table has configurable columns, not jaffe"):
        fercli.import_dataset(tree(tmp_path / "in", ""), tmp_path / "out", format="jaffe", columns="path=a,label=b")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path", "'path' is not of the form path=COLUMN,label=COLUMN"),
        ("path=", "'path=' is not of the form"),
        ("pth=a", "no column role 'pth'; did you mean path"),
        ("path=a,path=b", "path is given twice"),
    ],
)
def test_invalid_columns_are_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="import: columns: ") as caught:
        fercli.import_dataset(tree(tmp_path / "in", ""), tmp_path / "out", columns=text)
    assert message in str(caught.value)


# --- the stage ---


def test_single_table_is_reimported_when_images_change(tmp_path: Path) -> None:
    source = tree(tmp_path / "in", "path,label\n" + "".join(f"{n}.png,happy\n" for n in range(4))) / "labels.csv"
    made = fercli.import_dataset(source, tmp_path / "out")
    assert fercli.import_dataset(source, tmp_path / "out").up_to_date
    write_tree(tmp_path / "in", {"unlisted.png": face(8)})
    assert fercli.import_dataset(source, tmp_path / "out").up_to_date
    write_tree(tmp_path / "in", {"pictures/2.png": face(9)})
    with pytest.raises(FerError, match="a different dataset already exists"):
        fercli.import_dataset(source, tmp_path / "out")
    assert "columns" not in made.manifest.options


def test_table_on_the_command_line(fer: Callable[..., Ended], tmp_path: Path) -> None:
    source = tree(tmp_path / "in", "n;pic;mood\n1;0.png;0\n2;1.png;3\n")
    ended = fer("import", source, tmp_path / "out", "--columns", "path=pic,label=mood", "--map", CODES)
    assert ended.code == 0, ended.err
    assert "happy" in ended.out
    assert "skipped 2 not in the table" in ended.err
    log = Log()
    fercli.import_dataset(source, tmp_path / "b", columns="path=2,label=3", map=CODES, progress=log)
    assert f"reading {source} as a table of images and labels" in log.lines
