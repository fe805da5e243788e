"""FER+, CK+ and JAFFE: what the common contract does not cover."""

import csv
import os
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fercli
from fercli.datasets.index import read_index
from fercli.datasets.readers import ImportOptions, Item, find_others, find_reader
from fercli.datasets.readers.base import CONTEMPT_LEFT_OUT
from fercli.datasets.readers.ckplus import CkPlus
from fercli.datasets.readers.ferplus import FerPlus, majority, soft
from fercli.emotions import CONTEMPT, EMOTIONS
from fercli.errors import DataError
from fercli.images import read_image
from tests.helpers.datasets import csv_row, encoded, face, small_csv, write_tree
from tests.helpers.layouts.lab import VOTES_HEADER, VOTES_ORDER, votes_row, write_ferplus, write_sequence

# --- FER+ ---


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "ferplus").mkdir()
    return tmp_path / "ferplus"


def ferplus(folder: Path, *rows: dict[str, object], **options: object) -> list[Item]:
    """Return the items for rows of votes, each with its own face."""
    lines = [votes_row(row) for row in rows]
    write_ferplus(folder, [(face(k), line) for k, line in enumerate(lines)], each=0)
    return list(FerPlus().read(folder, ImportOptions(**options)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("votes", "share", "emotion", "left_out"),
    [
        ({"happy": 10}, 0.5, "happy", ""),
        ({"happy": 6, "sad": 4}, 0.5, "happy", ""),
        ({"happy": 5, "sad": 5}, 0.5, "", "tie"),
        ({"happy": 5, "sad": 3, "fear": 2}, 0.5, "", "no majority"),
        ({"happy": 5, "sad": 3, "fear": 2}, 0.4, "happy", ""),
        ({"happy": 5, "sad": 3, "fear": 1, "angry": 1}, 0.5, "happy", ""),  # 5 of 8: single votes are outliers
        ({"happy": 4, "sad": 4, "fear": 2}, 0.0, "", "tie"),
        (dict.fromkeys(VOTES_ORDER, 1), 0.5, "", "no majority"),
        ({"happy": 4, "unknown": 6}, 0.5, "", "unknown"),
        ({"happy": 3, "NF": 7}, 0.5, "", "no face"),
        ({"contempt": 6, "neutral": 4}, 0.5, CONTEMPT, ""),
        ({"happy": 9, "sad": 1}, 0.95, "happy", ""),
        ({"happy": 8, "sad": 2}, 0.8, "", "no majority"),
    ],
)
def test_majority_votes(folder: Path, votes: dict[str, object], share: float, emotion: str, left_out: str) -> None:
    (item,) = ferplus(folder, votes, share=share)
    assert (item.emotion, item.left_out, item.problem, item.votes) == (emotion, left_out, "", "")


@pytest.mark.parametrize(
    ("votes", "options", "emotion", "kept", "left_out"),
    [
        ({"happy": 6, "sad": 4}, {}, "happy", "happy:6 sad:4", ""),
        ({"sad": 5, "happy": 5}, {}, "happy", "happy:5 sad:5", ""),
        ({"neutral": 4, "angry": 4, "fear": 2}, {}, "angry", "angry:4 fear:2 neutral:4", ""),
        ({"happy": 6, "unknown": 3, "sad": 1}, {}, "happy", "happy:6", ""),
        ({"happy": 5, "unknown": 5}, {}, "", "", "unknown"),
        ({"happy": 3, "NF": 4, "unknown": 3}, {}, "", "", "no face"),
        ({"contempt": 4, "neutral": 6}, {}, "neutral", "neutral:6", ""),
        ({"contempt": 5, "neutral": 5}, {}, "", "", CONTEMPT_LEFT_OUT),
        ({"contempt": 5, "neutral": 5}, {"classes": 8}, "neutral", "neutral:5 contempt:5", ""),
        ({"happy": 7, "unknown": 3}, {"share": 0.7}, "", "", "unknown"),
        (dict.fromkeys(VOTES_ORDER, 1), {}, "", "", "no majority"),
        ({"contempt": 10}, {"classes": 8, "share": 0.0}, CONTEMPT, "contempt:10", ""),
    ],
)
def test_soft_votes(
    folder: Path, votes: dict[str, object], options: dict[str, object], emotion: str, kept: str, left_out: str
) -> None:
    (item,) = ferplus(folder, votes, votes="soft", **options)
    assert (item.emotion, item.votes, item.left_out, item.problem) == (emotion, kept, left_out, "")


COUNTS = st.dictionaries(st.sampled_from([*EMOTIONS, CONTEMPT, "unknown", "no face"]), st.integers(2, 10))


@pytest.mark.slow
@given(COUNTS, st.floats(0, 0.99), st.sampled_from([7, 8]))
@settings(max_examples=200, deadline=None)
def test_votes_give_either_a_label_or_a_reason(votes: dict[str, int], share: float, classes: int) -> None:
    for emotion, reason in (majority(votes, share), soft(votes, ImportOptions(classes, "soft", share))):  # type: ignore[arg-type]
        assert bool(emotion) != bool(reason)
        if emotion:
            assert votes[emotion] == max(count for name, count in votes.items() if name in (*EMOTIONS, emotion))
    emotion, _ = majority(votes, share)
    if emotion:
        assert votes[emotion] > share * sum(votes.values())
        assert sorted(votes.values())[-2:-1] != [votes[emotion]]


def test_rows_are_joined_by_position(folder: Path) -> None:
    write_ferplus(folder, each=1)
    table = folder / "fer2013new.csv"
    lines = table.read_text().splitlines()
    mixed = [re.sub(r"fer\d*\.png", ("", "fer0000003.png")[k % 2], line) for k, line in enumerate(lines)]
    table.write_text("\n".join(mixed) + "\n")
    made = fercli.import_dataset(folder, folder.parent / "out")
    rows = read_index(made)
    assert [row.emotion for row in rows] == [*EMOTIONS] * 3
    for number, row in enumerate(rows):
        assert (row.row, row.source) == (str(number), "fer2013.csv")
        assert (read_image(made.path / row.path) == face(number)).all()


def test_votes_are_in_the_index_only_if_soft(folder: Path) -> None:
    write_ferplus(folder)
    hard = read_index(fercli.import_dataset(folder, folder.parent / "hard"))
    assert {row.votes for row in hard} == {""}
    made = fercli.import_dataset(folder, folder.parent / "soft", votes="soft")
    assert Counter(row.votes for row in read_index(made))["happy:8 neutral:2"] == 6
    assert made.manifest.options["votes"] == "soft"
    assert {row.emotion: row.votes for row in read_index(made)}["neutral"] == "neutral:10"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: lines[:-1], r"row 20 is in the pixels but not in fer2013new\.csv"),
        (lambda lines: [*lines, lines[-1]], r"row 21 is in fer2013new\.csv but not in the pixels"),
        (lambda lines: [lines[0], *lines[2:], lines[1]], r"row 6 is train in the pixels but 'PublicTest'"),
        (
            lambda lines: [*lines[:5], lines[5].replace("Training", "Holiday"), *lines[6:]],
            r"row 4 is train .*'Holiday'",
        ),
        (lambda lines: [lines[0].replace("NF", "none"), *lines[1:]], "unknown layout"),
        (lambda lines: lines[1:], "unknown layout"),
    ],
)
def test_mismatched_tables_are_refused(folder: Path, change, message: str) -> None:  # type: ignore[no-untyped-def]
    write_ferplus(folder, each=1)
    table = folder / "fer2013new.csv"
    table.write_text("\n".join(change(table.read_text().splitlines())) + "\n")
    if message == "unknown layout":
        message = "not FER\\+'s votes, whose first line has the columns Usage, neutral"
    with pytest.raises(DataError, match=message) as caught:
        fercli.import_dataset(folder, folder.parent / "out", format="ferplus")
    assert "\n" not in str(caught.value)
    assert not (folder.parent / "out").exists()


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("Training,a.png,1,2,3\n", "votes unreadable"),
        ("Training\n", "votes unreadable"),
        ("Training,a.png" + ",x" * 10 + "\n", "votes unreadable"),
        ("Training,a.png" + ",-1" * 10 + "\n", "votes unreadable"),
        ("Training,a.png" + ",1.5" * 10 + "\n", "votes unreadable"),
        ("Training,a.png" + ",３" * 10 + "\n", "votes unreadable"),
        ("Training,a.png" + ",\udcff" * 10 + "\n", "votes unreadable"),
        ("Training,a.png," + "9" * 5000 + ",0" * 9 + "\n", "votes unreadable"),
        ('Training,"' + "x" * 200_000 + '"' + ",1" * 10 + "\n", "votes unreadable"),
        ("Training,a.png" + ",0" * 10 + "\n", "no votes"),
        ("Training,a.png" + ",10" + ",0" * 9 + ",more\n", ""),
        (" Training ,a.png, 10 " + ", 0" * 9 + "\r\n", ""),
    ],
    ids=lambda value: value[:20],
)
def test_invalid_votes_affect_only_their_row(folder: Path, line: str, problem: str) -> None:
    rows = [csv_row(0, face(k), "Training") for k in range(3)]
    (folder / "fer2013.csv").write_text("emotion,pixels,Usage\n" + "".join(rows))
    good = votes_row({"happy": 10})
    (folder / "fer2013new.csv").write_bytes((VOTES_HEADER + good + line + good).encode("utf-8", "surrogateescape"))
    assert [item.problem for item in FerPlus().read(folder)] == ["", problem, ""]


