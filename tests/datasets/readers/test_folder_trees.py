"""Arbitrary folders: every file is read or reported; wrapper folders, suffixes, test sets only, no labels."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fercli
from fercli.datasets.index import read_index
from fercli.datasets.readers import READERS, find_others, locate
from fercli.datasets.readers.folders import SPLIT_NAMES
from fercli.datasets.readers.unread import NO_SUFFIX, NOT_USED, OWN_FILES, UNSUPPORTED, Seen, unread
from fercli.errors import DataError, UsageError
from fercli.stages.detect.layout import Photographs
from tests.helpers.datasets import encoded, face, small_csv, write_tree

VIDEO = "video not read (fer detect reads videos)"
TABLE = "table not read (give it instead of the folder)"
EMOTIONS = ("angry", "happy", "sad")


def split_tree(before: str = "", splits: tuple[str, ...] = ("train", "test")) -> dict[str, np.ndarray | bytes]:
    """Return two images for each of three emotions and each split, below a folder."""
    cells = [(split, emotion, k) for split in splits for emotion in EMOTIONS for k in range(2)]
    return {f"{before}{split}/{emotion}/{k}.png": face(n, 16) for n, (split, emotion, k) in enumerate(cells)}


# --- every file is read or reported ---


def test_every_suffix_is_read_or_reported(tmp_path: Path) -> None:
    picture = encoded(face(1), "JPEG")
    tree: dict[str, np.ndarray | bytes] = {
        f"in/happy/{name}": picture for name in ("a.jpg", "b.JFIF", "c.jpe", "noending", "Mr. Smith 1", "x.jpg_large")
    }
    tree |= {"in/sad/1.jpg": picture, "in/sad/broken": picture[:500], "in/sad/.hidden.jpg": picture}
    tree |= {"in/labels.csv": b"path,label", "in/happy/film.MP4": b"", "in/README": b"read me", "in/happy/a.txt": b""}
    tree |= {"in/happy/Thumbs.db": b"", "in/sad/more.tsv": b"", "in/odd/1.jpg": picture, "in/b.jpe": picture}
    made = fercli.import_dataset(write_tree(tmp_path, tree) / "in", tmp_path / "out")
    assert sum(made.summary["images"].values()) == 7
    skipped = dict(made.summary["skipped"])
    assert skipped.pop("truncated") == 1
    assert skipped == {
        UNSUPPORTED: 2, NO_SUFFIX: 1, VIDEO: 1, TABLE: 2, "unknown emotion": 1, "not in an emotion folder": 1,
    }  # fmt: skip
    assert made.manifest.skipped[TABLE] == ["labels.csv", "sad/more.tsv"]
    kept = {Path(row.path).name: row.source for row in read_index(made)}
    assert kept["noending.jpg"] == "happy/noending"
    assert kept["Mr. Smith 1.jpg"] == "happy/Mr. Smith 1"


@pytest.mark.slow
def test_heic_becomes_png_or_is_reported_if_unsupported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heif = pytest.importorskip("pillow_heif")
    source = write_tree(tmp_path / "in", split_tree())
    heif.from_bytes("RGB", (64, 64), bytes([90]) * 64 * 64 * 3).save(source / "train/sad/phone.heic")
    made = fercli.import_dataset(source, tmp_path / "out")
    (row,) = [row for row in read_index(made) if row.source.endswith("heic")]
    assert row.path == "train/sad/phone.png"
    assert encoded(face(1))[:8] == (made.path / row.path).read_bytes()[:8]
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    without = fercli.import_dataset(source, tmp_path / "without")
    assert without.summary["skipped"] == {"HEIC (read with the extra heic)": 1}


def test_files_beside_a_wrapper_folder_are_reported(tmp_path: Path) -> None:
    source = write_tree(
        tmp_path / "in", {**split_tree("images/"), "cover.png": face(99), "labels.csv": b"", "notes": b""}
    )
    made = fercli.import_dataset(source, tmp_path / "out")
    assert made.summary["skipped"] == {NOT_USED: 1, TABLE: 1, NO_SUFFIX: 1}
    assert {row.source.split("/")[0] for row in read_index(made)} == {"images"}


def test_tables_of_a_published_layout_are_not_reported(tmp_path: Path) -> None:
    tree = {
        f"{s}/{c}/{s}_{i}_aligned.jpg": face(10 * i + c, 16) for s in ("train", "test") for c in (4, 5) for i in (1,)
    }
    write_tree(tmp_path / "in/DATASET", {**tree, "film.mp4": b"", "x.jpg": face(5)})
    write_tree(tmp_path / "in", {"train_labels.csv": b"image,label\n", "more_labels.csv": b"image,label\n"})
    made = fercli.import_dataset(tmp_path / "in", tmp_path / "out")
    assert made.summary["skipped"] == {NOT_USED: 1, VIDEO: 1, TABLE: 1}
    small_csv(write_tree(tmp_path / "csv", {"notes.txt": b"x", "1.png": face(1), "b.csv": b"x"}) / "fer2013.csv")
    made = fercli.import_dataset(tmp_path / "csv", tmp_path / "out-csv")
    assert made.summary["skipped"] == {NOT_USED: 1, UNSUPPORTED: 1, TABLE: 1}


def test_own_files_refer_to_existing_readers() -> None:
    assert set(OWN_FILES) <= {reader.name for reader in READERS}


def test_files_of_an_artifact_are_not_reported(tmp_path: Path) -> None:
    made = fercli.import_dataset(write_tree(tmp_path / "in", split_tree()), tmp_path / "out")
    again = fercli.import_dataset(made.path, tmp_path / "again")
    assert again.summary["skipped"] == {}


NAMES = st.sampled_from(
    ["a.png", "b.jfif", "c", "d.txt", "e.csv", "f.mp4", ".g.png", "h.heic", "i.39", "j.tar.gz", "Thumbs.db"]
)
FOLDERS = st.lists(
    st.sampled_from(["train", "valid", "test", "happy", "sad", "angry", "images", "odd", "x y", "Train_Aligned_Faces"]),
    max_size=4,
).map(tuple)


@pytest.mark.slow
@given(tree=st.dictionaries(st.tuples(FOLDERS, NAMES), st.booleans(), max_size=25))
@settings(max_examples=150, deadline=None)
def test_every_file_is_read_or_reported(
    tree: dict[tuple[tuple[str, ...], str], bool], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Each file of any tree is either an item of its reader or reported as unread, never both."""
    source = tmp_path_factory.mktemp("tree")
    for (folders, name), empty in tree.items():
        write_tree(source, {"/".join([*folders, name]): b"" if empty else b"\x89PNG\r\n\x1a\n"})
    files = Counter(
        path.relative_to(source).as_posix()
        for path in source.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    )
    try:
        reader, root = locate(source)
    except DataError:
        return
    items = [item.file.relative_to(source).as_posix() for item in reader.read(root) if item.file]
    seen = Seen()
    for name in items:
        seen.add(name)
    assert Counter([*items, *(name for _, name in unread(source, seen))]) == files
    try:
        photographs = Photographs(source)
    except DataError:
        return
    assert Counter([*(item.source for item in photographs), *(name for _, name in photographs.unread())]) == files


