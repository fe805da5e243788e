"""Subjects from paths, and importing into one split."""

import re
import signal
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fercli
from fercli.datasets import subjects
from fercli.datasets.index import Row, read_index
from fercli.datasets.readers import Item
from fercli.datasets.subjects import Subjects, hint, in_two_splits
from fercli.errors import UsageError
from fercli.stages.import_dataset.config import ImportConfig
from tests.helpers.cli import CliResult
from tests.helpers.datasets import encoded, face, noise, small_csv, write_tree
from tests.helpers.progress import Log

EMOTIONS = ("angry", "happy", "sad")
PEOPLE = ("Anna_Smith", "Bo_Li", "George_W_Bush", "Åsa_Öberg", "Jean-Luc_Picard", "Mary_O'Neil")


def write_press_photographs(folder: Path, before: str = "", each: int = 5) -> Path:
    """Write files named like press photographs: `each` per person and emotion."""
    tree = {
        f"{before}{emotion}/{person}_{10 * k + i:04d}.png": face(100 * n + 10 * k + i, 16)
        for n, person in enumerate(PEOPLE)
        for k, emotion in enumerate(EMOTIONS)
        for i in range(each)
    }
    return write_tree(folder, tree)


def rows(*sources: str, subject: str = "", row: str = "") -> list[Row]:
    return [
        Row(f"train/happy/{k}.png", "train", "happy", source=s, subject=subject, row=row) for k, s in enumerate(sources)
    ]


# --- --subjects ---


def test_person_is_in_one_split_and_fold(tmp_path: Path) -> None:
    source = write_press_photographs(tmp_path / "in")
    without = fercli.import_dataset(source, tmp_path / "without")
    assert {row.subject for row in read_index(without)} == {""}
    made = fercli.import_dataset(source, tmp_path / "out", subjects=r"([^/]+)_\d+\.", folds=3)
    found = read_index(made)
    assert {row.subject for row in found} == set(PEOPLE)
    assert in_two_splits(found) == (0, len(PEOPLE))
    assert len({(row.subject, row.fold) for row in found}) == len(PEOPLE)
    assert made.manifest.details["subjects"] == {"persons": 6, "unmatched": 0, "in_two_splits": 0}
    assert made.manifest.options["subjects"] == r"([^/]+)_\d+\."


def test_pattern_is_applied_to_the_path_within_the_source(tmp_path: Path) -> None:
    tree = {f"wrap/{e}/p{n}/{k}.png": face(10 * n + k, 16) for n in range(4) for k, e in enumerate(EMOTIONS)}
    made = fercli.import_dataset(write_tree(tmp_path / "in", tree), tmp_path / "out", subjects=r"^wrap/[^/]+/(p\d)/")
    assert {row.subject for row in read_index(made)} == {"p0", "p1", "p2", "p3"}


def test_persons_in_several_published_splits_are_reported(tmp_path: Path) -> None:
    write_press_photographs(write_press_photographs(tmp_path / "in", "train/", 2), "test/", 1)
    log = Log()
    made = fercli.import_dataset(tmp_path / "in", tmp_path / "out", subjects=r"([^/]+)_\d+\.", progress=log)
    assert "6 of 6 persons are in more than one split of the source" in log.lines
    assert made.manifest.details["subjects"]["in_two_splits"] == 6


def test_unmatched_paths_are_reported(tmp_path: Path) -> None:
    source = write_press_photographs(tmp_path / "in")
    write_tree(source, {"sad/nobody.png": face(990)})
    log = Log()
    made = fercli.import_dataset(source, tmp_path / "out", subjects=r"([^/]+)_\d+\.", progress=log)
    assert "--subjects: no person in 1 of 91 paths, such as sad/nobody.png" in log.lines
    assert made.manifest.details["subjects"]["unmatched"] == 1
    for pattern in ("(nowhere)", "(x)?"):
        with pytest.raises(
            UsageError, match=r"subjects: the pattern matches no path, such as angry/Anna_Smith_0000\.png"
        ):
            fercli.import_dataset(source, tmp_path / "none", subjects=pattern)
    with pytest.raises(UsageError, match=r"matches no path, such as a\.csv"):
        fercli.import_dataset(small_csv(tmp_path / "a.csv"), tmp_path / "none", subjects=r"(\d+)\.png")
    assert not (tmp_path / "none").exists()