def test_fer2013_labels_are_not_needed(folder: Path) -> None:
    (folder / "icml_face_data.csv").write_text(
        "emotion, Usage, pixels\n" + "x,Training," + " ".join(["7"] * 2304) + "\n"
    )
    (folder / "fer2013new.csv").write_text(VOTES_HEADER + votes_row({"sad": 10}))
    (item,) = find_reader(folder).read(folder)
    assert (item.emotion, item.split, item.problem) == ("sad", "train", "")


def test_incomplete_ferplus_is_reported(folder: Path) -> None:
    write_ferplus(folder, each=1)
    with pytest.raises(DataError, match=r"contains only FER\+'s votes; give a folder that also contains fer2013.csv"):
        fercli.import_dataset(folder / "fer2013new.csv", folder.parent / "out")
    assert find_reader(folder / "fer2013.csv").name == "fer2013-csv"
    assert find_others(folder, find_reader(folder)) == ["fer2013-csv"]
    os.remove(folder / "fer2013.csv")
    with pytest.raises(DataError, match=r"no CSV found; FER2013's is named fer2013\.csv or icml_face_data\.csv"):
        fercli.import_dataset(folder, folder.parent / "out", format="ferplus")
    small_csv(folder / "fer2013.csv", each=1)
    os.remove(folder / "fer2013new.csv")
    with pytest.raises(DataError, match=r"fer2013new\.csv is missing"):
        fercli.import_dataset(folder, folder.parent / "out", format="ferplus")


