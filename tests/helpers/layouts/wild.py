"""Small versions of RAF-DB, AffectNet, ExpW and SFEW, in exactly their published layouts."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from fercli.datasets.readers import Item, find_reader
from fercli.emotions import EMOTIONS
from tests.helpers.datasets import face, write_tree
from tests.helpers.layouts.base import BROKEN, Published

Tree = dict[str, np.ndarray | bytes]

RAF = ("surprise", "fear", "disgust", "happy", "sad", "angry", "neutral")
AFFECTNET = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "angry", "contempt")
TOKENS = (
    st.text(st.characters(codec="utf-8", exclude_characters="\n\r,"), min_size=1, max_size=20)
    .map(str.strip)
    .filter(lambda name: name and " ".join(name.split()) == name)
)
"""File names, without consecutive spaces."""
TWO_SPLITS = {(split, emotion): 2 for split in ("train", "test") for emotion in EMOTIONS}


def read(source: Path, name: str | None = None) -> list[Item]:
    """Return the items of the detected reader, or of the one with the given name."""
    return list(find_reader(source, name).read(source))


def found(items: list[Item]) -> list[tuple[str, str, str, str]]:
    """Return split, emotion, name, and the reason for being skipped, of each item."""
    return [(item.split, item.emotion, item.name, item.problem or item.left_out) for item in items]


def photograph(seed: int, height: int = 60, width: int = 80) -> np.ndarray:
    """Return a colour image that is larger than its face."""
    return np.stack([face(3 * seed + channel, max(height, width))[:height, :width] for channel in range(3)], axis=2)


def raf_db_names() -> list[tuple[str, int]]:
    """Return the names and codes of a small list: two per emotion in train and in test."""
    codes = [code for code in range(1, 8) for _ in range(2)]
    return [(f"{split}_{n:05d}", code) for split in ("train", "test") for n, code in enumerate(codes, 1)]


def raf_db_layout(folder: Path) -> Published:
    names = raf_db_names()
    lines = [f"{name}.jpg {code}" for name, code in names]
    tree: Tree = {f"basic/Image/aligned/{name}_aligned.jpg": face(n, 100) for n, (name, _) in enumerate(names)}
    lines += ["train_00099.jpg 5", "train_00100.jpg x", "train_00101.jpg", "train_00102.jpg 3", "other_1.jpg 3"]
    lines += ["train_00001.jpg 1"]
    tree |= {f"basic/Image/aligned/{name}_aligned.jpg": face(90, 100) for name in ("train_00100", "other_1", "extra")}
    tree |= {"basic/Image/aligned/train_00102_aligned.jpg": BROKEN, "basic/Image/aligned/Thumbs.db": b"no picture"}
    tree |= {"basic/EmoLabel/list_patition_label.txt": "\n".join(lines).encode(), "basic/readme.txt": b"RAF-DB"}
    bad = {"missing": 1, "unknown label": 1, "line cut off": 1, "truncated": 1, "not in the list": 1}
    bad |= {"no train or test prefix": 1, "listed twice": 1}
    return Published(write_tree(folder, tree), dict(TWO_SPLITS), bad, {"unsupported file type": 1})


def raf_db_original_layout(folder: Path) -> Published:
    names = raf_db_names()
    lines = [f"{name}.jpg {code}" for name, code in names] + ["train_00100.jpg 1", "train_00101.jpg 1"]
    tree: Tree = {f"basic/Image/original/{name}.jpg": photograph(n) for n, (name, _) in enumerate(names)}
    boxes = "basic/Annotation/boundingbox"
    tree |= {f"{boxes}/{name}_boundingbox.txt": b"10.5 5.25 50.5 45.0 \n" for name, _ in names}
    tree |= {f"basic/Image/original/train_0010{n}.jpg": photograph(80 + n) for n in range(2)}
    tree |= {f"{boxes}/train_00100_boundingbox.txt": b"50 5 10 45"}
    tree |= {"basic/EmoLabel/list_patition_label.txt": "\n".join(lines).encode()}
    return Published(write_tree(folder, tree), dict(TWO_SPLITS), {"wrong face box": 2})


def raf_db_folders_layout(folder: Path) -> Published:
    names = raf_db_names()
    tree: Tree = {
        f"DATASET/{name.split('_')[0]}/{code}/{name}_aligned.jpg": face(n, 100) for n, (name, code) in enumerate(names)
    }
    tree |= {"train_labels.csv": b"image,label\n", "test_labels.csv": b"image,label\n"}
    tree |= {"DATASET/train/x/train_00090_aligned.jpg": face(90), "DATASET/test/1/test_0091_aligned.jpg": BROKEN}
    tree |= {"DATASET/test/1/train_00092_aligned.jpg": face(92), "DATASET/test/1/stray.jpg": face(93)}
    bad = {"unknown label": 1, "truncated": 1, "prefix and folder differ": 1, "no train or test prefix": 1}
    return Published(write_tree(folder, tree), dict(TWO_SPLITS), bad)


AFFECTNET_HEADER = (
    "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal\n"
)


def affectnet_row(path: str, code: object, box: str = "10,5,40,42", affect: str = "-0.17,0.42") -> str:
    """Return a line of AffectNet's lists."""
    landmarks = ";".join(f"{x}.5;{x + 1}.25" for x in range(68))
    return f"{path},{box},{landmarks},{code},{affect}\n"