# --- splits and wrapper folders ---


@pytest.mark.parametrize("name", [*SPLIT_NAMES, "VALID", "Dev"])
def test_split_folder_names(tmp_path: Path, name: str) -> None:
    made = fercli.import_dataset(write_tree(tmp_path / "in", split_tree("", ("train", name))), tmp_path / "out")
    expected = SPLIT_NAMES[name.lower()]
    assert sum(made.summary["images"].values()) == (12 if name != "train" else 6)
    assert expected in made.summary["images"]


@pytest.mark.parametrize("name", ["val", "valid", "validation", "dev"])
def test_validation_folder_names_in_published_layouts(tmp_path: Path, name: str) -> None:
    places = (("train", "train"), (name, "train"), ("test", "test"))
    cells = [(place, prefix, code, k) for place, prefix in places for code in (1, 2) for k in range(2)]
    raf = {f"{place}/{c}/{prefix}_{k}_aligned.jpg": face(10 * c + k, 16) for place, prefix, c, k in cells}
    made = fercli.import_dataset(write_tree(tmp_path / "raf", raf), tmp_path / "raf-out")
    assert made.manifest.options["format"] == "raf-db-folders"
    assert made.summary["images"] == {"train": 4, "validation": 4, "test": 4}
    frame = "Film_000519240_0000000{}.png"
    sfew = {
        f"{s}/{e}/{frame.format(k)}": face(k, 16)
        for s in ("Train", name.title())
        for e in ("Angry", "Sad")
        for k in range(2)
    }
    made = fercli.import_dataset(write_tree(tmp_path / "sfew", sfew), tmp_path / "sfew-out")
    assert made.manifest.options["format"] == "sfew"
    assert made.summary["images"]["test"] == 4
    assert made.summary["skipped"] == {}