def test_stray_quote_does_not_shift_votes(folder: Path) -> None:
    write_ferplus(folder, each=2)
    for name, problem in (("fer2013.csv", "stray quotation mark"), ("fer2013new.csv", "votes unreadable")):
        table = folder / name
        whole = table.read_text()
        lines = whole.splitlines(keepends=True)
        lines[4] = '"' + lines[4]
        table.write_text("".join(lines))
        items = list(FerPlus().read(folder))
        assert [item.problem for item in items] == ["", "", "", problem, *[""] * (len(lines) - 5)]
        assert [item.emotion for item in items[4:]] == [
            emotion for k in range(3) for emotion in EMOTIONS for _ in range(2)
        ][4:]
        table.write_text(whole)


def test_ferplus_with_damaged_votes_is_not_read_as_fer2013(folder: Path) -> None:
    write_ferplus(folder, [(face(1), votes_row({"happy": 10}))], each=0)
    (folder / "fer2013new.csv").write_bytes(b"")
    assert find_reader(folder).name == "ferplus"
    with pytest.raises(DataError, match="whose first line has the columns"):
        list(FerPlus().read(folder))


# --- CK+ ---


def test_sequence_gives_its_first_and_last_three_frames(folder: Path) -> None:
    write_sequence(folder, "S005/001", 11, "   3.0000000e+00\n")
    found = [(item.emotion, item.frame, item.subject, item.name) for item in CkPlus().read(folder)]
    assert found == [
        ("neutral", "1", "S005", "S005_001_00000001"),
        ("disgust", "9", "S005", "S005_001_00000009"),
        ("disgust", "10", "S005", "S005_001_00000010"),
        ("disgust", "11", "S005", "S005_001_00000011"),
    ]


