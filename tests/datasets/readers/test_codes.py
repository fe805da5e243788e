"""Label codes: sources whose codes do not match the dataset's are refused before anything is written."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fercli
from fercli.datasets.index import read_index
from fercli.datasets.readers import Item, find_reader
from fercli.datasets.readers.affectnet_csv import CODES as AFFECTNET_CODES
from fercli.datasets.readers.base import CONTEMPT_LEFT_OUT, ImportOptions
from fercli.datasets.readers.codes import BY_MAP, Codes, Labels, code_of, count_codes
from fercli.datasets.readers.raf_db import CODES as RAF_CODES
from fercli.emotions import CONTEMPT, EMOTIONS
from fercli.errors import DataError, FerError, UsageError
from tests.helpers.datasets import csv_row, face, names, write_csv, write_tree
from tests.helpers.layouts.lab import write_sequence
from tests.helpers.layouts.wild import AFFECTNET, RAF, affectnet_tree, npy, photograph, read

Write = Callable[[Path, list[int]], Path]


def raf_db(folder: Path, codes: list[int], inner: str = "basic") -> Path:
    lines = [f"train_{n:05d}.jpg {code}" for n, code in enumerate(codes)]
    tree = {f"{inner}/Image/aligned/train_{n:05d}_aligned.jpg": face(n, 40) for n in range(len(codes))}
    return write_tree(folder, {**tree, f"{inner}/EmoLabel/list_patition_label.txt": "\n".join(lines).encode()})


def raf_db_original(folder: Path, codes: list[int]) -> Path:
    source = raf_db(folder, codes)
    (source / "basic/Image/aligned").rename(source / "basic/Image/original")
    for n in range(len(codes)):
        image = source / f"basic/Image/original/train_{n:05d}_aligned.jpg"
        image.rename(image.with_name(f"train_{n:05d}.jpg"))
        write_tree(source, {f"basic/Annotation/boundingbox/train_{n:05d}_boundingbox.txt": b"5 5 35 35"})
    return source


def raf_db_folders(folder: Path, codes: list[int]) -> Path:
    return write_tree(folder, {f"train/{code}/train_{n:05d}_aligned.jpg": face(n, 40) for n, code in enumerate(codes)})


def fer2013(folder: Path, codes: list[int]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return write_csv(folder / "a.csv", [(code, face(n), "Training") for n, code in enumerate(codes)])


def fer2013_train(folder: Path, codes: list[int]) -> Path:
    rows = [csv_row(code, face(n), "").removesuffix(",\n") for n, code in enumerate(codes)]
    return write_tree(folder, {"train.csv": "\n".join(["emotion,pixels", *rows]).encode()})


def affectnet_csv(folder: Path, codes: list[int]) -> Path:
    tree, texts = affectnet_tree("Manually_Annotated", {"training": codes})
    return write_tree(folder, {**tree, "training.csv": texts["training"].encode()})


def affectnet_automatic(folder: Path, codes: list[int]) -> Path:
    tree, texts = affectnet_tree("Automatically_Annotated", {"automatically_annotated": codes})
    return write_tree(folder, {**tree, "automatically_annotated.csv": texts["automatically_annotated"].encode()})


def affectnet_npy(folder: Path, codes: list[int]) -> Path:
    tree = {f"train_set/images/{n}.jpg": face(n) for n in range(len(codes))}
    return write_tree(folder, {**tree, **{f"train_set/annotations/{n}_exp.npy": npy(c) for n, c in enumerate(codes)}})


def expw(folder: Path, codes: list[int]) -> Path:
    lines = [f"a{n}.jpg 0 5 10 50 45 90.5 {code}" for n, code in enumerate(codes)]
    tree = {f"image/origin/a{n}.jpg": photograph(n) for n in range(len(codes))}
    return write_tree(folder, {**tree, "label.lst": "\n".join(lines).encode()})


def ckplus(folder: Path, codes: list[int]) -> Path:
    for n, code in enumerate(codes):
        write_sequence(folder, f"S{n:03d}/001", 4, f"  {code:.7e}\n", seed=n)
    return folder


WRITTEN: dict[str, tuple[Write, dict[int, str]]] = {
    "raf-db": (raf_db, dict(enumerate(RAF, 1))),
    "raf-db-original": (raf_db_original, dict(enumerate(RAF, 1))),
    "raf-db-folders": (raf_db_folders, dict(enumerate(RAF, 1))),
    "fer2013-csv": (fer2013, dict(enumerate(EMOTIONS))),
    "fer2013-train": (fer2013_train, dict(enumerate(EMOTIONS))),
    "affectnet-csv": (affectnet_csv, dict(enumerate(AFFECTNET))),
    "affectnet-automatic": (affectnet_automatic, dict(enumerate(AFFECTNET))),
    "affectnet-npy": (affectnet_npy, dict(enumerate(AFFECTNET))),
    "expw": (expw, dict(enumerate(EMOTIONS))),
    "ckplus": (ckplus, {1: "angry", 2: CONTEMPT, 3: "disgust", 4: "fear", 5: "happy", 6: "sad", 7: "surprise"}),
}
"""By dataset with codes: a function that writes a small version, and the meaning of the codes."""


@pytest.fixture(params=WRITTEN)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def emotions_of(items: list[Item], name: str) -> list[str]:
    """Return the emotions; for CK+, those of the peak frames."""
    return [item.emotion for item in items if name != "ckplus" or item.frame == "4"]


def test_subset_of_the_codes_is_accepted(name: str, tmp_path: Path) -> None:
    write, table = WRITTEN[name]
    codes = [2, 3, 5, 3]
    source = write(tmp_path, codes)
    assert find_reader(source).name == name
    assert sorted(emotions_of(read(source), name)) == sorted(table[code] for code in codes)


@pytest.mark.slow
@pytest.mark.parametrize("step", [-1, 1])
def test_shifted_codes_are_refused_unless_mapped(name: str, step: int, tmp_path: Path) -> None:
    write, table = WRITTEN[name]
    moved = {code + step: emotion for code, emotion in table.items()}
    if min(moved) < 0:
        return  # no dataset is coded like this
    source = write(tmp_path / "in", [*moved] * 2)
    with pytest.raises(DataError, match=rf"its codes range from {min(moved)} to {max(moved)}, but \w") as caught:
        fercli.import_dataset(source, tmp_path / "out")
    assert names(tmp_path) == ["in"]
    text = ",".join(f"{code}={emotion}" for code, emotion in moved.items())
    assert f"if they are the same codes counted from {min(moved)}, use --map {text}" in str(caught.value)
    made = fercli.import_dataset(source, tmp_path / "out", map=text, classes=8)
    found = Counter(row.emotion for row in read_index(made))
    assert {found[emotion] for emotion in moved.values()} == {6 if name == "ckplus" else 2}


@pytest.mark.slow
def test_unknown_code_is_refused_and_can_be_excluded(name: str, tmp_path: Path) -> None:
    write, table = WRITTEN[name]
    source = write(tmp_path / "in", [*table, *table, *table, 99])
    with pytest.raises(DataError, match=r"codes range from \d to 99, .*exclude them with --map 99=-"):
        fercli.import_dataset(source, tmp_path / "out")
    with pytest.raises(UsageError, match="must give every code that occurs"):
        fercli.import_dataset(source, tmp_path / "out", map="99=happy")
    made = fercli.import_dataset(source, tmp_path / "out", map="99=-", strict=True)
    assert made.summary["skipped"][BY_MAP] == 1


def test_affectnet_without_neutral_is_read_with_a_map(tmp_path: Path) -> None:
    """Counted from 1, AffectNet's codes are within its table; the complete set of codes reveals the shift."""
    source = affectnet_csv(tmp_path / "in", [*range(1, 8)] * 2)
    own = ",".join(f"{code}={AFFECTNET[code]}" for code in range(1, 8))
    message = rf"counted from 1, use --map 1=neutral,.*; if they are .*'s own, use --map {own}$"
    with pytest.raises(DataError, match=message):
        fercli.import_dataset(source, tmp_path / "out")
    made = fercli.import_dataset(source, tmp_path / "out", map=own)
    assert "neutral" not in made.summary["emotions"]
    whole = affectnet_csv(tmp_path / "whole", [*range(8)] * 2)
    made = fercli.import_dataset(whole, tmp_path / "left", map="0=-")
    assert made.summary["skipped"] == {BY_MAP: 2, CONTEMPT_LEFT_OUT: 2}


