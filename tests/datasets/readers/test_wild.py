"""RAF-DB, AffectNet, ExpW and SFEW: what each means by its codes, boxes, splits and names."""

import json
import shutil
import tracemalloc
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layouts_wild import (
    AFFECTNET,
    AFFECTNET_HEADER,
    LAYOUTS,
    RAF,
    affectnet_row,
    affectnet_tree,
    npy,
    photograph,
    sfew_tree,
)
from making import face, write_tree

import fercli
from fercli.artifacts import Artifact
from fercli.datasets.index import Row, read_index
from fercli.datasets.readers import READERS, Item, Reader, affectnet_csv, expw, find_reader, raf_db
from fercli.datasets.readers.affectnet_npy import parse_code
from fercli.emotions import EMOTIONS
from fercli.errors import DataError
from fercli.images import read_image


def read(source: Path, name: str | None = None) -> list[Item]:
    return list(find_reader(source, name).read(source))


def found(items: list[Item]) -> list[tuple[str, str, str, str]]:
    return [(item.split, item.emotion, item.name, item.problem or item.left_out) for item in items]


def rows(made: Artifact) -> list[Row]:
    return read_index(made)


# --- RAF-DB ---


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


def test_raf_db_from_the_parent_from_basic_and_flat(tmp_path: Path) -> None:
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
def test_raf_db_lists_in_other_dress(tmp_path: Path, dress: Callable[[str], str]) -> None:
    source = small_raf_db(tmp_path)
    labels = source / "basic/EmoLabel/list_patition_label.txt"
    labels.write_bytes(dress(labels.read_text()).encode())
    assert found(read(source)) == RAF_FOUND


def test_raf_db_takes_the_aligned_faces_and_says_so_unless_told_otherwise(tmp_path: Path) -> None:
    source = small_raf_db(tmp_path)
    for code in range(1, 8):
        for split in ("train", "test"):
            name = f"{split}_{code:05d}"
            box = f"basic/Annotation/boundingbox/{name}_boundingbox.txt"
            write_tree(source, {f"basic/Image/original/{name}.jpg": photograph(code), box: b"10 5 50.5 40.25\n"})
    reader = find_reader(source)
    assert reader.name == "raf-db"
    assert "raf-db-original" in reader.title
    assert all(item.box is None for item in read(source))
    items = read(source, "raf-db-original")
    assert found(items) == RAF_FOUND
    assert {item.box for item in items} == {(10.0, 5.0, 40.5, 35.25)}
    assert all(item.file and item.file.parent.name == "original" for item in items)


def test_raf_db_original_cuts_the_face_out(tmp_path: Path) -> None:
    made = fercli.import_dataset(LAYOUTS["raf-db-original"](tmp_path / "raf").source, tmp_path / "out")
    for row in rows(made):
        assert row.box == "10.50 5.25 40.00 39.75"
        assert row.photograph == row.source
        assert read_image(made.path / row.path).shape[:2] == (40, 40)


def test_what_raf_db_lacks_is_told(tmp_path: Path) -> None:
    made = fercli.import_dataset(LAYOUTS["raf-db"](tmp_path / "raf").source, tmp_path / "out")
    # 14 whole ones, one of an unknown code, one broken; the entries without a prefix and beyond the list count nowhere.
    assert made.summary["differs_from_published"] == {
        "train": {"published": 12271, "found": 16},
        "test": {"published": 3068, "found": 14},
    }
    assert sum(raf_db.PUBLISHED.values()) == 15_339


@pytest.mark.parametrize("name", ["../../../secret.jpg", "/etc/secret.jpg", "a/train_00001.jpg", "..", "train_1\0.jpg"])
def test_raf_db_reads_nothing_elsewhere(tmp_path: Path, name: str) -> None:
    source = small_raf_db(tmp_path / "raf")
    write_tree(tmp_path, {"secret.jpg": face(1), "secret_aligned.jpg": face(1)})
    (source / "basic/EmoLabel/list_patition_label.txt").write_text(f"{name} 4\n")
    (item, *others) = read(source)
    assert (item.problem, item.file) == ("path leaves the folder", None)
    assert {other.problem for other in others} == {"not in the list"}