def test_single_person_is_questioned(tmp_path: Path) -> None:
    log = Log()
    fercli.import_dataset(
        write_press_photographs(tmp_path / "in", each=1), tmp_path / "out", subjects="(a|p)", progress=log
    )
    assert "--subjects: one person, 'a', in all paths; is the pattern right?" in log.lines
    assert "splits: split 80/10/10 by emotion, one person, photograph or film kept together" in log.lines
    fercli.import_dataset(tmp_path / "in", tmp_path / "some", subjects="(B)", progress=log)
    assert "--subjects: one person, 'B', in the others; is the pattern right?" in log.lines


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "not a regular expression"),
        ("[a", "not a regular expression"),
        ("a{999999999999}(b)", "not a regular expression"),
        ("(" * 5000 + ")" * 5000, "not a regular expression|groups"),
        ("no group", "has 0 groups"),
        ("(a)(b)", "has 2 groups"),
        ("", "has 0 groups"),
    ],
)
def test_invalid_pattern_is_a_one_line_error(pattern: str, message: str, fer, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    ended: CliResult = fer(
        "import", write_press_photographs(tmp_path / "in", each=1), tmp_path / "out", "--subjects", pattern
    )
    assert ended.code == 2
    assert len(ended.lines) == 1
    assert re.search(rf"subjects: .*({message})", ended.lines[0])


def test_slow_pattern_is_stopped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(subjects, "MATCH_SECONDS", 0.05)
    before = signal.getsignal(signal.SIGALRM)
    source = write_tree(tmp_path / "in", {f"{e}/{'a' * 60}{k}.png": face(k) for k, e in enumerate(EMOTIONS)})
    with pytest.raises(UsageError, match=r"takes more than 0\.05 s for angry/aaa.*; avoid nested repeats"):
        fercli.import_dataset(source, tmp_path / "out", subjects="((?:a+)+)$")
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert not (tmp_path / "out").exists()


def test_other_threads_and_existing_alarms_are_not_affected() -> None:
    def names() -> list[str]:
        items = [Item("", "happy", "x", f"Anna_{k}.png") for k in range(3)]
        return [item.subject for item in Subjects("([A-Z][a-z]+)_").name(items)]

    found: list[list[str]] = []
    thread = threading.Thread(target=lambda: found.append(names()))
    thread.start()
    thread.join()
    signal.setitimer(signal.ITIMER_REAL, 3600)
    try:
        found.append(names())
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 3000
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    assert found == [["Anna"] * 3] * 2


# --- the hint ---


def test_suggested_pattern_works(tmp_path: Path) -> None:
    log = Log()
    source = write_press_photographs(tmp_path / "in")
    fercli.import_dataset(source, tmp_path / "out", progress=log)
    (line,) = [line for line in log.lines if "--subjects" in line]
    assert line.startswith("names such as Anna_Smith_0000.png appear to contain persons (6), ")
    pattern = line.split("'")[1]
    made = fercli.import_dataset(source, tmp_path / "again", subjects=pattern)
    assert {row.subject for row in read_index(made)} == set(PEOPLE)
    numbered = write_tree(
        tmp_path / "numbered",
        {f"{e}/Subject_{n:02d}_{k}.png": face(10 * n + k, 16) for n in range(6) for k, e in enumerate(EMOTIONS)},
    )
    log = Log()
    fercli.import_dataset(numbered, tmp_path / "n1", progress=log)
    (line,) = [line for line in log.lines if "--subjects" in line]
    made = fercli.import_dataset(numbered, tmp_path / "n2", subjects=line.split("'")[1])
    assert len({row.subject for row in read_index(made)}) == 6


@pytest.mark.parametrize(
    "names",
    [
        ["train/happy/Training_{n}.jpg", "test/sad/PublicTest_{n}.jpg", "test/sad/PrivateTest_{n}.jpg"],
        ["1/train_{n:05d}_aligned.jpg", "2/test_{n:04d}_aligned.jpg"],
        ["anger/S{n:03d}_004_00000017.png"],
        ["happy/{n:05d}.png", "sad/im{n}.png", "fear/image ({n}).jpg"],
        ["happy/happy_face_{n}.jpg", "sad/sad_face_{n}.jpg", "fear/fear_face_{n}.jpg", "angry/angry_man_{n}.jpg"],
        ["happy/cropped_emotions.{n}~12fffff.png"],
        ["689/737db2483489148d783ef278f43f486c0a97e140fc4b6b61b84363ca{n}.jpg"],
        ["Train/Angry/Airheads_00051924{n}_00000005.png"],
        ["KA.AN1.{n}.tiff"],
        ["happy/IMG_{n}.jpg", "sad/DSC_{n}.jpg", "sad/Screenshot_{n}.png"],
    ],
)
def test_file_names_of_public_datasets_give_no_hint(names: list[str]) -> None:
    assert hint(rows(*(name.format(n=n) for n in range(40) for name in names))) == ""


def test_hint_requires_several_persons_with_several_images() -> None:
    people = [f"{first}_{last}" for first in ("Anna", "Bo", "Cy") for last in ("Li", "Smith")]
    many = [f"happy/{person}_{k}.jpg" for person in people for k in range(3)]
    assert "(6)" in hint(rows(*many))
    assert hint(rows(*many, subject="S1")) == ""
    assert hint(rows(*many, row="1")) == ""
    assert hint(rows(*many, *(f"{k}.png" for k in range(99)))) == ""
    assert hint(rows(*(f"happy/{person}_1.jpg" for person in people))) == ""
    assert hint(rows(*many[:12])) == ""
    assert hint([]) == ""


@pytest.mark.slow
@given(st.lists(st.text(max_size=60), max_size=20))
def test_hint_accepts_any_names(names: list[str]) -> None:
    assert isinstance(hint(rows(*names)), str)


# --- --split ---


def test_split_option_puts_all_images_into_one_split(tmp_path: Path) -> None:
    tree = {
        f"{s}/{e}/{k}.png": face(10 * n + k)
        for n, s in enumerate(("train", "val", "test"))
        for k, e in enumerate(EMOTIONS)
    }
    source = write_tree(tmp_path / "in", tree)
    for split in ("train", "validation", "test"):
        made = fercli.import_dataset(source, tmp_path / split, split=split)
        assert made.summary["images"] == {split: 9}
        assert made.manifest.options["split"] == split
        assert made.manifest.details["splits"] == f"all in {split} (--split)"
        assert {row.path.split("/")[0] for row in read_index(made)} == {split}
        assert sorted(path.name for path in made.path.iterdir()) == ["artifact.json", "index.csv", split]


def test_labels_and_persons_are_kept(tmp_path: Path) -> None:
    codes = {"AN": "angry", "HA": "happy"}
    tree = {
        f"{who}.{code}1.{n}.tiff": encoded(face(n), "TIFF")
        for n, (who, code) in enumerate([("KA", "AN"), ("YM", "HA")])
    }
    made = fercli.import_dataset(write_tree(tmp_path / "in", tree), tmp_path / "out", split="test")
    assert {(row.subject, row.emotion) for row in read_index(made)} == {("KA", "angry"), ("YM", codes["HA"])}
    assert made.manifest.details["differs_from_published"]["splits"] == {"all": {"published": 213, "found": 2}}


def test_split_option_with_a_table_keeps_published_counts(tmp_path: Path) -> None:
    made = fercli.import_dataset(small_csv(tmp_path / "a.csv"), tmp_path / "out", split="test")
    assert made.summary["images"] == {"test": 42}
    assert set(made.manifest.details["differs_from_published"]["splits"]) == {"train", "validation", "test"}


def test_split_option_makes_prefixes_optional(tmp_path: Path) -> None:
    places = ("train/{}/Training_1", "test/{}/PublicTest_1", "test/{}/x")
    tree = {f"{place.format(e)}.png": face(n) for place in places for n, e in enumerate(EMOTIONS)}
    source = write_tree(tmp_path / "in", tree)
    assert sum(fercli.import_dataset(source, tmp_path / "kept").summary["skipped"].values()) == 3
    made = fercli.import_dataset(source, tmp_path / "out", split="test")
    assert (made.summary["images"], made.summary["skipped"]) == ({"test": 9}, {})
    raf = write_tree(
        tmp_path / "raf", {f"train/{c}/{n}.jpg": face(c) for c in (1, 2) for n in ("train_1_aligned", "x")}
    )
    made = fercli.import_dataset(raf, tmp_path / "raf-out", split="test")
    assert (made.summary["images"], made.summary["skipped"]) == ({"test": 4}, {})


def test_folds_with_split_test_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="omit either --split test or --folds"):
        fercli.import_dataset(write_press_photographs(tmp_path / "in", each=1), tmp_path / "out", split="test", folds=2)
    assert fercli.import_dataset(tmp_path / "in", tmp_path / "out", split="train", folds=2).manifest.details["folds"]
    with pytest.raises(UsageError, match="split"):
        fercli.import_dataset(tmp_path / "in", tmp_path / "x", split="dev")


def test_added_options_at_their_default_are_not_in_the_key() -> None:
    assert not {"split", "subjects"} & set(ImportConfig.of(source=Path("x")).options())


# --- nearly black ---


def test_nearly_black_images_are_reported(tmp_path: Path) -> None:
    dark = encoded(np.full((8, 8), 4000, np.uint16))
    tree = {
        "train/sad/dark.png": dark,
        "train/sad/low.png": encoded(noise(1, 8, 8).astype(np.uint16)),
        "train/happy/1.png": face(1),
    }
    log = Log()
    made = fercli.import_dataset(write_tree(tmp_path / "in", tree), tmp_path / "out", progress=log)
    assert made.summary["nearly_black"] == 1
    assert made.manifest.details["nearly_black"] == ["train/sad/dark.png"]
    assert "1 nearly black, such as train/sad/dark.png" in log.lines
