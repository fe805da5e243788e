"""Detect: layouts, options, resuming and errors."""

import csv
import itertools
import json
import shutil
import signal
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import fercli
from fercli.artifacts import Artifact, is_artifact, open_artifact
from fercli.artifacts.building import build
from fercli.datasets.index import read_index
from fercli.emotions import EMOTIONS
from fercli.errors import DataError, FerError, ImageError, UsageError
from fercli.images import pixel_digest, read_image
from fercli.progress import Progress
from tests.helpers.cli import CliResult
from tests.helpers.crashes import DETECT_PLACES, detect_and_die
from tests.helpers.datasets import encoded, names, noise, write_tree
from tests.helpers.photographs import HOPPER, photograph, squares, write_network

Fer = Callable[..., CliResult]
SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_network(tmp_path_factory.mktemp("network") / "bright.onnx")


@pytest.fixture
def go(network: Path, tmp_path: Path) -> Callable[..., Artifact]:
    """Detect with a fast network that finds white squares."""

    def call(raw: Path, out: str = "faces", **options: Any) -> Artifact:
        given = {"detector": "yolov5-face", "weights": network, "size": 16, **options}
        return fercli.detect(raw, tmp_path / out, **given)

    return call


Go = Callable[..., Artifact]


def six(folder: Path) -> Path:
    """Write six photographs in three splits: some with one to three faces, one without, one unreadable."""
    return write_tree(
        folder,
        {
            "train/happy/a.png": squares((0, 0), (2, 2), background=1),
            "train/happy/deeper/a.png": squares((1, 1), background=2),
            "Training/Anger/b.png": squares((0, 3), (1, 0), (3, 3), background=3),
            "train/sad/none.png": squares(background=4),
            "val/happy/c.png": squares((3, 0), background=5),
            "test/sad/broken.png": encoded(squares((0, 0)))[:60],
        },
    )


