"""Small versions of FER+, CK+ and JAFFE, in their published layouts."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from fercli.datasets.readers.base import CONTEMPT_LEFT_OUT
from fercli.datasets.readers.unread import NO_SUFFIX
from fercli.emotions import EMOTIONS
from tests.helpers.datasets import csv_row, encoded, face, small_csv, write_tree
from tests.helpers.layouts.base import BROKEN, Published

VOTES_HEADER = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n"
VOTES_ORDER = ("neutral", "happy", "surprise", "sad", "angry", "disgust", "fear", "contempt", "unknown", "NF")
USAGES = ("Training", "PublicTest", "PrivateTest")


def votes_row(votes: Mapping[str, object], usage: str = "Training", name: str = "fer0000000.png") -> str:
    """Return a line of FER+'s votes."""
    return ",".join([usage, name, *(str(votes.get(column, 0)) for column in VOTES_ORDER)]) + "\n"


def write_ferplus(folder: Path, extra: list[tuple[np.ndarray, str]] = (), each: int = 2) -> Path:  # type: ignore[assignment]
    """Write both tables: `each` unanimous faces per emotion and split, then `extra` (pixels, line of votes)."""
    table = small_csv(folder / "fer2013.csv", each)
    lines = [
        votes_row({emotion: 8, "neutral": 2} if emotion != "neutral" else {emotion: 10}, usage)
        for usage in USAGES
        for emotion in EMOTIONS
        for _ in range(each)
    ]
    with table.open("a") as file:
        for pixels, line in extra:
            file.write(csv_row(0, pixels, line.split(",")[0]))
            lines.append(line)
    (folder / "fer2013new.csv").write_text(VOTES_HEADER + "".join(lines))
    return folder


def ferplus_layout(folder: Path) -> Published:
    votes = {
        "no majority": {"happy": 4, "sad": 3, "fear": 3},
        "tie": {"happy": 4, "sad": 4, "fear": 2},
        "unknown": {"happy": 2, "unknown": 8},
        CONTEMPT_LEFT_OUT: {"contempt": 7, "neutral": 3},
        "votes unreadable": {"happy": "ten"},
        "no votes": {},
    }
    extra = [(face(900 + k), votes_row(row)) for k, row in enumerate(votes.values())]
    extra += [
        (face(910), votes_row({"NF": 10}, name="")),
        (face(911), votes_row({"happy": -3, "sad": 8})),
        (face(912)[:47], votes_row({"happy": 10})),
    ]
    bad = {**dict.fromkeys(votes, 1), "no face": 1, "votes unreadable": 2, "wrong pixels": 1}
    expected = {(split, emotion): 2 for split in ("train", "validation", "test") for emotion in EMOTIONS}
    return Published(write_ferplus(folder, extra), expected, bad)


def write_sequence(folder: Path, place: str, frames: int, label: str | None, seed: int = 0) -> None:
    """Write a CK+ sequence and, unless the label is None, its label file."""
    subject, number = place.split("/")
    stems = [f"{subject}_{number}_{frame + 1:08d}" for frame in range(frames)]
    pictures = {f"cohn-kanade-images/{place}/{s}.png": face(seed * 100 + k, 40) for k, s in enumerate(stems)}
    write_tree(folder, pictures)
    if label is not None:
        write_tree(folder, {f"Emotion/{place}/{stems[-1] if stems else 'S'}_emotion.txt": label.encode()})