@given(st.text(max_size=60))
@settings(max_examples=300, deadline=None)
def test_no_line_breaks_the_parsers(line: str) -> None:
    entry = raf_db.parse_line(line)
    assert entry is None or all(entry)
    values = expw.parse_line(line)
    assert values is None or (len(values) == 8 and all(values))


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\n\r,"), min_size=1, max_size=20).map(str.strip)


@given(NAMES.filter(lambda name: name and " ".join(name.split()) == name), st.integers(1, 7), st.sampled_from(" \t,"))
@settings(max_examples=200, deadline=None)
def test_raf_db_lines_come_back(name: str, code: int, between: str) -> None:
    assert raf_db.parse_line(f"{name}{between}{code}") == (name, str(code))


def test_raf_db_boxes(tmp_path: Path) -> None:
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


def test_raf_db_folders_are_told_from_other_folders_by_code(tmp_path: Path) -> None:
    other = write_tree(
        tmp_path / "other", {f"{split}/{k}/{k}.jpg": face(k) for split in ("train", "test") for k in (1, 2)}
    )
    with pytest.raises(DataError, match="no known layout"):
        find_reader(other)
    assert {item.problem for item in read(other, "raf-db-folders")} == {"no prefix tells train from test"}


# --- AffectNet ---


def test_affectnets_codes(tmp_path: Path) -> None:
    tree, texts = affectnet_tree("Manually_Annotated", {"training": [*range(12)], "validation": [*range(8)]})
    source = write_tree(tmp_path, {**tree, **{f"{name}.csv": text.encode() for name, text in texts.items()}})
    items = read(source)
    assert [item.emotion for item in items] == [*AFFECTNET, "", "", "", "", *AFFECTNET]
    reasons = ["labelled none", "labelled uncertain", "labelled non-face", "unknown label"]
    assert [item.problem or item.left_out for item in items[8:12]] == reasons
    assert [item.split for item in items] == ["train"] * 12 + ["test"] * 8
    assert {item.box for item in items if item.emotion} == {(10.0, 5.0, 40.0, 42.0)}


def test_affectnets_contempt_is_kept_for_eight_classes(tmp_path: Path) -> None:
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
def test_affectnets_pictures_are_found_beside_its_lists(tmp_path: Path, lists: str, images: str) -> None:
    tree: dict[str, np.ndarray | bytes] = {f"{images}/689/a{n}.jpg": photograph(n) for n in range(2)}
    tree[f"{lists}/training.csv"] = (AFFECTNET_HEADER + affectnet_row("689/a0.jpg", 1)).encode()
    tree[f"{lists}/validation.csv"] = (AFFECTNET_HEADER + affectnet_row("689\\a1.jpg", 2)).encode()
    source = write_tree(tmp_path, tree)
    for place, expected in (
        (source, [("train", "happy", "a0", ""), ("test", "sad", "a1", "")]),
        (source / lists / "training.csv", [("train", "happy", "a0", "")]),
        (source / lists / "validation.csv", [("test", "sad", "a1", "")]),
    ):
        items = read(place)
        assert find_reader(place).name == "affectnet-csv"
        assert found(items) == expected
        assert all(item.file and item.file.is_file() for item in items)


def test_affectnets_columns_in_any_order_with_or_without_boxes(tmp_path: Path) -> None:
    write_tree(tmp_path, {"1/a.jpg": photograph(1)})
    table = tmp_path / "training.csv"
    table.write_bytes('\ufeffexpression,"subDirectory_filePath"\r\n3,"1/a.jpg"\r\n\r\n'.encode())
    (item,) = read(tmp_path)
    assert (item.emotion, item.box, item.file) == ("surprise", None, tmp_path / "1/a.jpg")
    table.write_text("path,expression\n1/a.jpg,3\n")
    with pytest.raises(DataError, match=r"training\.csv: AffectNet's lists have subDirectory_filePath.* 'path'"):
        read(tmp_path, "affectnet-csv")