def affectnet_tree(kind: str, codes: dict[str, list[int]]) -> tuple[Tree, dict[str, str]]:
    """Return the images and the texts of the lists by name, one image per code."""
    tree: Tree = {}
    texts = {}
    for split, each in codes.items():
        texts[split] = AFFECTNET_HEADER
        for n, code in enumerate(each):
            path = f"{len(tree) % 3 + 1}/{split[:2]}{n:04x}.{'jpg' if n % 2 else 'png'}"
            tree[f"{kind}_Images/{path}"] = photograph(len(tree))
            texts[split] += affectnet_row(path, code)
    return tree, texts


def affectnet_csv_layout(folder: Path) -> Published:
    each = [code for code in range(7) for _ in range(2)]
    tree, texts = affectnet_tree("Manually_Annotated", {"training": [*each, 8, 9, 10], "validation": each})
    texts["training"] += affectnet_row("../out.jpg", 1) + affectnet_row("/etc/out", 1) + affectnet_row("1/gone.jpg", 1)
    texts["training"] += (
        affectnet_row("1/tr0000.png", "x") + affectnet_row("1/tr0000.png", 1, "a,b,c,d") + "1/tr0000.png,1\n"
    )
    tree |= {f"{name}.csv": text.encode() for name, text in texts.items()}
    bad = {"labelled none": 1, "labelled uncertain": 1, "labelled non-face": 1, "missing": 1}
    bad |= {"path leads outside the folder": 2, "unknown label": 1, "wrong face box": 1, "line cut off": 1}
    return Published(write_tree(folder, tree), dict(TWO_SPLITS), bad)


def affectnet_automatic_layout(folder: Path) -> Published:
    each = [code for code in range(7) for _ in range(2)]
    tree, texts = affectnet_tree("Automatically_Annotated", {"automatically_annotated": [*each, 8]})
    inner: Tree = {f"Automatically_Annotated/{path}": content for path, content in tree.items()}
    inner["Automatically_Annotated/Automatically_Annotated_Images/1/cut.png"] = BROKEN
    texts["automatically_annotated"] += affectnet_row("1/cut.png", 3)
    list_name = "Automatically_Annotated/Automatically_annotated_file_list/automatically_annotated.csv"
    inner[list_name] = texts["automatically_annotated"].encode()
    expected = {("train", emotion): 2 for emotion in EMOTIONS}
    return Published(write_tree(folder, inner), expected, {"labelled none": 1, "truncated": 1})


def npy(value: object) -> bytes:
    """Return a value in .npy format."""
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(value))
    return buffer.getvalue()