@pytest.mark.slow
@pytest.mark.parametrize("wrapping", ["images/", "images/images/", "a/b/c/d/e/", "顔/x y/"])
def test_wrapper_folders_are_skipped(tmp_path: Path, wrapping: str) -> None:
    for tree, reader in (
        (split_tree(wrapping), "folders"),
        ({f"{wrapping}{e}/{k}.png": face(k) for e in EMOTIONS for k in range(9)}, "emotions"),
        ({f"{wrapping}KA.AN1.{k}.tiff": encoded(face(k), "TIFF") for k in range(3)}, "jaffe"),
        ({f"{wrapping}train/{e}/Training_{k}.png": face(k) for e in EMOTIONS for k in range(2)}, "folders"),
        (
            {f"{wrapping}CK+48/{e}/S01{k}_001_00000012.png": face(k) for e in EMOTIONS for k in range(3)},
            "ckplus-folders",
        ),
        ({f"{wrapping}train/{c}/train_{k}_aligned.jpg": face(k) for c in "123" for k in range(3)}, "raf-db-folders"),
    ):
        source = write_tree(tmp_path / f"in-{reader}-{len(tree)}", tree)
        made = fercli.import_dataset(source, tmp_path / f"out-{reader}-{len(tree)}")
        assert made.manifest.options["format"] == reader
        assert sum(made.summary["images"].values()) == len(tree)
        assert made.summary["skipped"] == {}
        forced = fercli.import_dataset(source, tmp_path / "forced", format=reader, overwrite=True)
        assert forced.manifest.digest == made.manifest.digest


def test_nested_split_folder(tmp_path: Path) -> None:
    source = write_tree(
        tmp_path / "in", {**split_tree("x/", ("train/train", "valid/valid")), "x/train/cover.png": face(77)}
    )
    made = fercli.import_dataset(source, tmp_path / "out")
    assert made.summary["images"] == {"train": 6, "validation": 6}
    assert made.summary["skipped"] == {NOT_USED: 1}


def test_split_folders_within_emotion_folders(tmp_path: Path) -> None:
    cells = [(emotion, split, k) for emotion in EMOTIONS for split in ("train", "Valid", "test") for k in range(2)]
    tree = {f"in/{emotion}/{split}/{k}.png": face(n, 16) for n, (emotion, split, k) in enumerate(cells)}
    made = fercli.import_dataset(write_tree(tmp_path, tree) / "in", tmp_path / "out")
    assert made.summary["images"] == {"train": 6, "validation": 6, "test": 6}
    assert all(row.source.split("/")[1][:3].lower() == row.split[:3] for row in read_index(made))
    assert made.manifest.details["splits"] == "as published"
    # An image beside such folders belongs to no split, so all are split again.
    write_tree(tmp_path, {"in/sad/more.png": face(99, 16)})
    again = fercli.import_dataset(tmp_path / "in", tmp_path / "again")
    assert again.manifest.details["splits"] == "split 80/10/10 by emotion"
    assert sum(again.summary["images"].values()) == 19


def test_symlink_loops_terminate(tmp_path: Path) -> None:
    write_tree(tmp_path / "in/a", {"readme.txt": b""})
    (tmp_path / "in/a/b").symlink_to(tmp_path / "in")
    with pytest.raises(DataError, match="unknown layout"):
        fercli.import_dataset(tmp_path / "in", tmp_path / "out")


def test_single_emotion_folder_is_not_a_wrapper(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "in", {"happy/1.png": face(1), "happy/2.png": face(2)})
    with pytest.raises(DataError, match="unknown layout"):
        locate(source)
    assert fercli.import_dataset(source, tmp_path / "out", format="emotions").summary["emotions"] == ["happy"]


