"""Importing published datasets: persons, boxes, votes, classes, label names, splits, folds, counts."""

import json
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fercli
from fercli.artifacts import Artifact
from fercli.datasets import readers
from fercli.datasets.index import Row, read_index
from fercli.datasets.readers import ImportOptions, Item
from fercli.datasets.readers.base import word
from fercli.datasets.readers.unread import NOT_USED
from fercli.emotions import CONTEMPT, EMOTIONS
from fercli.errors import DataError, ImageError, UsageError
from fercli.images import read_image
from fercli.stages.import_dataset.config import names_of
from fercli.stages.import_dataset.published_counts import describe_differences, differences
from fercli.stages.import_dataset.writing import cut_out
from tests.helpers.cli import Ended
from tests.helpers.datasets import encoded, face, names, noise, write_tree
from tests.helpers.progress import Log

Fer = Callable[..., Ended]


class FakeReader:
    """A fake reader that yields the given items."""

    name, title, expects = "made", "a made set", "nothing"

    def __init__(self, items: Iterable[Item], published: dict[str, int] | None = None) -> None:
        self.items, self.published = list(items), published or {}

    def matches(self, source: Path, options: ImportOptions | None = None) -> bool:
        return True

    def read(self, source: Path, options: ImportOptions | None = None) -> Iterable[Item]:
        return iter(self.items)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "source", {"a.png": face(1)})


def imported(
    monkeypatch: pytest.MonkeyPatch, source: Path, reader: FakeReader, **options: object
) -> tuple[Artifact, list[str]]:
    """Import the items of a fake reader; return the artifact and the log lines."""
    monkeypatch.setattr(readers, "READERS", (reader,))
    log = Log()
    return fercli.import_dataset(source, source.parent / "out", progress=log, **options), log.lines


def pixels(seed: int, split: str = "", emotion: str = "happy", **fields: object) -> Item:
    return Item(split, emotion, f"{seed:05d}", "table", row=seed, pixels=face(seed, 16), **fields)  # type: ignore[arg-type]


def values_by(rows: Iterable[Row], key: str, value: str) -> dict[str, set[str]]:
    """Return the values of one column for each value of another."""
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(getattr(row, key), set()).add(getattr(row, value))
    return found


# --- columns and boxes ---


def test_item_fields_are_in_the_index(monkeypatch: pytest.MonkeyPatch, source: Path) -> None:
    one = pixels(1, "train", votes="happy:7 neutral:3", subject="S\n1", frame="12", score="0.5")
    made, _ = imported(monkeypatch, source, FakeReader([one, pixels(2, "train")]), votes="soft")
    first, second = read_index(made)
    assert (first.votes, first.subject, first.frame, first.score) == ("happy:7 neutral:3", "S_1", "12", "0.5")
    assert (first.photograph, first.box, first.fold) == ("", "", "")
    assert (second.votes, second.subject, second.frame, second.score) == ("", "", "", "")


@pytest.mark.parametrize(
    ("shape", "box", "side"),
    [
        ((60, 80), (10, 20, 30, 30), 30),
        ((60, 80, 3), (10, 20, 20, 30), 30),
        ((60, 80), (-5, -5, 20, 20), 20),
        ((60, 80), (0, 0, 80, 60), 80),
        ((60, 80, 3), (10.4, 20.4, 1.1, 1.4), 1),
        ((900, 900), (0, 0, 900, 900), 512),
    ],
)
def test_box_is_cropped_as_a_square(
    monkeypatch: pytest.MonkeyPatch, source: Path, shape: tuple[int, ...], box: tuple[float, ...], side: int
) -> None:
    write_tree(source, {"photo.png": noise(3, *shape)})
    item = Item("train", "happy", "photo", "photo.png", file=source / "photo.png", box=box)  # type: ignore[arg-type]
    made, _ = imported(monkeypatch, source, FakeReader([item]))
    (row,) = read_index(made)
    found = read_image(made.path / row.path)
    assert found.shape == (side, side, *shape[2:])
    assert (row.path, row.photograph) == ("train/happy/photo.png", "photo.png")
    assert [float(value) for value in row.box.split()] == pytest.approx(box)


def test_square_box_inside_the_image_keeps_its_pixels() -> None:
    picture = noise(1, 50, 70, 3)
    assert (cut_out(picture, (7, 9, 30, 30), "a") == picture[9:39, 7:37]).all()