# --- RAF-DB's compound set, and columns after the code ---

COMPOUND = "RAF-DB's compound set, whose codes 1 to 11 are pairs of emotions.* give basic/"


@pytest.mark.parametrize("codes", [[*range(1, 12)] * 2, [1, 2, 7], [3]])
def test_compound_set_is_never_read_as_basic(codes: list[int], tmp_path: Path) -> None:
    source = raf_db(tmp_path / "raf", codes, "compound")
    for each in (source, source / "compound"):
        with pytest.raises(DataError, match=COMPOUND):
            fercli.import_dataset(each, tmp_path / "out")
    text = ",".join(f"{code}={'happy' if code == 1 else '-'}" for code in range(1, 12))
    if 1 in codes:
        made = fercli.import_dataset(source, tmp_path / "out", map=text)
        assert sum(made.summary["images"].values()) == codes.count(1)


def test_compound_set_is_recognised_by_its_codes(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=COMPOUND):
        read(raf_db(tmp_path / "list", [*range(1, 12)]))
    with pytest.raises(DataError, match=COMPOUND):
        read(raf_db_folders(tmp_path / "folders", [*range(1, 12)]))


def test_basic_is_preferred_to_compound(tmp_path: Path) -> None:
    raf_db(tmp_path, [*range(1, 12)], "compound")
    assert [item.emotion for item in read(raf_db(tmp_path, [4, 7]))] == ["happy", "neutral"]