def tree(folder: Path) -> dict[str, bytes]:
    """Return all files except the manifest, which contains times."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "artifact.json")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


# --- output ---


def test_splits_and_emotions_are_kept_with_canonical_names(go: Go, tmp_path: Path) -> None:
    faces = go(six(tmp_path / "raw"))
    rows = read_index(faces)
    assert [row.path for row in rows] == [
        "train/angry/b-0.png", "train/angry/b-1.png", "train/angry/b-2.png",
        "train/happy/a-0.png", "train/happy/a-1.png", "train/happy/a-0-2.png", "validation/happy/c-0.png",
    ]  # fmt: skip
    assert [row.photograph for row in rows[2:6]] == [
        "Training/Anger/b.png", "train/happy/a.png", "train/happy/a.png", "train/happy/deeper/a.png"
    ]  # fmt: skip
    manifest = faces.manifest
    assert manifest.emotions == ["angry", "happy"]
    assert manifest.counts == {"train": {"angry": 3, "happy": 3}, "validation": {"angry": 0, "happy": 1}}
    assert manifest.skipped == {"no face": ["train/sad/none.png"], "truncated": ["test/sad/broken.png"]}
    summary = dict(manifest.summary)
    assert summary.pop("images_per_second") > 0
    assert summary == {"images": 6, "faces": 7, "without_face": 1, "unreadable": 1}
    assert names(faces.path) == ["artifact.json", "contact-sheet.png", "index.csv", "train", "validation"]


def test_rows_describe_their_crops(go: Go, tmp_path: Path) -> None:
    faces = go(six(tmp_path / "raw"))
    with (faces.path / "index.csv").open(newline="") as file:
        row = next(row for row in csv.DictReader(file) if row["path"] == "train/happy/a-1.png")
    crop = read_image(faces.path / row["path"])
    assert crop.shape == (16, 16)
    assert (crop == 255).all()
    assert row["sha256"] == pixel_digest(crop)
    assert row["box"] == "32.00 32.00 16.00 16.00"
    assert row["landmarks"] == "36.00 36.00 44.00 36.00 40.00 40.00 36.00 44.00 44.00 44.00"
    assert row["score"] == "1.0000"
    assert (row["photograph"], row["source"], row["origin"]) == ("train/happy/a.png", "train/happy/a.png", "real")


@pytest.mark.slow
def test_emotion_folders_are_split_by_photograph(go: Go, tmp_path: Path) -> None:
    cells = list(itertools.product(range(4), range(4)))
    pictures = {
        f"{emotion}/{k}.png": squares(cells[k % 16], cells[(k + 5) % 16], background=10 * number + k)
        for number, emotion in enumerate(("Happiness", "sad"))
        for k in range(20)
    }
    pictures["sad/copy.png"] = pictures["sad/7.png"]
    write_tree(tmp_path / "raw", pictures)
    rows = read_index(go(tmp_path / "raw"))
    split_of = defaultdict(set)
    for row in rows:
        split_of[row.photograph].add(row.split)
    assert all(len(splits) == 1 for splits in split_of.values())
    assert split_of["sad/7.png"] == split_of["sad/copy.png"]  # duplicates are in the same split
    for emotion, photographs in (("Happiness", 20), ("sad", 21)):
        cut = Counter(next(iter(s)) for name, s in split_of.items() if name.startswith(emotion))
        assert cut.total() == photographs
        assert cut["train"] in (16, 17)
        assert cut["validation"] in (2, 3)
        assert cut["test"] in (2, 3)
    other = {row.photograph: row.split for row in read_index(go(tmp_path / "raw", "other", seed=1))}
    assert other != {row.photograph: row.split for row in rows}


def test_other_folders_are_unlabelled(go: Go, tmp_path: Path) -> None:
    write_tree(tmp_path / "raw", {"2024/a.png": squares((0, 0)), "happy_2025/b.png": squares((1, 1)), "note.txt": b"x"})
    faces = go(tmp_path / "raw")
    assert [row.path for row in read_index(faces)] == ["unlabelled/a-0.png", "unlabelled/b-0.png"]
    assert faces.manifest.emotions == []
    assert faces.manifest.counts == {"unlabelled": {"unlabelled": 2}}
    one = go(tmp_path / "raw" / "2024" / "a.png", "one")
    assert [(row.path, row.photograph) for row in read_index(one)] == [("unlabelled/a-0.png", "a.png")]


def test_single_emotion_folder_counts_only_if_alone(go: Go, tmp_path: Path) -> None:
    write_tree(tmp_path / "raw", {f"happy/{k}.png": squares((0, k), background=k) for k in range(4)})
    assert go(tmp_path / "raw").manifest.emotions == ["happy"]
    write_tree(tmp_path / "raw", {"holidays/a.png": squares((3, 3))})
    assert go(tmp_path / "raw", "other").manifest.emotions == []


def test_pictures_outside_emotion_folders_are_listed(go: Go, tmp_path: Path) -> None:
    raw = six(tmp_path / "raw")
    write_tree(
        raw, {"train/hungry/x.png": squares((0, 0)), "extra/y.png": squares((0, 0)), "sheet.png": squares((0, 0))}
    )
    faces = go(raw)
    assert faces.manifest.skipped["unknown emotion"] == ["extra/y.png", "train/hungry/x.png"]
    assert faces.summary["images"] == 6
    assert faces.summary["faces"] == 7


def test_every_file_is_read_or_listed(go: Go, tmp_path: Path) -> None:
    jpeg, dark = encoded(squares((0, 0)), "JPEG", quality=100), encoded(np.zeros((32, 32), np.uint8))
    tree: dict[str, Any] = {f"train/happy/{name}": jpeg for name in ("a.jfif", "b.JPE", "c", "d.39")}
    tree |= {"train/sad/dark.png": dark, "train/sad/notes": b"a text", "train/sad/.hidden.png": jpeg}
    tree |= {"labels.csv": b"", "cover.png": jpeg, "train/Thumbs.db": b"", "train/sheet.jpg": jpeg}
    faces = go(write_tree(tmp_path / "raw", tree))
    assert [Path(row.path).name for row in read_index(faces)] == ["a-0.png", "b-0.png", "c-0.png", "d.39-0.png"]
    assert faces.manifest.skipped == {
        "no face": ["train/sad/dark.png"],
        "not in an emotion folder": ["cover.png", "train/sheet.jpg"],
        "unsupported file type": ["train/Thumbs.db"],
        "table not read": ["labels.csv"],
        "no file suffix and not an image": ["train/sad/notes"],
    }
    assert faces.summary["files_not_read"] == 5
    assert faces.manifest.details == {"nearly_black": ["train/sad/dark.png"]}
    assert go(tmp_path / "raw" / "train" / "happy" / "c", "one").summary["faces"] == 1


def test_files_of_an_artifact_are_not_listed(go: Go, tmp_path: Path) -> None:
    with build(tmp_path / "raw", "photographs", "sample", options={}, inputs=[]) as builder:
        write_tree(
            builder.folder, {"train/happy/a.png": squares((0, 0)), "sheet.png": squares((1, 1)), "truth.csv": b"x"}
        )
        builder.finish(digest="0")
    assert go(tmp_path / "raw").manifest.skipped == {}


@pytest.mark.parametrize("wrapping", ["x/", "photographs/photographs/"])
def test_wrapping_folders_are_descended_into(go: Go, tmp_path: Path, wrapping: str) -> None:
    plain = go(six(tmp_path / "raw"), "plain")
    six(tmp_path / "wrapped" / wrapping)
    wrapped = go(tmp_path / "wrapped", "other")
    assert [row.path for row in read_index(wrapped)] == [row.path for row in read_index(plain)]
    assert {row.photograph.startswith(wrapping) for row in read_index(wrapped)} == {True}
    assert wrapped.manifest.counts == plain.manifest.counts
    write_tree(
        tmp_path / "open",
        {f"{wrapping}{e}/{k}.png": squares((0, 0), background=k) for e in ("happy", "sad") for k in range(3)},
    )
    assert go(tmp_path / "open", "third").manifest.emotions == ["happy", "sad"]


def test_largest_face_only(go: Go, tmp_path: Path) -> None:
    faces = go(six(tmp_path / "raw"), faces="largest")
    assert Counter(row.photograph for row in read_index(faces)).most_common(1)[0][1] == 1
    assert faces.summary["faces"] == 4


def test_size_color_margin_and_alignment(go: Go, tmp_path: Path) -> None:
    raw = write_tree(tmp_path / "raw", {"a.png": squares((1, 1), background=9)})
    faces = go(raw, size=24, color="rgb", margin=0.25, align=True)  # its eyes are level already
    crop = read_image(faces.path / "unlabelled" / "a-0.png")
    assert crop.shape == (24, 24, 3)
    expected = np.full((24, 24), 9, np.uint8)
    expected[4:20, 4:20] = 255
    assert np.array_equal(crop, np.repeat(expected[..., None], 3, 2))


def test_haar_on_a_photograph_rotated_by_exif(tmp_path: Path) -> None:
    upright = photograph((60, 20, 90), width=180, height=120)
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees clockwise for display
    rotated = encoded(np.rot90(upright), "JPEG", exif=exif, quality=95)
    write_tree(tmp_path / "raw", {"a.jpg": rotated})
    (row,) = read_index(fercli.detect(tmp_path / "raw", tmp_path / "faces"))
    left, top, width, height = map(float, row.box.split())
    assert abs(left + width / 2 - 107) < 8
    assert abs(top + height / 2 - 71) < 12
    crop = read_image(tmp_path / "faces" / row.path).astype(float)
    expected = np.asarray(Image.fromarray(upright).convert("L").crop((75, 38, 140, 103)).resize((48, 48)), float)
    assert np.corrcoef(crop.ravel(), expected.ravel())[0, 1] > 0.5
    assert crop.shape == (48, 48)


def test_photographs_artifact_is_an_input_with_lineage(go: Go, tmp_path: Path) -> None:
    with build(tmp_path / "drawn", "photographs", "sample", options={}, inputs=[]) as builder:
        write_tree(builder.folder, {"train/happy/a.png": squares((0, 0)), "contact-sheet.png": squares((1, 1))})
        builder.finish(digest="0" * 64)
    faces = go(tmp_path / "drawn")
    first, second = faces.manifest.inputs
    assert (first.name, first.kind, first.digest, first.path) == ("photographs", "photographs", "0" * 64, "../drawn")
    assert second.kind == "weights"
    assert faces.summary["images"] == 1


@pytest.mark.slow
def test_contact_sheet_size_is_bounded(go: Go, tmp_path: Path) -> None:
    pictures = {f"{k:03d}.png": squares(*itertools.product(range(4), range(4)), background=k) for k in range(60)}
    pictures |= {f"none{k}.png": squares(background=100 + k) for k in range(9)}
    sheet = read_image(go(write_tree(tmp_path / "raw", pictures)).path / "contact-sheet.png")
    assert sheet.shape[1] <= 1300
    assert sheet.shape[0] <= 1200
    assert (sheet == (0, 0xD5, 0xFF)).all(-1).sum() > 1000  # boxes
    assert sheet.std() > 10


# --- repeated and resumed calls ---


def test_output_is_independent_of_workers(go: Go, tmp_path: Path) -> None:
    raw = six(tmp_path / "raw")
    assert tree(go(raw, workers=1).path) == tree(go(raw, "other", workers=5).path)


def test_up_to_date_keeps_the_summary_and_other_weights_change_the_key(go: Go, network: Path, tmp_path: Path) -> None:
    raw = six(tmp_path / "raw")
    first = go(raw)
    again = go(raw, workers=3)
    assert again.up_to_date
    assert again.summary == first.summary
    shutil.copy(network, tmp_path / "same.onnx")
    assert go(raw, weights=tmp_path / "same.onnx").up_to_date
    write_network(tmp_path / "other.onnx", title="other")
    with pytest.raises(DataError, match="a different dataset already exists"):
        go(raw, weights=tmp_path / "other.onnx")
    with pytest.raises(DataError, match="a different dataset already exists"):
        go(raw, margin=0.2)
    assert not go(raw, margin=0.2, overwrite=True).up_to_date


class Listener(Progress):
    """Records log messages; optionally interrupts after a number of photographs."""

    def __init__(self, interrupt_at: int = 0) -> None:
        self.lines: list[str] = []
        self.calls = itertools.count(0)  # the first advance is for those already done
        self.interrupt_at = interrupt_at

    def log(self, message: str) -> None:
        self.lines.append(message)

    def advance(self, count: int = 1, note: str = "") -> None:
        if next(self.calls) == self.interrupt_at > 0:
            signal.raise_signal(signal.SIGINT)

    @property
    def resumed(self) -> list[str]:
        return [line for line in self.lines if line.startswith("resuming")]


def assert_same(found: Artifact, expected: Artifact) -> None:
    assert tree(found.path) == tree(expected.path)
    one, other = (a.manifest.model_dump(exclude={"started", "ended", "summary"}) for a in (found, expected))
    assert one == other
    assert not (found.path.parent / f".{found.path.name}.partial").exists()


@pytest.mark.slow
@pytest.mark.parametrize("place", DETECT_PLACES)
def test_resuming_after_a_kill_gives_the_same_output(place: str, go: Go, network: Path, tmp_path: Path) -> None:
    raw = six(tmp_path / "raw")
    options = {"detector": "yolov5-face", "weights": network, "size": 16, "photographs": raw, "workers": 1}
    assert detect_and_die(place, {**options, "out": tmp_path / "faces"}) == -signal.SIGKILL
    assert not (tmp_path / "faces").exists()
    assert (tmp_path / ".faces.partial").is_dir()
    listener = Listener()
    found = go(raw, progress=listener)
    if place not in ("before the first crop", "between photographs"):
        assert listener.resumed == ["resuming from photograph 6/6"]
    assert_same(found, go(raw, "whole"))


def test_resuming_after_two_interrupts(go: Go, tmp_path: Path) -> None:
    raw = six(tmp_path / "raw")
    for resumed in ([], ["resuming from photograph 2/6"]):
        listener = Listener(interrupt_at=2)
        with pytest.raises(KeyboardInterrupt):
            go(raw, progress=listener)
        assert listener.resumed == resumed
    listener = Listener()
    found = go(raw, progress=listener)
    assert listener.resumed == ["resuming from photograph 4/6"]
    assert_same(found, go(raw, "whole"))


@pytest.mark.parametrize(
    ("damage", "left"),
    [
        (lambda text: text[:-9], 3),  # a truncated line
        (lambda text: text.replace(b"train/happy/a.png", b"train/happy/z.png"), 2),
        (lambda text: b"\xff\x00nonsense\n" + text, 0),
        (lambda text: text.replace(b'"faces"', b'"fases"'), 0),
        (lambda text: b"[]\n", 0),
    ],
)
def test_damaged_journal_is_read_up_to_the_damage(
    damage: Callable[[bytes], bytes], left: int, go: Go, tmp_path: Path
) -> None:
    raw = six(tmp_path / "raw")
    with pytest.raises(KeyboardInterrupt):
        go(raw, progress=Listener(interrupt_at=4))
    journal = tmp_path / ".faces.partial" / "journal.jsonl"
    journal.write_bytes(damage(journal.read_bytes()))
    listener = Listener()
    found = go(raw, progress=listener)
    assert listener.resumed == ([f"resuming from photograph {left}/6"] if left else [])
    assert_same(found, go(raw, "whole"))


def test_damaged_and_missing_crops_are_recreated(go: Go, tmp_path: Path) -> None:
    raw = six(tmp_path / "raw")
    with pytest.raises(KeyboardInterrupt):
        go(raw, progress=Listener(interrupt_at=4))
    crops = sorted((tmp_path / ".faces.partial" / "crops").rglob("*.png"))
    crops[0].write_bytes(b"")
    crops[1].unlink()
    crops[-1].write_bytes(encoded(noise(0, 16, 16)))
    assert_same(go(raw), go(raw, "whole"))


# --- errors ---


def test_folder_without_images_is_an_error(go: Go, tmp_path: Path) -> None:
    write_tree(tmp_path / "raw", {"a/b.txt": b"x"})
    with pytest.raises(DataError, match=r"raw: no image in it \(supported: .*\.png"):
        go(tmp_path / "raw")
    with pytest.raises(DataError, match="no such file or folder"):
        go(tmp_path / "none")
    with pytest.raises(DataError, match="/dev/null: a device, not a file or folder"):
        go(Path("/dev/null"))
    assert names(tmp_path) == ["raw"]


def test_no_face_at_all_is_an_error_with_advice(go: Go, tmp_path: Path) -> None:
    write_tree(tmp_path / "raw", {"a.png": squares(background=1), "b.png": squares(background=2), "c.png": b""})
    with pytest.raises(DataError, match=r"no face detected \(1 empty, 2 no face\); try --detector haar or yunet"):
        go(tmp_path / "raw")
    assert names(tmp_path) == ["raw"]


def test_strict_stops_at_unreadable_photographs(go: Go, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"test/sad/broken\.png: truncated"):
        go(six(tmp_path / "raw"), strict=True)
    assert names(tmp_path) == ["raw"]
    (tmp_path / "raw/test/sad/broken.png").unlink()
    assert go(tmp_path / "raw", strict=True).summary["without_face"] == 1  # no face is not an error


def test_unsupported_detector_options_are_early_errors(tmp_path: Path) -> None:
    raw = six(tmp_path / "raw")
    with pytest.raises(UsageError, match=r"--align: haar finds no eyes .* use --detector yunet or yolov5-face"):
        fercli.detect(raw, tmp_path / "faces", align=True)
    with pytest.raises(UsageError, match="also name their detector: --detector yunet"):
        fercli.detect(raw, tmp_path / "faces", weights=HOPPER)
    with pytest.raises(UsageError, match="haar accepts no weights"):
        fercli.detect(raw, tmp_path / "faces", detector="haar", weights=HOPPER)
    with pytest.raises(UsageError, match="no detector 'haarr'; did you mean haar"):
        fercli.detect(raw, tmp_path / "faces", detector="haarr")
    with pytest.raises(DataError, match="not an ONNX file"):
        fercli.detect(raw, tmp_path / "faces", detector="yolov5-face", weights=HOPPER)
    with pytest.raises(FerError, match="fer weights get yunet"):
        fercli.detect(raw, tmp_path / "faces", detector="yunet")
    for option in ({"size": 7}, {"margin": -0.1}, {"margin": float("nan")}, {"color": "grey"}, {"faces": "two"}):
        with pytest.raises(UsageError, match=f"detect: {next(iter(option))}: "):
            fercli.detect(raw, tmp_path / "faces", **option)
    assert names(tmp_path) == ["raw"]


def test_artifact_of_another_kind_is_an_error(go: Go, tmp_path: Path) -> None:
    with build(tmp_path / "run", "run", "train", options={}, inputs=[]) as builder:
        builder.finish(digest="0" * 64)
    with pytest.raises(DataError, match="is a run; expected a photographs or dataset"):
        go(tmp_path / "run")


def test_unusual_file_names(go: Go, tmp_path: Path) -> None:
    odd = ["a b.png", "..png", "-x.png", "new\nline.png", "[bold].png", "é" * 100 + ".png"]
    write_tree(tmp_path / "raw", {name: encoded(squares((0, k % 4), background=k)) for k, name in enumerate(odd)})
    rows = read_index(go(tmp_path / "raw"))
    assert len({row.path for row in rows}) >= 5
    assert all(row.path.isprintable() and row.photograph.isprintable() for row in rows)


# --- the command ---


def test_command(fer: Fer, network: Path, tmp_path: Path) -> None:
    raw = six(tmp_path / "raw")
    call = ["detect", raw, tmp_path / "faces", "--detector", "yolov5-face", "--weights", network, "--size", "16"]
    ended = fer(*call)
    assert ended.code == 0
    assert "7 faces in 6 photographs; 1 without a face, 1 unreadable" in ended.out
    assert ended.lines[:2] == [
        "1 nearly black, such as train/sad/none.png: nothing can be seen",
        "no face from 2 pictures (1 no face, 1 truncated); the manifest lists them",
    ]
    found = json.loads(fer(*call, "--json").out)
    assert list(found)[4:] == ["images", "faces", "without_face", "unreadable", "images_per_second"]
    assert found.items() >= open_artifact(tmp_path / "faces").summary.items()
    refused = fer("detect", raw, tmp_path / "other", "--align", "-q")
    assert (refused.code, refused.out, len(refused.lines)) == (2, "", 1)
    assert not is_artifact(tmp_path / "other")


def test_emotions_are_in_canonical_order(go: Go, tmp_path: Path) -> None:
    pictures = {
        f"{split}/{emotion}/a.png": squares((0, 0), background=10 * k + j)
        for j, split in enumerate(SPLITS)
        for k, emotion in enumerate(sorted(EMOTIONS))
    }
    faces = go(write_tree(tmp_path / "raw", pictures))
    assert faces.manifest.emotions == list(EMOTIONS)
    assert list(faces.manifest.counts) == list(SPLITS)