def test_the_list_that_no_person_checked_is_never_measured_by(tmp_path: Path) -> None:
    source = LAYOUTS["affectnet-automatic"](tmp_path / "auto").source
    table = next(source.rglob("*.csv"))
    assert find_reader(table).name == "affectnet-automatic"
    assert {item.split for item in read(source)} == {item.split for item in read(table)} == {"train"}
    assert found(read(table)) == found(read(source))


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
def test_affectnets_boxes(texts: list[str], box: object, problem: str) -> None:
    assert affectnet_csv.parse_box(texts) == (box, problem)


def test_affectnets_lists_are_never_held(tmp_path: Path) -> None:
    table = tmp_path / "training.csv"
    with table.open("w") as file:
        file.write(AFFECTNET_HEADER)
        for number in range(5000):
            file.write(affectnet_row(f"{number % 100}/{number:08x}.jpg", number % 11))
    tracemalloc.start()
    number = sum(1 for _ in find_reader(table).read(table))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert number == 5000
    assert peak < 500_000 < table.stat().st_size


@given(st.lists(st.text(max_size=30), max_size=8))
@settings(max_examples=150, deadline=None)
def test_any_text_below_affectnets_header_is_rows(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    table = tmp_path_factory.getbasetemp() / "training.csv"
    table.write_bytes((AFFECTNET_HEADER + "\n".join(lines)).encode("utf-8", "replace"))
    for item in read(table):
        assert item.problem or item.left_out


NPY = {
    "text": (npy("5"), "5"),
    "padded text": (npy(" 5 "), "5"),
    "bytes": (npy(b"5"), "5"),
    "int64": (npy(5), "5"),
    "uint8": (npy(np.uint8(5)), "5"),
    "float": (npy(5.0), "5"),
    "half": (npy(np.float16(5)), "5"),
    "one in an array": (npy(["5"]), "5"),
    "fraction": (npy(5.5), None),
    "nan": (npy(np.nan), None),
    "bool": (npy(np.True_), None),
    "two": (npy([1, 2]), None),
    "none": (npy([]), None),
    "complex": (npy(1j), None),
    "date": (npy(np.datetime64("2020")), None),
    "empty": (b"", None),
    "a picture": (b"\x89PNG\r\n\x1a\n", None),
    "cut off": (npy("5")[:-2], None),
    "cut in the header": (npy("5")[:40], None),
    "no header": (npy("5").replace(b"descr", b"xxxxx"), None),
    "code in the header": (npy("5").replace(b"'<U1'", b"f(1) "), None),
}


@pytest.mark.parametrize("case", NPY)
def test_labels_of_every_type(case: str) -> None:
    data, code = NPY[case]
    assert parse_code(data) == code


def test_a_label_is_never_unpickled_and_never_large(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
            return (Path.touch, (tmp_path / "sprung",))  # type: ignore[return-value]

    np.save(tmp_path / "trap.npy", np.array(Trap(), object), allow_pickle=True)
    assert parse_code((tmp_path / "trap.npy").read_bytes()) is None
    assert parse_code(b"\x80\x04N.") is None
    assert not (tmp_path / "sprung").exists()
    promised = npy(5).replace(b"'shape': (), ", b"'shape': (10**13,), ".replace(b"10**13", b"9999999999999"))
    assert parse_code(promised) is None


@given(st.one_of(st.binary(max_size=200), st.binary(max_size=150).map(lambda data: npy("5")[:10] + data)))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_a_label_or_none(data: bytes) -> None:
    assert parse_code(data) is None or isinstance(parse_code(data), str)


def test_affectnets_npy_goes_by_number(tmp_path: Path) -> None:
    tree: dict[str, np.ndarray | bytes] = {}
    for number in (10, 9, 100, 2):
        tree |= {f"val_set/images/{number}.jpg": face(number), f"val_set/annotations/{number}_exp.npy": npy(number % 8)}
    source = write_tree(tmp_path, tree)
    with pytest.raises(DataError, match="no known layout"):
        find_reader(source / "val_set")
    names = [("2", 2), ("9", 1), ("10", 2), ("100", 4)]
    assert found(read(source)) == [("test", AFFECTNET[code], name, "") for name, code in names]


# --- ExpW ---


def test_expws_faces_of_one_photograph_stay_together(tmp_path: Path) -> None:
    made = fercli.import_dataset(LAYOUTS["expw"](tmp_path / "expw").source, tmp_path / "out")
    by_photograph = defaultdict(set)
    for row in rows(made):
        by_photograph[row.photograph].add(row.split)
        assert row.subject == f"photograph {Path(row.photograph).name}"
        assert row.score == "90.5"
        assert row.path.startswith(f"{row.split}/{row.emotion}/{Path(row.photograph).stem}_")
    assert {len(splits) for splits in by_photograph.values()} == {1}
    assert len(by_photograph) == 14
    assert set().union(*by_photograph.values()) == {"train", "validation", "test"}
    assert made.summary["differs_from_published"]["all"]["published"] == 91_793


def test_expws_sides_come_in_its_own_order(tmp_path: Path) -> None:
    source = write_tree(
        tmp_path, {"origin/a b.jpg": photograph(1), "label/label.lst": b"a b.jpg 3 5 10 50 45 33.5 6\n"}
    )
    (item,) = read(source)
    # top 5, left 10, right 50, bottom 45
    assert item.box == (10.0, 5.0, 40.0, 40.0)
    assert (item.emotion, item.name, item.score, item.source) == ("neutral", "a b_3", "33.5", "origin/a b.jpg")


@pytest.mark.parametrize("between", [" ", "\t", ",", ", ", "  "])
def test_expws_lists_in_other_dress(tmp_path: Path, between: str) -> None:
    header = "image_name face_id_in_image face_box_top face_box_left face_box_right face_box_bottom face_box_cofidence "
    text = f"{header}expression_label\r\na.jpg 0 5 10 50 45 33.5 0\r\n\r\na.jpg 1 5 10 50 45 33.5 5\r\n"
    write_tree(tmp_path, {"image/a.jpg": photograph(1), "label.lst": ("\ufeff" + text.replace(" ", between)).encode()})
    assert found(read(tmp_path)) == [("", "angry", "a_0", ""), ("", "surprise", "a_1", "")]


@given(
    NAMES.filter(lambda name: name and " ".join(name.split()) == name),
    st.lists(st.integers(0, 10**6), min_size=7, max_size=7),
    st.sampled_from([" ", "\t", ","]),
)
@settings(max_examples=200, deadline=None)
def test_expws_lines_come_back(name: str, numbers: list[int], between: str) -> None:
    if between == "," and " " in name:
        name = name.replace(" ", "_")
    line = between.join([name, *map(str, numbers)])
    assert expw.parse_line(line) == [name, *map(str, numbers)]


# --- SFEW ---


def test_sfews_films_stay_together(tmp_path: Path) -> None:
    made = fercli.import_dataset(LAYOUTS["sfew"](tmp_path / "sfew").source, tmp_path / "out")
    by_film = defaultdict(set)
    for row in rows(made):
        by_film[row.subject].add(row.split)
    assert by_film.keys() == {"Airheads", "AmericanHistoryX", "About_A_Boy", "Bridesmaids"}
    assert by_film["About_A_Boy"] == by_film["Bridesmaids"] == {"test"}
    assert sorted(by_film["Airheads"] | by_film["AmericanHistoryX"]) == ["train", "validation"]
    assert made.summary["differs_from_published"].keys() == {"train", "test"}


@pytest.mark.parametrize(
    ("train", "val"),
    [
        ("Train_Aligned_Faces", "Val_Aligned_Faces"),
        ("Train_Aligned_Faces", "Val_Aligned_Faces_new/Val_Aligned_Faces"),
        ("Train/Train_Aligned_Faces", "Val/Val_Aligned_Faces"),
    ],
)
def test_sfews_aligned_faces_before_its_frames(tmp_path: Path, train: str, val: str) -> None:
    write_tree(tmp_path, sfew_tree(train, val))
    write_tree(tmp_path, {path: pixels[:20, :20] for path, pixels in sfew_tree("Train", "Val").items()})
    reader = find_reader(tmp_path)
    assert reader.name == "sfew-aligned"
    for name, wanted in (("sfew-aligned", True), ("sfew", False)):
        items = read(tmp_path, name)
        assert len(items) == 28
        assert {item.problem for item in items} == {""}
        assert {"Aligned" in item.source for item in items} == {wanted}
        assert {item.split for item in items} == {"train", "test"}


def test_sfews_test_where_somebody_sorted_it(tmp_path: Path) -> None:
    write_tree(tmp_path, sfew_tree("Train", "Val"))
    write_tree(
        tmp_path, {"Test/Angry/Film_000000001_00000012.png": face(1), "Test/Sad/Film_000000001_00000013.png": face(2)}
    )
    items = read(tmp_path)
    assert [item.split for item in items] == ["train"] * 14 + ["validation"] * 14 + ["test"] * 2
    assert (items[-1].subject, items[-1].frame) == ("Film", "13")


def test_plain_folders_are_not_taken_for_sfew(tmp_path: Path) -> None:
    tree = {
        f"{split}/{emotion}/{k}.png": face(k)
        for split in ("Train", "Val")
        for emotion in ("Angry", "Sad")
        for k in (1, 2)
    }
    write_tree(tmp_path, tree)
    assert find_reader(tmp_path).name == "folders"
    assert {item.split for item in read(tmp_path)} == {"train", "validation"}
    assert {item.split for item in read(tmp_path, "sfew")} == {"train", "test"}


# --- all of them ---


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_forced_format_that_does_not_fit_is_one_line(name: str, tmp_path: Path) -> None:
    write_tree(tmp_path, {"a/1.png": face(1), "notes.txt": b"a text"})
    for source in (tmp_path, tmp_path / "notes.txt", tmp_path / "a"):
        with pytest.raises(DataError) as caught:
            read(source, name)
        assert str(source) in str(caught.value)
        assert len(str(caught.value)) < 400


@pytest.mark.parametrize("name", LAYOUTS)
def test_names_of_broken_bytes_go_through_an_import(name: str, tmp_path: Path) -> None:
    """A list's name that is no UTF-8 and stands for no file is told of in a manifest that can be read."""
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
            npy("3"),
            npy([1, 2]),
        ]
    ),
)


@given(tree=st.dictionaries(PLACES, CONTENTS, max_size=14))
@settings(max_examples=100, deadline=None)
def test_no_tree_of_files_makes_a_reader_fail(tree: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> None:
    source = tmp_path_factory.mktemp("tree")
    for path, content in tree.items():
        place = source / path
        if not any(above.is_file() for above in place.parents) and not place.is_dir():
            write_tree(source, {path: content})
    for reader in READERS:
        assert reader.recognises(source) in (True, False)
        for item in items_or_one_line(reader, source):
            assert item.name
            assert item.file is None or item.file.is_relative_to(source)
    shutil.rmtree(source)


def items_or_one_line(reader: Reader, source: Path) -> Iterator[Item]:
    try:
        yield from reader.read(source)
    except DataError:  # which is one line by its making
        return