@pytest.mark.parametrize(
    "names", [("Cohn-Kanade-Images", "Emotion_labels/Emotion"), ("cohn-kanade-images", "emotion_labels")]
)
def test_folder_name_variants(folder: Path, names: tuple[str, str]) -> None:
    write_sequence(folder, "S005/001", 4, "7")
    (folder / "Emotion").rename(folder / "moved")
    (folder / names[1]).parent.mkdir(exist_ok=True)
    (folder / "moved").rename(folder / names[1])
    (folder / "cohn-kanade-images").rename(folder / names[0])
    items = list(find_reader(folder).read(folder))
    assert [item.emotion for item in items] == ["neutral", "surprise", "surprise", "surprise"]


def test_unusual_frame_names(folder: Path) -> None:
    write_sequence(folder, "S005/001", 4, "5")
    sequence = folder / "cohn-kanade-images/S005/001"
    for file, name in zip(
        sorted(sequence.iterdir()), ("a\nb.png", "笑顔.png", "z_" + "9" * 80 + ".png", "zz_٣.png"), strict=True
    ):
        file.rename(sequence / name)
    made = fercli.import_dataset(folder, folder.parent / "out")
    assert sum(made.summary["images"].values()) == 4
    assert {row.frame for row in read_index(made)} == {""}


def test_ckplus_persons_stay_in_one_fold(folder: Path) -> None:
    for person in range(12):
        for number in range(3):
            write_sequence(
                folder, f"S{person:03d}/{number:03d}", 5, str(1 + (person + number) % 7), seed=5 * person + number
            )
    made = fercli.import_dataset(folder, folder.parent / "out", folds=10, classes=8)
    rows = read_index(made)
    assert len({(row.subject, row.fold) for row in rows}) == len({row.subject for row in rows}) == 12
    assert {row.fold for row in rows} == {str(k) for k in range(1, 11)}
    assert len({(row.subject, row.split) for row in rows}) == 12


def test_incomplete_ckplus_is_reported(folder: Path) -> None:
    write_sequence(folder, "S005/001", 4, None)
    with pytest.raises(DataError, match="CK\\+ is a folder with cohn-kanade-images/ and Emotion/; both are needed"):
        fercli.import_dataset(folder, folder.parent / "out", format="ckplus")
    with pytest.raises(DataError, match="unknown layout"):
        fercli.import_dataset(folder, folder.parent / "out")


# --- JAFFE, and 48-px CK+ ---


def test_jaffe_persons_and_lower_case_names(folder: Path) -> None:
    write_tree(folder, {"deep/ka.an1.39.TIFF": encoded(face(1), "TIFF"), "YM.SU3.60.tif": encoded(face(2), "TIFF")})
    found = {item.source: (item.subject, item.emotion) for item in find_reader(folder).read(folder)}
    assert found == {"YM.SU3.60.tif": ("YM", "surprise"), "deep/ka.an1.39.TIFF": ("KA", "angry")}