@pytest.mark.parametrize(
    "box",
    [
        (80, 0, 10, 10), (0, 60, 10, 10), (-10, 0, 10, 10), (500, 500, 9, 9), (10, 10, 0, 5), (10, 10, -5, 5),
        (-20, -20, -5, -5), (-10, 0, 16, 10), (0, 0, 1e9, 1e9), (0, 0, float("inf"), 5), (float("nan"), 0, 5, 5),
        (0, 0, float("nan"), 5),
    ],
)  # fmt: skip
def test_box_outside_the_image_is_a_problem(
    monkeypatch: pytest.MonkeyPatch, source: Path, box: tuple[float, float, float, float]
) -> None:
    write_tree(source, {"photo.png": noise(3, 60, 80)})
    items = [
        Item("train", "happy", name, "photo.png", file=source / "photo.png", box=value)
        for name, value in (("bad", box), ("good", (1, 1, 20, 20)))
    ]
    made, _ = imported(monkeypatch, source, FakeReader(items))
    assert made.summary["skipped"] == {"face box outside the image": 1, NOT_USED: 1}
    assert made.summary["images"] == {"train": 1}


@given(st.tuples(*[st.floats(width=32)] * 4))
@settings(max_examples=200, deadline=None)
def test_any_box_gives_a_square_or_a_problem(box: tuple[float, float, float, float]) -> None:
    try:
        face_cut = cut_out(np.zeros((40, 50), np.uint8), box, "a")
    except ImageError as error:
        reason = error.reason
    else:
        reason = ""
    if reason:
        assert reason == "face box outside the image"
        return
    assert face_cut.shape[0] == face_cut.shape[1] == min(max(1, round(max(box[2:]))), 512)


# --- contempt ---


def test_contempt_is_excluded_with_seven_classes(tmp_path: Path) -> None:
    tree = {f"{emotion}/{k}.png": face(10 * n + k) for n, emotion in enumerate((*EMOTIONS, CONTEMPT)) for k in range(4)}
    source = write_tree(tmp_path / "in", tree)
    seven = fercli.import_dataset(source, tmp_path / "seven", strict=True)  # excluding contempt is not an error
    assert seven.summary["emotions"] == list(EMOTIONS)
    assert seven.summary["skipped"] == {"contempt (kept by --classes 8)": 4}
    assert seven.manifest.skipped["contempt (kept by --classes 8)"] == [f"contempt/{k}.png" for k in range(4)]
    eight = fercli.import_dataset(source, tmp_path / "eight", classes=8)
    assert eight.summary["emotions"] == [*EMOTIONS, CONTEMPT]
    assert eight.summary["skipped"] == {}


def test_dataset_with_only_contempt_is_an_error(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "in", {"train/contempt/1.png": face(1)})
    with pytest.raises(DataError, match=r"no usable images \(1 contempt \(kept by --classes 8\)\)"):
        fercli.import_dataset(source, tmp_path / "out")
    assert names(tmp_path) == ["in"]


def test_soft_votes_without_votes_are_refused(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "in", {"train/sad/1.png": face(1)})
    with pytest.raises(UsageError, match="votes soft: folders by split and emotion has no annotators' votes"):
        fercli.import_dataset(source, tmp_path / "out", votes="soft")
    assert names(tmp_path) == ["in"]


# --- folder names ---


def test_map_applies_to_folder_names(tmp_path: Path) -> None:
    tree = {f"train/{name}/{k}.png": face(10 * n + k) for n, name in enumerate(("Laugh", "cry", "odd")) for k in (1, 2)}
    source = write_tree(tmp_path / "in", tree)
    with pytest.raises(DataError, match="unknown layout"):
        fercli.import_dataset(source, tmp_path / "out")
    log = Log()
    mapping = "LAUGH=happy, Cry = Sadness,odd=-,none=fear"
    made = fercli.import_dataset(source, tmp_path / "out", map=mapping, strict=True, progress=log)
    assert made.manifest.counts == {"train": {"happy": 1, "sad": 1}, "validation": {"happy": 1, "sad": 1}}
    assert made.summary["skipped"] == {"excluded by --map": 2}
    assert f"--map: no label in {source} is named none" in log.lines
    assert fercli.import_dataset(source, tmp_path / "out", map=mapping, strict=True).up_to_date