def ckplus_layout(folder: Path) -> Published:
    numbers = {"angry": 1, "disgust": 3, "fear": 4, "happy": 5, "sad": 6, "surprise": 7}
    for person in range(3):
        for k, number in enumerate(numbers.values()):
            write_sequence(folder, f"S{person + 5:03d}/{k + 1:03d}", 6, f"   {number:.7e}\n", seed=10 * person + k)
    write_sequence(folder, "S005/010", 5, "   2.0000000e+00\n", seed=50)
    write_sequence(folder, "S006/010", 7, None, seed=51)
    write_sequence(folder, "S007/010", 3, "   1.0000000e+00\n", seed=52)
    for number, label in enumerate(("junk", "", "1.5", "nan", "1e400", "1 2")):
        write_sequence(folder, f"S008/{number:03d}", 5, label, seed=60 + number)
    write_sequence(folder, "S009/001", 5, "   4.0000000e+00\n", seed=70)
    write_tree(folder, {"Emotion/S009/001/second_emotion.txt": b"5"})
    write_sequence(folder, "S009/002", 0, "   4.0000000e+00\n")
    write_sequence(folder, "S009/003", 5, "   5.0000000e+00\n", seed=71)
    write_tree(folder, {"cohn-kanade-images/S009/003/S009_003_00000005.png": BROKEN})
    write_tree(folder, {"cohn-kanade-images/S009/003/.DS_Store": b"x", "cohn-kanade-images/notes.txt": b"x"})
    expected = {("", emotion): 9 for emotion in numbers} | {("", "neutral"): 20}
    expected["", "happy"] += 2
    bad = {
        CONTEMPT_LEFT_OUT: 3,
        "sequence without a label": 1,
        "sequence too short": 1,
        "label unreadable": 6,
        "several labels": 1,
        "sequence without frames": 1,
        "truncated": 1,
    }
    unused = 18 * 2 + 2  # the frames between the first and the peak
    return Published(folder, expected, bad, {"not used by this layout": unused})


def ckplus_folders_layout(folder: Path) -> Published:
    words = {
        "anger": "angry", "disgust": "disgust", "fear": "fear", "happy": "happy", "sadness": "sad",
        "surprise": "surprise", "contempt": "contempt",
    }  # fmt: skip
    pictures: dict[str, np.ndarray | bytes] = {
        f"CK+48/{word}/S{person:03d}_{number + 1:03d}_{frame:08d}.png": face(1000 * number + 10 * person + frame)
        for number, word in enumerate(words)
        for person in (10, 11, 999)
        for frame in (15, 16, 17)
    }
    pictures["CK+48/fear/S010_009_00000009.png"] = BROKEN
    pictures["CK+48/fear/somebody.png"] = face(9)
    expected = {("", emotion): 9 for emotion in words.values() if emotion != "contempt"}
    bad = {CONTEMPT_LEFT_OUT: 9, "truncated": 1, "no person in the file name": 1}
    return Published(write_tree(folder, pictures), expected, bad)


def jaffe_layout(folder: Path) -> Published:
    codes = {
        "AN": "angry",
        "DI": "disgust",
        "FE": "fear",
        "HA": "happy",
        "NE": "neutral",
        "SA": "sad",
        "SU": "surprise",
    }
    pictures: dict[str, np.ndarray | bytes] = {}
    for k, person in enumerate(("KA", "KL", "YM")):
        for j, code in enumerate(codes):
            for take in (1, 2):
                number = 14 * k + 2 * j + take
                pictures[f"{person}.{code}{take}.{number}.tiff"] = encoded(face(number, 64), "TIFF")
    pictures |= {"KA.XX1.900.tiff": face(1), "portrait.tiff": face(2), "KA.AN9.901.tiff": BROKEN, "README": b"a text"}
    bad = {"no emotion in the file name": 2, "truncated": 1}
    return Published(
        write_tree(folder, pictures), {("", emotion): 6 for emotion in codes.values()}, bad, {NO_SUFFIX: 1}
    )


def ckplus_csv_layout(folder: Path) -> Published:
    table = small_csv(folder / "ckextended.csv")
    with table.open("a") as file:
        for number, usage in enumerate(("Training", "PublicTest", "PrivateTest")):
            file.write(csv_row(7, face(900 + number), usage))
        file.write(csv_row(3, face(903)[:47], "Training"))
    expected = {(split, emotion): 2 for split in ("train", "validation", "test") for emotion in EMOTIONS}
    return Published(folder, expected, {CONTEMPT_LEFT_OUT: 3, "wrong pixels": 1})


LAYOUTS: dict[str, Callable[[Path], Published]] = {
    "ferplus": ferplus_layout,
    "ckplus-csv": ckplus_csv_layout,
    "ckplus": ckplus_layout,
    "ckplus-folders": ckplus_folders_layout,
    "jaffe": jaffe_layout,
}
