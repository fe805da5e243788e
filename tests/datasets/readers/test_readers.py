"""One contract for all readers.

A reader is covered by being registered: it needs a fixture here of its own name, which lays out a small tree exactly as
published, and says what a reader must find in it.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fercli
from fercli.datasets.index import UNLABELLED, read_index
from fercli.datasets.readers import READERS, Item, Reader, fer2013_csv, find_reader
from fercli.datasets.readers.base import CONTEMPT_LEFT_OUT, ImportOptions
from fercli.datasets.readers.fer2013_folders import split_by_name
from fercli.datasets.readers.unread import UNSUPPORTED
from fercli.emotions import CONTEMPT, EMOTIONS, in_order
from fercli.errors import DataError, UsageError
from tests.helpers.datasets import csv_row, encoded, face, small_csv, write_csv, write_tree
from tests.helpers.layouts.base import BROKEN, Published
from tests.helpers.layouts.lab import LAYOUTS as LAB
from tests.helpers.layouts.wild import LAYOUTS as WILD

GRID = {(split, emotion): 2 for split in ("train", "validation", "test") for emotion in EMOTIONS}


def fer2013_csv_layout(folder: Path) -> Published:
    table = small_csv(folder / "fer2013.csv")
    with table.open("a") as file:
        file.write(csv_row("x", face(900), "Training"))
        file.write(csv_row(3, face(901), "Holiday"))
        file.write(csv_row(3, face(902)[:47], "Training"))
        file.write("3,1 2 3")
    return Published(folder, dict(GRID), {"unknown label": 1, "unknown usage": 1, "wrong pixels": 1, "row cut off": 1})


def fer2013_train_layout(folder: Path) -> Published:
    rows: list[tuple[object, np.ndarray]] = [
        (label, face(10 * label + each)) for label in range(7) for each in range(3)
    ]
    rows += [("x", face(900)), (3, face(901)[:47])]
    lines = [csv_row(label, pixels, "").removesuffix(",\n") for label, pixels in rows]
    write_tree(folder, {"train.csv": "\n".join(["emotion,pixels", *lines, "3"]).encode(), "test.csv": b"pixels\n1 2\n"})
    bad = {"unknown label": 1, "wrong pixels": 1, "row cut off": 1, "no label": 1}
    return Published(folder, {("", emotion): 3 for emotion in EMOTIONS}, bad)


def fer2013_folders_layout(folder: Path) -> Published:
    prefixes = {"train": "Training", "validation": "PublicTest", "test": "PrivateTest"}
    pictures: dict[str, np.ndarray | bytes] = {
        f"{'train' if split == 'train' else 'test'}/{emotion}/{prefix}_{1000 * number + each}.jpg": face(
            10 * number + each
        )
        for split, prefix in prefixes.items()
        for number, emotion in enumerate(EMOTIONS)
        for each in range(2)
    }
    pictures["train/angry/Training_9.jpg"] = BROKEN
    pictures["test/angry/stray.jpg"] = face(99)
    bad = {"no PublicTest or PrivateTest prefix": 1, "truncated": 1}
    return Published(write_tree(folder, pictures), dict(GRID), bad)


def folders_layout(folder: Path) -> Published:
    words = {"angry": "Anger", "happy": "Happiness", "sad": "sadness"}
    pictures: dict[str, np.ndarray | bytes] = {
        f"{name}/{words.get(emotion, emotion)}/{each}.png": face(each, 30)
        for name in ("train", "val", "test")
        for emotion in EMOTIONS
        for each in range(2)
    }
    pictures |= {"train/Anger/9.jpg": BROKEN, "val/fear/notes.jpg": b"a text", "val/fear/readme.txt": b"a text"}
    bad = {"truncated": 1, "not an image": 1}
    return Published(write_tree(folder, pictures), dict(GRID), bad, {UNSUPPORTED: 1})


def emotions_layout(folder: Path) -> Published:
    names = (*EMOTIONS, CONTEMPT)
    pictures: dict[str, np.ndarray | bytes] = {f"{name}/{i}.bmp": face(i, 20) for name in names for i in range(3)}
    pictures |= {"angry/9.png": BROKEN, "sad/10.png": b"", "holiday/1.png": face(1), "README.md": b"#"}
    bad = {"truncated": 1, "empty": 1, "unknown emotion": 1, CONTEMPT_LEFT_OUT: 3}
    return Published(write_tree(folder, pictures), {("", name): 3 for name in EMOTIONS}, bad, {UNSUPPORTED: 1})


def unlabelled_layout(folder: Path) -> Published:
    pictures: dict[str, np.ndarray | bytes] = {f"{i}.png": face(i, 20) for i in range(6)}
    pictures |= {"cut.png": BROKEN, "labels.csv": b"path,label", "film.mp4": b"a film"}
    beside = {"table not read (give it instead of the folder)": 1, "video not read (fer detect reads videos)": 1}
    return Published(write_tree(folder, pictures), {(UNLABELLED, ""): 6}, {"truncated": 1}, beside)


def table_layout(folder: Path) -> Published:
    words = {"angry": "Anger", "happy": "Happiness"}
    tree: dict[str, np.ndarray | bytes] = {}
    lines = ["file,person,expression,set"]
    for split, value in {"train": "Train", "validation": "val", "test": "test"}.items():
        for emotion in EMOTIONS:
            for each in range(2):
                tree[f"pictures/{split}_{emotion}_{each}.png"] = face(len(tree), 30)
                lines.append(f"{split}_{emotion}_{each}.png,{split} {each},{words.get(emotion, emotion)},{value}")
    tree |= {"pictures/cut.png": BROKEN, "pictures/odd.png": face(901), "pictures/two.png": face(902)}
    tree |= {"pictures/extra.png": face(903), "pictures/scorn.png": face(904), "notes.md": b"# a text"}
    lines += ["cut.png,a,sad,train", "odd.png,a,bored,train", "odd2.png,a,,train", "gone.png,a,sad,train"]
    lines += ["../out.png,a,sad,train", "/etc/out.png,a,sad,train", "two.png,a,sad,train", "two.png,a,happy,train"]
    lines += [lines[1], "extra2.png,a,sad,holiday", "extra3.png,a,sad,", "extra4.png,a", 'extra5.png,"a,sad,train']
    lines += ["extra6.png,a,sad,train,more", "scorn.png,a,contempt,train"]
    tree["labels.csv"] = "\n".join(lines).encode()
    bad = {"truncated": 1, "unknown label 'bored'": 1, "no label": 1, "missing": 1, "path leads outside the folder": 2}
    bad |= {"listed again with another label or split": 2, "listed twice": 1, "unknown split 'holiday'": 1}
    bad |= {"no split": 1, "line cut off": 1, "stray quotation mark": 1, "line has too many columns": 1}
    bad |= {"not in the table": 1, CONTEMPT_LEFT_OUT: 1}
    return Published(write_tree(folder, tree), dict(GRID), bad)


LAYOUTS: dict[str, Callable[[Path], Published]] = {
    **WILD,
    "fer2013-train": fer2013_train_layout,
    "table": table_layout,
    "fer2013-csv": fer2013_csv_layout,
    "fer2013-folders": fer2013_folders_layout,
    "folders": folders_layout,
    "emotions": emotions_layout,
    "unlabelled": unlabelled_layout,
    **LAB,
}


def test_every_reader_has_a_layout_and_a_unique_name() -> None:
    assert sorted(reader.name for reader in READERS) == sorted(LAYOUTS)
    assert len({reader.name for reader in READERS}) == len({reader.title for reader in READERS}) == len(READERS)


@pytest.fixture(params=READERS, ids=lambda reader: reader.name)
def reader(request: pytest.FixtureRequest) -> Reader:
    found: Reader = request.param
    return found


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Published]:
    """All layouts, written once; tests only read them."""
    return {name: layout(tmp_path_factory.mktemp(name)) for name, layout in LAYOUTS.items()}


@pytest.fixture
def published(reader: Reader, laid_out: dict[str, Published]) -> Published:
    return laid_out[reader.name]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path) -> None:
    (tmp_path / "published").mkdir()


# --- the contract ---


@pytest.mark.slow
def test_reader_is_detected(reader: Reader, published: Published) -> None:
    assert reader.matches(published.source)
    assert find_reader(published.source) is reader


@pytest.mark.slow
def test_reader_matches_no_later_layout(reader: Reader, laid_out: dict[str, Published]) -> None:
    places = [other.name for other in READERS]
    behind = places[places.index(reader.name) + 1 :]
    assert [name for name in behind if reader.matches(laid_out[name].source)] == []


@pytest.mark.slow
def test_reader_can_be_forced(reader: Reader, published: Published) -> None:
    assert find_reader(published.source, reader.name) is reader


def test_reader_describes_its_layout(reader: Reader) -> None:
    assert reader.title
    assert reader.expects
    assert "\n" not in reader.title + reader.expects


@pytest.mark.slow
def test_import_has_the_expected_counts(reader: Reader, published: Published, tmp_path: Path) -> None:
    made = fercli.import_dataset(published.source, tmp_path / "out")
    assert made.manifest.options["format"] == reader.name
    assert made.summary["skipped"] == {**published.bad, **published.beside}
    by_emotion = Counter[str]()
    for (_, emotion), number in published.expected.items():
        by_emotion[emotion] += number
    found = Counter[str]()
    for split in made.manifest.counts.values():
        found.update({"" if name == UNLABELLED else name: number for name, number in split.items()})
    assert found == by_emotion
    splits = {split for split, _ in published.expected}
    if "" not in splits:
        cells = Counter[tuple[str, str]]()
        for split, counts in made.manifest.counts.items():
            cut = split == "validation" and split not in splits  # taken from train if the dataset has none
            place = "train" if cut else split
            cells.update({(place, e if e != UNLABELLED else ""): number for e, number in counts.items() if number})
        assert cells == published.expected


def test_reader_yields_one_item_per_image(reader: Reader, published: Published) -> None:
    items = list(reader.read(published.source))
    assert len(items) == sum(published.expected.values()) + sum(published.bad.values())
    known = {*EMOTIONS, CONTEMPT, ""}
    for item in items:
        assert item.emotion in known
        assert item.split in ("train", "validation", "test", "", UNLABELLED)
        assert item.name
        assert item.source
        labelled = bool(item.emotion) is (item.split != UNLABELLED)
        assert item.problem or item.left_out or (labelled and (item.pixels is None) != (item.file is None))
        if item.pixels is not None:
            assert item.pixels.dtype == np.uint8


def test_published_counts_are_valid(reader: Reader) -> None:
    assert set(reader.published) <= {"", "train", "validation", "test"}
    assert not ("" in reader.published and len(reader.published) > 1)
    assert all(type(number) is int and number >= 0 for number in reader.published.values())


@pytest.mark.slow
def test_differences_from_the_published_counts_are_recorded(
    reader: Reader, published: Published, tmp_path: Path
) -> None:
    made = fercli.import_dataset(published.source, tmp_path / "out")
    differing = made.manifest.details.get("differs_from_published", {}).get("splits", {})
    assert bool(differing) == bool(reader.published)
    for split, number in reader.published.items():
        assert differing[split or "all"]["published"] == number
        assert 0 < differing[split or "all"]["found"] < number


@pytest.mark.slow
def test_contempt_is_kept_with_eight_classes(reader: Reader, published: Published, tmp_path: Path) -> None:
    made = fercli.import_dataset(published.source, tmp_path / "out", classes=8)
    contempt = published.bad.get(CONTEMPT_LEFT_OUT, 0)
    assert sum(by.get(CONTEMPT, 0) for by in made.manifest.counts.values()) == contempt
    known = {emotion for _, emotion in published.expected if emotion}
    assert made.manifest.emotions == in_order(known | ({CONTEMPT} if contempt else set()))
    skipped = {**published.bad, **published.beside}
    assert made.summary["skipped"] == {why: n for why, n in skipped.items() if why != CONTEMPT_LEFT_OUT}


@pytest.mark.slow
def test_persons_are_in_one_split_and_fold(reader: Reader, published: Published, tmp_path: Path) -> None:
    if reader.name == UNLABELLED:
        with pytest.raises(UsageError, match=r"folds 2: .* has images without labels"):
            fercli.import_dataset(published.source, tmp_path / "out", folds=2)
        return
    made = fercli.import_dataset(published.source, tmp_path / "out", folds=2)
    rows = read_index(made)
    cut = {row.split for row in rows} - {split for split, _ in published.expected}
    for subject in {row.subject for row in rows if row.subject}:
        own = [row for row in rows if row.subject == subject]
        assert len({row.fold for row in own if row.fold}) <= 1
        if cut:
            assert len({row.split for row in own} - ({"test"} - cut)) <= 1
    assert {row.fold for row in rows} - {""} == {"1", "2"}


def test_order_is_stable(reader: Reader, published: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    def key_values(items: list[Item]) -> list[tuple[str, str, str, int | None]]:
        return [(item.split, item.emotion, item.source, item.row) for item in items]

    first = key_values(list(reader.read(published.source)))
    assert len(set(first)) == len(first)
    listed = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda path: reversed(list(listed(path))))  # as on another file system
    assert key_values(list(reader.read(published.source))) == first


def test_strict_stops_at_the_first_bad_image(reader: Reader, published: Published, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        fercli.import_dataset(published.source, tmp_path / "out", strict=True)
    assert any(reason in str(caught.value) or reason == "not an image" for reason in published.bad)
    assert "None" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["published"]


def test_reader_matches_no_unrelated_source(reader: Reader, tmp_path: Path) -> None:
    write_tree(tmp_path / "other", {"notes.txt": b"a text", "holiday/1.png": face(1), "faces.h5": b"\x89HDF"})
    for source in (tmp_path / "other", tmp_path / "other/notes.txt", tmp_path / "other/holiday/1.png"):
        assert not reader.matches(source)
        if reader.name == UNLABELLED and source.is_dir():  # if forced, it reads images in any folder
            assert len(list(reader.read(source))) == 1
            continue
        with pytest.raises(DataError):
            list(reader.read(source))


# --- detecting the reader ---


def test_unknown_format_suggests_a_similar_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no format 'fer2013'; did you mean fer2013-csv"):
        find_reader(tmp_path, "fer2013")


def test_unknown_layout_error_describes_the_expected_ones(tmp_path: Path) -> None:
    write_tree(tmp_path / "other", {"grin/a.png": face(1), "frown/a.png": face(2)})
    with pytest.raises(DataError, match="unknown layout") as caught:
        find_reader(tmp_path / "other")
    assert all(word in str(caught.value) for word in ("happy/", "train/", "labels.csv", "--format unlabelled", "--map"))
    assert str(caught.value).endswith("from fer import --list")
    for source, message in ((tmp_path / "no", "no such file"), (tmp_path / "published", "empty folder")):
        with pytest.raises(DataError, match=message):
            find_reader(source)


@pytest.mark.parametrize("place", ["{}/{}.png", "train/{}/{}.png", "images/{}/{}.png"])
def test_folders_named_by_codes_need_a_map(tmp_path: Path, place: str) -> None:
    tree = {place.format(code, k): face(10 * code + k) for code in (0, 2, 10, 11) for k in range(2)}
    source = write_tree(tmp_path / "in", tree)
    with pytest.raises(DataError, match=r"named by codes \(0, 2, 10, …\).* --map 0=EMOTION,2=EMOTION,10=EMOTION,…$"):
        find_reader(source)
    find_reader(source, options=ImportOptions(names={"0": "happy", "2": "sad", "10": "fear", "11": ""}))


# --- FER2013's CSV ---


def read(path: Path) -> list[Item]:
    return list(find_reader(path).read(path))


def problems(path: Path) -> list[str]:
    return [item.problem for item in read(path)]


def test_csv_pixels(tmp_path: Path) -> None:
    items = read(small_csv(tmp_path / "any name.csv", each=1))
    assert [item.row for item in items] == list(range(21))
    assert [item.emotion for item in items] == [*EMOTIONS] * 3
    for seed, item in enumerate(items):
        assert item.pixels is not None
        assert (item.pixels == face(seed)).all()
        assert (item.source, item.name) == ("any name.csv", f"{seed:05d}")


@pytest.mark.parametrize(
    "dress",
    [
        lambda text: text,
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("emotion,pixels,Usage", " emotion, pixels, Usage "),
        lambda text: text.replace("emotion,pixels,Usage", '"Emotion","PIXELS","usage"'),
        lambda text: "\n".join(",".join(f'"{cell}"' for cell in line.split(",")) for line in text.splitlines()),
        lambda text: text.replace(",Training", ", Training ").replace("\n3,", "\n 3 ,"),
        lambda text: text + "\n\n",
    ],
    ids=["plain", "BOM", "CRLF", "spaces in the header", "case", "quoted", "spaces in rows", "empty lines"],
)
def test_csv_format_variants(tmp_path: Path, dress: Callable[[str], str]) -> None:
    plain = small_csv(tmp_path / "plain.csv", each=1)
    path = tmp_path / "dressed.csv"
    path.write_bytes(dress(plain.read_text()).encode())
    ours, others = read(plain), read(path)
    assert [(i.split, i.emotion, i.row, i.problem) for i in others] == [
        (i.split, i.emotion, i.row, i.problem) for i in ours
    ]
    for one, other in zip(ours, others, strict=True):
        assert one.pixels is not None
        assert other.pixels is not None
        assert (one.pixels == other.pixels).all()


def test_icml_face_data(tmp_path: Path) -> None:
    path = tmp_path / "icml" / "icml_face_data.csv"
    path.parent.mkdir()
    pixels = " ".join(map(str, face(5).ravel().tolist()))
    path.write_text(f"emotion, Usage, pixels\n3,PrivateTest,{pixels}\n")
    (item,) = read(path.parent)
    assert (item.split, item.emotion, item.problem) == ("test", "happy", "")
    assert item.pixels is not None
    assert (item.pixels == face(5)).all()


GOOD = csv_row(3, face(1), "Training")


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (csv_row("3.0", face(1), "Training"), ""),
        (csv_row("3.5", face(1), "Training"), "unknown label"),
        (csv_row("1_0", face(1), "Training"), "unknown label"),
        (GOOD.replace("3", '"3', 1), "stray quotation mark"),
        (GOOD.replace(",", ',"', 1), "stray quotation mark"),
        (csv_row("", face(1), "Training"), "unknown label"),
        (csv_row("３", face(1), "Training"), "unknown label"),
        (csv_row("9" * 5000, face(1), "Training"), "unknown label"),
        (csv_row(3, face(1), "training"), "unknown usage"),
        (csv_row(3, face(1), ""), "unknown usage"),
        (csv_row(3, face(1)[1:], "Training"), "wrong pixels"),
        (csv_row(3, face(1, 49), "Training"), "wrong pixels"),
        (csv_row(3, np.array([256, *[0] * 2303]), "Training"), "wrong pixels"),
        (csv_row(3, np.array([-1, *[0] * 2303]), "Training"), "wrong pixels"),
        (csv_row(3, np.array([1.5, *[0] * 2303]), "Training"), "wrong pixels"),
        (csv_row(3, np.array([2**64, *[0] * 2303]), "Training"), "wrong pixels"),
        ("3," + "a " * 2304 + ",Training\n", "wrong pixels"),
        ("3,,Training\n", "wrong pixels"),
        ("3," + "1 " * 5_000_000 + ",Training\n", "row unreadable"),
        ("3\n", "row cut off"),
        ("3," + "1 " * 900 + "\n", "row cut off"),
        (GOOD.replace(" ", "\t"), "wrong pixels"),
        (GOOD.replace(",Training", ",Train\udcffing"), "unknown usage"),
        (GOOD.replace(" ", "\udcff", 1), "wrong pixels"),
        (GOOD.replace(" ", "\0", 1), "wrong pixels"),
    ],
    ids=lambda value: value if len(value) < 20 else "row",
)
def test_bad_row_affects_only_itself(tmp_path: Path, row: str, problem: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(("emotion,pixels,Usage\n" + GOOD + row + GOOD).encode("utf-8", "surrogateescape"))
    assert problems(path) == ["", problem, ""]


def test_truncated_table_keeps_earlier_rows(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [(3, face(i), "Training") for i in range(3)])
    data = path.read_bytes()
    cut = len(data) - len(GOOD) // 2
    path.write_bytes(data[:cut])
    assert problems(path) == ["", "", "row cut off"]


@pytest.mark.parametrize("stray", ['"3,', '3,"'])
def test_stray_quote_affects_only_its_own_row(stray: str, tmp_path: Path) -> None:
    """With plain csv parsing, everything up to the next quotation mark would be one value."""
    lines = [csv_row(k % 7, face(k), "Training") for k in range(20)]
    for row in (3, 17):
        lines[row] = stray + lines[row].split(",", 1)[1]
    path = write_csv(tmp_path / "a.csv", [])
    path.write_text("emotion,pixels,Usage\n" + "".join(lines))
    items = read(path)
    assert [item.row for item in items] == list(range(20))
    assert [k for k, item in enumerate(items) if item.problem] == [3, 17]
    assert {item.problem for item in items} == {"", "stray quotation mark"}
    for k, item in enumerate(items):
        assert item.problem or (item.pixels is not None and (item.pixels == face(k)).all())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "this one has no header"),
        (b"\n", "this one has no header"),
        (b"emotion,pixels\n0,1\n", "'emotion', 'pixels'"),
        (b"label;pixels;Usage\n", "'label;pixels;Usage'"),
        (b"\xff\xfee\0m\0", "this one has no header"),
        (b"\x89PNG\r\n\x1a\n", "this one has no header"),
        (b"x" * 10_000, "has the columns"),
    ],
)
def test_other_csv_files_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match="a FER2013 CSV has the columns emotion, pixels, Usage") as caught:
        list(find_reader(path, "fer2013-csv").read(path))
    assert message in str(caught.value)
    assert len(str(caught.value)) < 1500


def test_header_without_rows(tmp_path: Path) -> None:
    assert read(write_csv(tmp_path / "a.csv", [])) == []


def plain_parse(text: str) -> list[int] | None:
    """Reference implementation with int()."""
    words = text.split()
    if not all(word.isascii() and word.isdigit() for word in words):
        return None
    values = [int(word) for word in words]
    return values if len(values) == 4 and max(values) <= 255 else None


@pytest.mark.slow
@given(
    st.lists(
        st.one_of(
            st.integers(0, 255).map(str),
            st.integers().map(str),
            st.sampled_from(["", "007", "+1", "1e2", "0x1", "1.5", "nan", "１", "٣", "-0", "1_0", "9" * 30]),
            st.text(max_size=3).filter(lambda text: not any(c.isspace() and c != " " for c in text)),
        ),
        min_size=3,
        max_size=5,
    ),
    st.sampled_from([" ", "  ", ","]),
)
@settings(max_examples=200, deadline=None)
def test_row_parser_matches_int(words: list[str], space: str) -> None:
    text = space.join(words)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fer2013_csv, "SIDE", 2)
        try:
            found = fer2013_csv.parse_pixels(text)
        except UnicodeEncodeError:
            assert not text.isascii()
            return
    assert (None if found is None else found.ravel().tolist()) == plain_parse(text)


# --- folders ---


def test_prefix_determines_the_split(tmp_path: Path) -> None:
    assert split_by_name("PrivateTest_1.jpg") == "test"
    assert split_by_name("TRAINING_1.jpg") == "train"
    assert split_by_name("PublicTest.jpg") is None
    assert split_by_name("") is None


@pytest.mark.parametrize("name", ["-rf", "..hidden", "a b", "quote'\"", "new\nline", "顔", "x" * 200])
def test_unusual_file_names(tmp_path: Path, name: str) -> None:
    tree = {f"train/sad/{name}1.png": face(1), "train/happy/1.png": face(2), f"train/sad/{name}/1.PNG": face(3)}
    source = write_tree(tmp_path / "source", {path: encoded(pixels) for path, pixels in tree.items()})
    made = fercli.import_dataset(source, tmp_path / "out")
    hidden = 2 if name.startswith(".") else 0
    assert sum(made.summary["images"].values()) == 3 - hidden


def test_images_outside_emotion_folders_are_reported(tmp_path: Path) -> None:
    write_tree(tmp_path, {f"{name}/1.png": face(1) for name in ("happy", "sad", "bored")})
    found = {item.source: item.problem for item in find_reader(tmp_path).read(tmp_path)}
    assert found == {"happy/1.png": "", "sad/1.png": "", "bored/1.png": "unknown emotion"}