def test_unknown_folders_are_reported(tmp_path: Path) -> None:
    paths = ("train/sad/1", "train/sad/2", "train/bored/deep/1", "train/loose", "extra/sad/1", "root")
    source = write_tree(tmp_path / "in", {f"{path}.png": face(n) for n, path in enumerate(paths)})
    log = Log()
    made = fercli.import_dataset(source, tmp_path / "out", progress=log)
    assert made.manifest.skipped == {
        "not in a split folder": ["extra/sad/1.png"],
        "not in an emotion folder": ["root.png", "train/loose.png"],
        "unknown emotion": ["train/bored/deep/1.png"],
    }
    assert any(line.startswith("no emotion is named bored; map it with --map 'bored=EMOTION'") for line in log.lines)
    assert sum(fercli.import_dataset(source, tmp_path / "two", map="bored=happy").summary["images"].values()) == 3


def test_map_overrides_built_in_names(tmp_path: Path) -> None:
    tree = {f"{name}/1.png": face(n) for n, name in enumerate(("happy", "fear", "Fröhlich"))}
    made = fercli.import_dataset(
        write_tree(tmp_path / "in", tree), tmp_path / "out", map="happy=surprise,fro\u0308hlich=contempt", classes=8
    )
    assert sum(map(sum, (counts.values() for counts in made.manifest.counts.values()))) == 3
    assert made.summary["emotions"] == ["fear", "surprise", "contempt"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("anger", "'anger' is not of the form word=emotion"),
        ("", "'' is not of the form"),
        ("a=happy,", "'' is not of the form"),
        ("=happy", "'=happy' is not of the form"),
        ("a=", "'a=' is not of the form"),
        ("a=hapy", "no emotion 'hapy'; did you mean happy"),
        ("a=bored", "no emotion 'bored'; there are angry, disgust, fear, happy, sad, surprise, neutral, contempt"),
        ("a=happy,A=sad", "'A' is given twice"),
    ],
)
def test_invalid_map_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match="import: map: ") as caught:
        fercli.import_dataset(tmp_path, tmp_path / "out", map=text)
    assert message in str(caught.value)


WORDS = st.text(st.characters(blacklist_characters=",", blacklist_categories=("Cs",)), min_size=1, max_size=8)


@given(st.dictionaries(WORDS.filter(str.strip), st.sampled_from([*EMOTIONS, CONTEMPT, "-"]), min_size=1, max_size=5))
@settings(max_examples=100, deadline=None)
def test_any_word_can_be_mapped(pairs: dict[str, str]) -> None:
    text = ",".join(f"{name}={target}" for name, target in pairs.items())
    if len({word(name) for name in pairs}) < len(pairs):  # two words that differ only in case
        return
    options = ImportOptions(names=names_of(text))
    for name, target in pairs.items():
        assert options.emotion(name) == (None if target == "-" else target)
        assert options.excluded(name) == (target == "-")


# --- splits ---


def test_validation_is_split_from_train_by_person_and_pixels(monkeypatch: pytest.MonkeyPatch, source: Path) -> None:
    items = [pixels(k, "train", EMOTIONS[k % 7], subject=f"S{k % 30}") for k in range(420)]
    items += [pixels(k, "test", EMOTIONS[k % 7]) for k in range(420, 460)]
    items += [pixels(k, "train", EMOTIONS[k % 7], subject=f"T{k}") for k in range(20)]  # the pixels of S, other persons
    made, lines = imported(monkeypatch, source, FakeReader(items))
    rows = read_index(made)
    assert made.summary["images"] == {"train": 398, "validation": 42, "test": 40}  # three persons of 14, not four
    ours = [row for row in rows if row.split != "test"]
    assert all(len(found) == 1 for found in values_by(ours, "subject", "split").values())
    assert all(len(found) == 1 for found in values_by(ours, "sha256", "split").values())
    text = "validation taken from train (10 %) by emotion, 50 persons, photographs or films kept together"
    assert made.manifest.details["splits"] == text
    assert f"splits: {text}" in lines
    assert {path.name for path in made.path.iterdir()} == {"train", "validation", "test", "index.csv", "artifact.json"}
    for row in rows:
        assert (made.path / row.path).is_file()
        assert row.path.startswith(f"{row.split}/{row.emotion}/")


def test_validation_is_split_from_train_without_test(monkeypatch: pytest.MonkeyPatch, source: Path) -> None:
    items = [pixels(k, "train", EMOTIONS[k % 7], subject=f"S{k // 14}") for k in range(140)]
    made, lines = imported(monkeypatch, source, FakeReader(items))
    assert made.summary["images"] == {"train": 126, "validation": 14}
    assert all(len(found) == 1 for found in values_by(read_index(made), "subject", "split").values())
    assert (
        "splits: validation taken from train (10 %) by emotion, 10 persons, photographs or films kept together" in lines
    )