def three_columns(folder: Path, lines: list[str]) -> Path:
    source = raf_db(folder, [1] * len(lines))
    text = "\n".join(f"train_{n:05d}.jpg {line}" for n, line in enumerate(lines))
    (source / "basic/EmoLabel/list_patition_label.txt").write_text(text)
    return source


@pytest.mark.parametrize(
    "lines",
    [
        ["1 0", "2 1", "3 2", "4 0"],  # 0 is not a code
        ["1 clear", "2 covered", "3 clear", "4 x"],
        [f"{code} {1 + code % 3}" for code in range(1, 8)],  # the third column lacks most codes
        ["1 0 0.5", "2 1 0.25", "3 2 1", "4 0 0"],
    ],
)
def test_second_of_three_columns_is_the_code_if_unambiguous(lines: list[str], tmp_path: Path) -> None:
    items = read(three_columns(tmp_path, lines))
    assert [item.emotion for item in items] == [RAF[int(line[0]) - 1] for line in lines]
    assert not any(item.problem for item in items)


@pytest.mark.parametrize("lines", [["1 2", "2 3", "3 1"], ["0 0", "1 1", "6 2"], ["x 1", "y 2"]])
def test_ambiguous_columns_are_refused(lines: list[str], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"list_patition_label\.txt: line 1 has 3 columns, expected: name code$"):
        read(three_columns(tmp_path, lines))


def test_single_line_with_three_columns_is_skipped(tmp_path: Path) -> None:
    source = raf_db(tmp_path, [1, 2, 3])
    table = source / "basic/EmoLabel/list_patition_label.txt"
    table.write_text(table.read_text().replace("train_00001.jpg 2", "train_00001.jpg 2 1"))
    assert [item.problem for item in read(source)] == ["", "line has too many columns", ""]


@pytest.mark.parametrize(("line", "columns"), [("a0.jpg 0 5 10 50 45 90.5 1 0", 9), ("a0.jpg 0 5 10 50 45 1", 7)])
def test_expw_list_with_other_columns_is_refused(line: str, columns: int, tmp_path: Path) -> None:
    source = expw(tmp_path, [1, 2, 3])
    (source / "label.lst").write_text("\n".join([line] * 3))
    with pytest.raises(DataError, match=rf"label\.lst: line 1 has {columns} columns, expected: name face_id top left"):
        read(source)
    (source / "label.lst").write_text("\n".join([line, *["a1.jpg 0 5 10 50 45 90.5 1"] * 2]))
    assert [item.problem != "" for item in read(source)] == [True, False, False]