@pytest.mark.parametrize(
    "file", ["KA.{code}1.{n}.png", "PublicTest_{n}.png", "PrivateTest_{n}.png", "S010_00{n}_00000001.png", "{n}.png"]
)
def test_single_test_folder_is_test_for_any_file_names(tmp_path: Path, file: str) -> None:
    codes = {"angry": "AN", "happy": "HA", "sad": "SA"}
    tree = {
        f"images/test/{e}/{file.format(code=codes[e], n=3 * i + k)}": face(3 * i + k)
        for i, e in enumerate(EMOTIONS)
        for k in range(3)
    }
    source = write_tree(tmp_path / "in", tree)
    for place in (source, source / "images"):
        made = fercli.import_dataset(place, tmp_path / "out", overwrite=True)
        assert made.summary["images"] == {"test": 9}
        assert made.manifest.details["splits"] == "as published"


def test_jaffe_names_in_split_folders(tmp_path: Path) -> None:
    tree = {f"{s}/angry/KA.AN1.{n}.png": face(n) for n, s in enumerate(("train", "train", "val", "test"))}
    made = fercli.import_dataset(write_tree(tmp_path / "in", tree), tmp_path / "out")
    assert made.summary["images"] == {"train": 2, "validation": 1, "test": 1}


@pytest.mark.parametrize("name", ["{}.png", "{}.jpg", "{}.tiff.png", "{}.TIFF.JPG", "{}", "{}.jfif"])
@pytest.mark.parametrize("dot", [".", "_", "-"])
def test_jaffe_names_in_other_formats(tmp_path: Path, name: str, dot: str) -> None:
    codes = {"AN": "angry", "HA": "happy", "SA": "sad"}
    stems = [f"{who}.{code}1.{n}".replace(".", dot) for n, who in enumerate(("KA", "YM")) for code in codes]
    tree = {name.format(stem): encoded(face(k), "JPEG") for k, stem in enumerate(stems)}
    made = fercli.import_dataset(write_tree(tmp_path / "in", tree), tmp_path / "out")
    rows = read_index(made)
    assert made.manifest.options["format"] == "jaffe"
    assert {row.subject for row in rows} == {"KA", "YM"}
    assert {Path(row.path).name.removesuffix(Path(row.path).suffix) for row in rows} == set(stems)
    assert all(row.emotion == codes[row.source[3:5]] for row in rows)


# --- without labels ---


def test_unlabelled_images(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "in", {"a.png": face(1), "b.jpg": face(2), "c": encoded(face(3))})
    made = fercli.import_dataset(source, tmp_path / "out")
    assert made.manifest.counts == {"unlabelled": {"unlabelled": 3}}
    assert made.manifest.details["splits"] == "none: the images have no labels"
    assert sorted(row.path for row in read_index(made)) == ["unlabelled/a.png", "unlabelled/b.jpg", "unlabelled/c.png"]
    for options in ({"split": "test"}, {"folds": 2}):
        with pytest.raises(UsageError, match="has images without labels"):
            fercli.import_dataset(source, tmp_path / "x", **options)
    assert fercli.clean(made.path, tmp_path / "cleaned").manifest.counts == made.manifest.counts


def test_folders_that_might_be_labels_are_refused(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "in", {"grin/a.png": face(1), "frown/a.png": face(2), "b.png": face(3)})
    with pytest.raises(DataError, match="--format unlabelled"):
        fercli.import_dataset(source, tmp_path / "out")
    made = fercli.import_dataset(source, tmp_path / "out", format="unlabelled")
    assert made.summary["images"] == {"unlabelled": 3}


def test_folder_with_only_videos_suggests_detect(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="contains only videos; extract faces from them with fer detect"):
        locate(write_tree(tmp_path / "in", {"happy/1.mp4": b"", "sad/2.mkv": b"", "notes.txt": b""}) / "happy")


def test_labelled_layouts_are_never_read_as_unlabelled(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "in", {**split_tree("images/"), "1.png": face(1)})
    reader, root = locate(source)
    assert (reader.name, root) == ("folders", source / "images")
    assert find_others(root, reader) == []
    assert READERS[-1].name == "unlabelled"