@pytest.mark.parametrize("splits", [("train", "validation"), ("test",), ("train", "validation", "test")])
def test_other_splits_are_kept(monkeypatch: pytest.MonkeyPatch, source: Path, splits: tuple[str, ...]) -> None:
    items = [pixels(k, splits[k % len(splits)], EMOTIONS[k % 7]) for k in range(42)]
    made, lines = imported(monkeypatch, source, FakeReader(items))
    assert set(made.summary["images"]) == set(splits)
    assert "splits: as published" in lines


def test_persons_stay_together_without_splits(monkeypatch: pytest.MonkeyPatch, source: Path) -> None:
    items = [pixels(k, "", EMOTIONS[k % 7], subject=f"S{k // 21}") for k in range(210)]
    made, _ = imported(monkeypatch, source, FakeReader(items))
    rows = read_index(made)
    assert made.summary["images"] == {"train": 168, "validation": 21, "test": 21}
    assert all(len(found) == 1 for found in values_by(rows, "subject", "split").values())
    assert (
        made.manifest.details["splits"] == "split 80/10/10 by emotion, 10 persons, photographs or films kept together"
    )


def test_equal_names_in_a_split_are_numbered(monkeypatch: pytest.MonkeyPatch, source: Path) -> None:
    items = [pixels(k, "train") for k in range(40)] + [pixels(100 + k, "") for k in range(40)]
    for number, item in enumerate(items):
        item.name = f"same-{number % 40}"
    made, _ = imported(monkeypatch, source, FakeReader(items))
    rows = read_index(made)
    assert len({row.path for row in rows}) == 80
    for number, row in enumerate(rows):
        assert (read_image(made.path / row.path) == items[number].pixels).all()


# --- folds ---


def test_too_few_folds_for_pack_are_reported(monkeypatch: pytest.MonkeyPatch, source: Path) -> None:
    _, lines = imported(monkeypatch, source, FakeReader([pixels(k, "", EMOTIONS[k % 7]) for k in range(42)]), folds=2)
    assert any(line.startswith("folds: 2 folds; too few for fer pack --fold") for line in lines)


def test_folds_exclude_a_published_test_split(monkeypatch: pytest.MonkeyPatch, source: Path) -> None:
    splits = ("train", "train", "validation", "test")
    items = [pixels(k, splits[k % 4], EMOTIONS[k % 7], subject=f"S{k % 24}") for k in range(336)]
    made, lines = imported(monkeypatch, source, FakeReader(items), folds=3)
    rows = read_index(made)
    assert values_by(rows, "split", "fold") == {"train": {"1", "2", "3"}, "validation": {"1", "2", "3"}, "test": {""}}
    assert all(len(found) == 1 for found in values_by([r for r in rows if r.fold], "subject", "fold").values())
    assert "folds: 3 folds outside the published test split, 18 persons, photographs or films kept together" in lines
    again, _ = imported(monkeypatch, source, FakeReader(items), folds=3, overwrite=True)
    assert again.up_to_date