def test_jaffe_has_at_most_one_fold_per_person(folder: Path) -> None:
    people = ("KA", "KL", "KM", "KR", "MK", "NA", "NM", "TM", "UY", "YM")
    codes = ("AN", "DI", "FE", "HA", "NE", "SA", "SU")
    write_tree(
        folder,
        {
            f"{person}.{code}1.{7 * k + j}.tiff": encoded(face(7 * k + j, 16), "TIFF")
            for k, person in enumerate(people)
            for j, code in enumerate(codes)
        },
    )
    rows = read_index(fercli.import_dataset(folder, folder.parent / "out", folds=10))
    assert sorted(Counter(row.fold for row in rows).values()) == [7] * 10
    assert len({(row.subject, row.fold) for row in rows}) == 10
    assert Counter(row.split for row in rows) == {"train": 56, "validation": 7, "test": 7}


def test_ck48_or_its_parent_as_source(folder: Path) -> None:
    write_tree(folder, {f"CK+48/{e}/S01{k}_001_0000000{k}.png": face(k) for k, e in enumerate(("anger", "happy"))})
    for source in (folder, folder / "CK+48"):
        reader = find_reader(source)
        assert reader.name == "ckplus-folders"
        items = list(reader.read(source))
        assert [(item.emotion, item.subject, item.frame) for item in items] == [
            ("angry", "S010", "0"),
            ("happy", "S011", "1"),
        ]


# --- the published FER+ ---

HOME = os.environ.get("FERCLI_REAL_DATA", "")


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.skipif(not HOME, reason="FERCLI_REAL_DATA is not set")
def test_published_votes(folder: Path) -> None:
    """The votes are FER+'s, the pixels placeholders: the join by position needs only the usages."""
    votes = Path(HOME) / "fer2013new.csv"
    (folder / "fer2013new.csv").symlink_to(votes)
    pixels = " ".join(["7"] * 2304)
    with votes.open() as file, (folder / "fer2013.csv").open("w") as table:
        table.write("emotion,pixels,Usage\n")
        table.writelines(f"0,{pixels},{row['Usage']}\n" for row in csv.DictReader(file))
    for options, counts, reasons in REAL:
        emotions: dict[str, Counter[str]] = {"train": Counter(), "validation": Counter(), "test": Counter()}
        left = Counter[str]()
        for item in FerPlus().read(folder, options):
            assert not item.problem
            if item.left_out:
                left[item.left_out] += 1
            else:
                emotions[item.split][item.emotion] += 1
        found = {split: tuple(by[e] for e in (*EMOTIONS, CONTEMPT)) for split, by in emotions.items()}
        assert found == counts
        assert left == reasons
        assert sum(left.values()) + sum(map(sum, found.values())) == 35_887


REAL = [
    (
        ImportOptions(),
        {
            "train": (2100, 119, 532, 7287, 3014, 3149, 8740, 119),
            "validation": (287, 24, 62, 865, 351, 415, 1182, 13),
            "test": (273, 18, 83, 893, 384, 396, 1090, 16),
        },
        {"no majority": 2424, "tie": 1776, "no face": 176, "unknown": 99},
    ),
    (
        ImportOptions(8, "soft"),
        {
            "train": (2726, 234, 814, 7614, 3937, 3468, 9457, 166),
            "validation": (338, 40, 94, 902, 443, 459, 1254, 25),
            "test": (361, 27, 115, 934, 479, 431, 1178, 27),
        },
        {"unknown": 186, "no face": 178},
    ),
    (
        ImportOptions(7, "soft"),
        {
            "train": (2728, 230, 811, 7613, 3931, 3465, 9420, 0),
            "validation": (340, 39, 93, 901, 439, 459, 1247, 0),
            "test": (361, 27, 116, 934, 478, 430, 1175, 0),
        },
        {CONTEMPT_LEFT_OUT: 252, "unknown": 220, "no face": 178},
    ),
]