def affectnet_npy_layout(folder: Path) -> Published:
    tree: Tree = {}
    for name in ("train_set", "val_set"):
        for number, code in enumerate(code for code in range(7) for _ in range(2)):
            tree[f"{name}/images/{number}.jpg"] = photograph(len(tree), 64, 64)
            for kind, value in (("exp", str(code)), ("aro", 0.5), ("val", -0.5), ("lnd", np.zeros(136))):
                tree[f"{name}/annotations/{number}_{kind}.npy"] = npy(value)
    tree |= {"train_set/images/100.jpg": face(100, 64), "train_set/annotations/101_exp.npy": npy("1")}
    tree |= {"train_set/images/102.jpg": face(102, 64), "train_set/annotations/102_exp.npy": b"\x93NUMPY\x01"}
    tree |= {"train_set/images/103.jpg": face(103, 64), "train_set/annotations/103_exp.npy": npy("x")}
    tree |= {"train_set/images/104.jpg": BROKEN, "train_set/annotations/104_exp.npy": npy("1")}
    bad = {"no label": 1, "missing": 1, "label unreadable": 1, "unknown label": 1, "truncated": 1}
    return Published(write_tree(folder, tree), dict(TWO_SPLITS), bad)


def expw_layout(folder: Path) -> Published:
    tree: Tree = {f"image/origin/happy_man_{n}.jpg": photograph(n) for n in range(14)}
    lines = [f"happy_man_{n}.jpg {face_id} 5 10 50 45 90.5 {n % 7}" for n in range(14) for face_id in range(2)]
    # Two faces of one photograph have the same image, and different boxes.
    lines = [line.replace(" 1 5 10 ", " 1 8 14 ") for line in lines]
    lines += ["../out.jpg 0 5 10 50 45 90.5 3", "gone.jpg 0 5 10 50 45 90.5 3", "happy_man_0.jpg 2 5 10 50 45 90.5 x"]
    lines += ["happy_man_0.jpg 2 45 10 50 5 90.5 3", "happy_man_0.jpg 2 5 10", "happy_man_0.jpg x 5 10 50 45 90.5 3"]
    tree["label.lst"] = "\n".join(lines).encode()
    bad = {"missing": 1, "path leads outside the folder": 1, "unknown label": 1, "wrong face box": 1, "line cut off": 1}
    bad |= {"wrong face number or confidence": 1}
    return Published(write_tree(folder, tree), {("", emotion): 4 for emotion in EMOTIONS}, bad)


SFEW = ("Angry", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise")
FILMS = ("Airheads", "AmericanHistoryX", "About_A_Boy", "Bridesmaids")


def sfew_tree(train: str, val: str) -> Tree:
    """Return frames of films, two per split and emotion."""
    return {
        f"{folder}/{emotion}/{FILMS[2 * split + each]}_{place:05d}9240_0000000{each}.png": photograph(100 * split + n)
        for split, folder in enumerate((train, val))
        for n, (emotion, each, place) in enumerate((e, k, 10 * i + k) for i, e in enumerate(SFEW) for k in range(2))
    }


def sfew_layout(folder: Path) -> Published:
    tree = sfew_tree("Train", "Val")
    tree |= {"Test/Film_000000001_00000001.png": face(1), "Train/Angry/Film_000000001_00000001.png": BROKEN}
    tree |= {"Val/Bored/Film_000000001_00000001.png": face(2)}
    return Published(write_tree(folder, tree), dict(TWO_SPLITS), {"no label": 1, "truncated": 1, "unknown emotion": 1})


def sfew_aligned_layout(folder: Path) -> Published:
    tree = sfew_tree("Train/Train_Aligned_Faces", "Val/Val_Aligned_Faces_new/Val_Aligned_Faces")
    tree |= {
        "Test/Test_Aligned_Faces/Film_000000001_00000001.png": face(1),
        "Test/Film_000000001_00000001.png": face(2),
    }
    tree |= {"Train/Train_Aligned_Faces/Angry/Film_000000001_00000001.png": b""}
    bad = {"no label": 1, "empty": 1}
    return Published(write_tree(folder, tree), dict(TWO_SPLITS), bad, {"not used by this layout": 1})


LAYOUTS: dict[str, Callable[[Path], Published]] = {
    "raf-db": raf_db_layout,
    "raf-db-original": raf_db_original_layout,
    "raf-db-folders": raf_db_folders_layout,
    "affectnet-csv": affectnet_csv_layout,
    "affectnet-automatic": affectnet_automatic_layout,
    "affectnet-npy": affectnet_npy_layout,
    "expw": expw_layout,
    "sfew-aligned": sfew_aligned_layout,
    "sfew": sfew_layout,
}
"""Layouts by reader name, in the order of `READERS`."""