def test_folds_include_every_image_without_splits(monkeypatch: pytest.MonkeyPatch, source: Path) -> None:
    items = [pixels(k // 2, "", EMOTIONS[k // 2 % 7]) for k in range(140)]
    made, _ = imported(monkeypatch, source, FakeReader(items), folds=5)
    rows = read_index(made)
    assert {row.fold for row in rows} == set("12345")
    assert all(len(found) == 1 for found in values_by(rows, "sha256", "fold").values())
    sizes = [sum(row.fold == fold for row in rows) for fold in "12345"]
    assert sizes == [28] * 5
    assert {row.split for row in rows} == {"train", "validation", "test"}


def test_created_test_split_is_not_published(monkeypatch: pytest.MonkeyPatch, source: Path) -> None:
    made, _ = imported(monkeypatch, source, FakeReader([pixels(k, "") for k in range(30)]), folds=2)
    assert all(row.fold for row in read_index(made))


@pytest.mark.parametrize(
    ("subjects", "folds", "message"),
    [
        (
            4,
            5,
            "folds 5: the dataset has 4 persons, photographs or films, none of which can be divided; use at most 4",
        ),
        (0, 41, "folds 41: the dataset has 40 distinct images; use at most 40 folds"),
    ],
)
def test_more_folds_than_groups_are_refused(
    monkeypatch: pytest.MonkeyPatch, source: Path, subjects: int, folds: int, message: str
) -> None:
    items = [pixels(k, "", EMOTIONS[k % 2], subject=f"S{k % subjects}" if subjects else "") for k in range(40)]
    with pytest.raises(UsageError) as caught:
        imported(monkeypatch, source, FakeReader(items), folds=folds)
    assert message in str(caught.value)
    assert names(source.parent) == ["source"]


def test_folds_without_an_emotion_are_reported(monkeypatch: pytest.MonkeyPatch, source: Path) -> None:
    items = [pixels(k, "", "fear" if k < 2 else "happy") for k in range(30)]
    _, lines = imported(monkeypatch, source, FakeReader(items), folds=4)
    assert "folds: 4 folds; not every fold has fear" in lines


@pytest.mark.parametrize("folds", [0, 1, 101, -3])
def test_number_of_folds_is_bounded(tmp_path: Path, folds: int) -> None:
    with pytest.raises(UsageError, match="folds: input should be"):
        fercli.import_dataset(tmp_path, tmp_path / "out", folds=folds)


# --- published counts ---


def test_missing_images_are_reported_with_their_first_names(monkeypatch: pytest.MonkeyPatch, source: Path) -> None:
    items = [pixels(k, "train") for k in range(5)] + [pixels(9, "test", problem="wrong pixels"), pixels(10, "test")]
    items += [Item("train", "sad", f"{k}", f"list/{k}.png", file=source / f"{k}.png") for k in range(4)]
    made, lines = imported(monkeypatch, source, FakeReader(items, {"train": 9, "validation": 0, "test": 1}))
    text = "4 of 9 missing in train: list/0.png, list/1.png, list/2.png, …; 1 more than the 1 published in test"
    assert f"not as published: {text}" in lines
    assert made.manifest.details["differs_from_published"] == {
        "description": text,
        "splits": {"train": {"published": 9, "found": 5}, "test": {"published": 1, "found": 2}},
    }


def test_complete_dataset_reports_no_difference(monkeypatch: pytest.MonkeyPatch, source: Path) -> None:
    items = [pixels(k, "", emotion) for k, emotion in enumerate(("happy", "sad", CONTEMPT))]
    items.append(Item("", "", "x", "sequence", left_out="sequence without a label", counted=False))
    made, lines = imported(monkeypatch, source, FakeReader(items, {"": 3}))
    assert not any("not as published" in line for line in lines)
    assert "differs_from_published" not in made.manifest.details
    skipped = {"contempt (kept by --classes 8)": 1, "sequence without a label": 1, NOT_USED: 1}
    assert made.summary["skipped"] == skipped


COUNTS = st.dictionaries(st.sampled_from(["train", "validation", "test"]), st.integers(0, 20))


@given(COUNTS, COUNTS)
def test_differences_match_the_counts(published: dict[str, int], found: dict[str, int]) -> None:
    differing = differences(published, found, {})
    if not published:
        assert differing == {}
        return
    for split in {*published, *found}:
        assert (split in differing) == (published.get(split, 0) != found.get(split, 0))
    assert describe_differences(differing, {}).count(";") == max(0, len(differing) - 1)


# --- the command line ---


def test_list_of_formats(fer: Fer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    ended = fer("import", "--list")
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert max(map(len, lines)) <= 80
    starts = [next(k for k, line in enumerate(lines) if line.split(" ")[0] == r.name) for r in readers.READERS]
    assert all(a < b for a, b in pairwise(starts))
    found = json.loads(fer("import", "--list", "--json").out)
    assert [entry["format"] for entry in found] == [reader.name for reader in readers.READERS]
    assert {entry["format"]: entry["published"] for entry in found}["jaffe"] == {"": 213}


def test_missing_source_is_an_error(fer: Fer) -> None:
    ended = fer("import")
    assert ended.code == 2
    assert ended.err.startswith("fer import: no SOURCE given; fer import --list")


def test_options_on_the_command_line(fer: Fer, tmp_path: Path) -> None:
    tree = {f"{name}/{k}.png": encoded(face(10 * n + k)) for n, name in enumerate(("glad", "contempt")) for k in (1, 2)}
    source = write_tree(tmp_path / "in", tree)
    given = ("import", source, tmp_path / "out", "--classes", "8", "--map", "glad=happy", "--folds", "2")
    ended = fer(*given)
    assert ended.code == 0, ended.err
    assert "contempt" in ended.out
    assert fer("import", source, tmp_path / "b", "--classes", "9").code == 2