# --- FER2013's columns, other datasets ---


def test_ckextended_is_ckplus_with_contempt(tmp_path: Path) -> None:
    rows = [
        (code, face(8 * n + code), usage) for n, usage in enumerate(("Training", "PublicTest")) for code in range(8)
    ]
    source = write_csv(tmp_path / "ckextended.csv", rows)
    assert find_reader(source).name == find_reader(tmp_path).name == "ckplus-csv"
    seven = fercli.import_dataset(source, tmp_path / "seven")
    assert seven.summary["skipped"] == {CONTEMPT_LEFT_OUT: 2}
    eight = fercli.import_dataset(source, tmp_path / "eight", classes=8)
    assert eight.summary["skipped"] == {}
    assert {split: counts[CONTEMPT] for split, counts in eight.manifest.counts.items()} == {"train": 1, "validation": 1}
    assert eight.manifest.details["differs_from_published"]["splits"]["train"] == {"published": 736, "found": 8}
    other = source.rename(tmp_path / "mine.csv")
    with pytest.raises(DataError, match=r"range from 0 to 7, but FER2013's range from 0 to 6.* --format ckplus-csv"):
        fercli.import_dataset(other, tmp_path / "out")
    assert len(read(other, "ckplus-csv")) == 16


def test_label_names_among_codes_are_read(tmp_path: Path) -> None:
    rows = [(label, face(n), "Training") for n, label in enumerate(("happy", "Anger", "3", "grin"))]
    source = write_csv(tmp_path / "a.csv", rows)
    assert [item.emotion for item in read(source)] == ["happy", "angry", "happy", ""]
    items = list(find_reader(source).read(source, ImportOptions(names={"grin": "happy"})))
    assert [item.emotion for item in items] == ["happy", "angry", "happy", "happy"]


def test_codes_of_malformed_rows_are_ignored(tmp_path: Path) -> None:
    source = write_csv(tmp_path / "a.csv", [(3, face(1), "Training")])
    with source.open("a") as file:
        file.write("99\n77 1 2 3,Training\n")
    assert [item.problem for item in read(source)] == ["", "row cut off", "row cut off"]


# --- the table itself ---


@pytest.mark.slow
@given(st.one_of(st.integers(-(10**9) + 1, 10**9 - 1).map(str), st.text(max_size=6), st.floats().map(str)))
@settings(max_examples=300, deadline=None)
def test_codes_are_integers(text: str) -> None:
    code = code_of(text)
    if code is not None:
        assert float(code) == float(text)
        assert code_of(code) == code
    elif text.isascii() and text.isdigit():
        assert len(text) > 9


@pytest.mark.slow
@given(
    codes=st.lists(st.integers(-2, 13), min_size=1, max_size=20),
    given_=st.dictionaries(st.integers(-2, 13).map(str), st.sampled_from(["happy", "sad", ""]), max_size=10),
    table=st.sampled_from([RAF_CODES, AFFECTNET_CODES, Codes("", {})]),
)
@settings(max_examples=300, deadline=None)
def test_accepted_codes_have_a_meaning(codes: list[int], given_: dict[str, str], table: Codes) -> None:
    labels = Labels(table, ImportOptions(names=given_))
    found = count_codes(map(str, codes))
    try:
        labels.check(Path("a"), found)
    except FerError:
        assert set(found) - set(given_)
        return
    changed = any(emotion and emotion != table.emotions.get(code) for code, emotion in given_.items())
    for code in found:
        emotion, problem, left_out = labels.of(code)
        assert not problem
        if code in given_:
            assert (emotion, left_out) == (given_[code], "" if given_[code] else BY_MAP)
        else:
            assert not changed
            assert (emotion, left_out) == (table.emotions.get(code, ""), table.none.get(code, ""))
