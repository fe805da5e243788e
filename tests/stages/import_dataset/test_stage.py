"""`fercli.import_dataset`: images and names are preserved, and bad input is reported."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest

import fercli
from fercli.artifacts import Artifact, is_artifact, open_artifact
from fercli.datasets.index import read_index
from fercli.emotions import EMOTIONS
from fercli.errors import DataError, FerError, UsageError
from fercli.images import pixel_digest, read_image
from tests.helpers.datasets import encoded, face, names, noise, python, small_csv, write_csv, write_tree


def tree(folder: Path, *paths: str) -> Path:
    """Write distinct PNG faces, and one of another emotion so that the layout is detected."""
    every = ["train/happy/other.png", *paths]
    return write_tree(folder, {path: encoded(face(seed)) for seed, path in enumerate(every)})


def check(made: Artifact) -> None:
    """Check that every row's file exists and matches its digest, and that there are no other files."""
    rows = read_index(open_artifact(made.path, "dataset"))
    files = {p.relative_to(made.path).as_posix() for p in made.path.rglob("*") if p.is_file()}
    assert files == {row.path for row in rows} | {"index.csv", "artifact.json"}
    for row in rows:
        assert row.path.isprintable()
        assert row.path.startswith(f"{row.split}/{row.emotion}/")
        assert pixel_digest(read_image(made.path / row.path)) == row.sha256


# --- contents ---


def test_csv_is_imported_pixel_for_pixel(tmp_path: Path) -> None:
    made = fercli.import_dataset(small_csv(tmp_path / "fer2013.csv"), str(tmp_path / "out"))
    check(made)
    rows = read_index(made)
    assert [int(row.row) for row in rows] == list(range(42))
    for seed, row in enumerate(rows):
        assert (read_image(made.path / row.path) == face(seed)).all()
        assert row.emotion == EMOTIONS[seed // 2 % 7]
        assert (row.source, row.origin) == ("fer2013.csv", "real")
    assert made.summary == {
        "images": {"train": 14, "validation": 14, "test": 14},
        "emotions": list(EMOTIONS),
        "skipped": {},
    }
    assert made.manifest.options == {
        "format": "fer2013-csv",
        "classes": 7,
        "votes": "majority",
        "share": 0.5,
        "map": None,
        "folds": None,
        "strict": False,
        "seed": 0,
    }


def test_files_are_hard_linked(tmp_path: Path) -> None:
    source = write_tree(
        tmp_path / "in",
        {"train/sad/a.JPG": encoded(face(1), "JPEG"), "train/happy/b.webp": encoded(noise(1, 9, 9, 3), "WEBP")},
    )
    made = fercli.import_dataset(source, tmp_path / "out")
    check(made)
    assert {row.path for row in read_index(made)} == {"train/sad/a.jpg", "train/happy/b.webp"}
    assert (made.path / "train/sad/a.jpg").stat().st_ino == (source / "train/sad/a.JPG").stat().st_ino


@pytest.mark.slow
def test_equal_images_stay_together_without_splits(tmp_path: Path) -> None:
    pictures = {f"{e}/{i}.png": face(i // 2 + 100 * k) for k, e in enumerate(("sad", "happy")) for i in range(60)}
    source = write_tree(tmp_path / "in", pictures)
    made = fercli.import_dataset(source, tmp_path / "out")
    check(made)
    rows = read_index(made)
    splits: dict[str, set[str]] = {}
    for row in rows:
        splits.setdefault(row.sha256, set()).add(row.split)
    assert all(len(found) == 1 for found in splits.values())
    assert made.summary["images"] == {"train": 96, "validation": 12, "test": 12}
    again = fercli.import_dataset(source, tmp_path / "again")
    assert again.manifest.digest == made.manifest.digest
    other = fercli.import_dataset(source, tmp_path / "other", seed=1)
    assert other.manifest.digest != made.manifest.digest


@pytest.mark.parametrize(
    "name",
    [
        "a b", "it's", 'say "x"', "new\nline", "tab\tand\x1b[31m", "улыбка", "笑顔", "-rf", "--help", "a,b;c", "a\\b",
        "a*?[b]", "x" * 245, "顔" * 80, "\u202eright", "a.png.png", "con", " lead", "trail .", "%s{0}$HOME",
    ],
)  # fmt: skip
def test_unusual_names(tmp_path: Path, name: str) -> None:
    source = tree(tmp_path / f"in {name[:20]}", f"train/sad/{name}.png")
    made = fercli.import_dataset(source, tmp_path / "out")
    check(made)
    assert made.summary["images"] == {"train": 2}


def test_names_that_are_not_unicode(tmp_path: Path) -> None:
    broken = os.fsdecode(b"\xff\xfe")
    source = tree(tmp_path / broken, f"train/sad/{broken}.png", f"train/sad/{broken}/deep.png")
    write_tree(source, {f"train/sad/{broken}x.png": b"a text"})
    made = fercli.import_dataset(source, tmp_path / "out")
    check(made)
    assert sum(made.summary["images"].values()) == 3
    assert made.summary["skipped"] == {"not an image": 1}
    json.loads((made.path / "artifact.json").read_text(encoding="utf-8"))


def test_equal_names_in_nested_folders_and_other_case(tmp_path: Path) -> None:
    paths = [f"train/sad/{p}.png" for p in ("a", "A", "x/a", "x/y/a", "z/a-2", "a-2")]
    made = fercli.import_dataset(tree(tmp_path / "in", *paths), tmp_path / "out")
    check(made)
    found = [row.path.lower() for row in read_index(made)]
    assert len(set(found)) == len(found) == 7


def test_links_and_hidden_files(tmp_path: Path) -> None:
    source = tree(tmp_path / "in", "train/sad/1.png")
    sad = source / "train/sad"
    write_tree(sad, {".hidden.png": encoded(face(50)), ".cache/2.png": encoded(face(51))})
    (tmp_path / "elsewhere.png").write_bytes(encoded(face(52)))
    (sad / "link.png").symlink_to(tmp_path / "elsewhere.png")
    (sad / "loop").symlink_to(sad)
    (sad / "self.png").symlink_to("self.png")
    (sad / "gone.png").symlink_to("nowhere.png")
    made = fercli.import_dataset(source, tmp_path / "out")
    check(made)
    assert sum(made.summary["images"].values()) == 3
    assert not any(path.is_symlink() for path in made.path.rglob("*"))
    assert (tmp_path / "elsewhere.png").exists()


def test_bad_images_are_skipped_counted_and_listed(tmp_path: Path) -> None:
    source = tree(tmp_path / "in", "train/sad/good.png")
    write_tree(
        source / "train/sad",
        {
            "cut.png": encoded(noise(1, 48, 48))[:800],
            "empty.jpg": b"",
            "text.jpg": b"a text",
            "deep/text.png": b"a text",
        },
    )
    made = fercli.import_dataset(source, tmp_path / "out")
    check(made)
    assert made.summary["skipped"] == {"empty": 1, "not an image": 2, "truncated": 1}
    assert made.manifest.skipped["not an image"] == ["train/sad/deep/text.png", "train/sad/text.jpg"]
    with pytest.raises(DataError, match=r"train/sad/(cut|empty|deep/text)\.") as caught:
        fercli.import_dataset(source, tmp_path / "strict", strict=True)
    assert "row None" not in str(caught.value)
    assert names(tmp_path) == ["in", "out"]


def test_emotions_keep_their_names_and_order(tmp_path: Path) -> None:
    source = write_tree(
        tmp_path / "in",
        {f"Training/{name}/1.png": face(i) for i, name in enumerate(("Happiness", "ANGER", "contempt"))},
    )
    made = fercli.import_dataset(source, tmp_path / "out", classes=8)
    assert made.summary["emotions"] == ["angry", "happy", "contempt"]
    assert made.manifest.counts == {"train": {"angry": 1, "happy": 1, "contempt": 1}}


# --- existing outputs ---


def test_up_to_date_depends_on_contents_and_options(tmp_path: Path) -> None:
    source = small_csv(tmp_path / "a.csv", each=1)
    out = tmp_path / "out"
    fercli.import_dataset(source, out)
    before = (out / "artifact.json").stat().st_mtime_ns
    assert fercli.import_dataset(source, out).up_to_date
    assert fercli.import_dataset(source, out, overwrite=True).up_to_date
    source.rename(tmp_path / "b.csv")
    assert fercli.import_dataset(tmp_path / "b.csv", out).up_to_date
    assert (out / "artifact.json").stat().st_mtime_ns == before
    with pytest.raises(DataError, match="a different dataset already exists"):
        fercli.import_dataset(tmp_path / "b.csv", out, seed=1)
    write_csv(tmp_path / "b.csv", [(0, face(1), "Training")])
    with pytest.raises(DataError, match="a different dataset already exists"):
        fercli.import_dataset(tmp_path / "b.csv", out)
    assert fercli.import_dataset(tmp_path / "b.csv", out, overwrite=True).summary["images"] == {"train": 1}
    check(open_artifact(out))


def test_output_and_input_must_be_disjoint(tmp_path: Path) -> None:
    source = tree(tmp_path / "in" / "set", "train/sad/1.png")
    table = small_csv(tmp_path / "in" / "a.csv", each=1)
    (tmp_path / "link").symlink_to(source)
    for given, out in (
        (source, source),
        (source, source / "deep" / "out"),
        (source, tmp_path / "link" / "out"),
        (tmp_path / "link", source),
        (table, table),
        (source, tmp_path / "in"),
        (table, tmp_path / "in"),
    ):
        with pytest.raises(UsageError, match=r"the output is inside the input|the output contains the input"):
            fercli.import_dataset(given, out, overwrite=True)
    assert names(tmp_path / "in") == ["a.csv", "set"]
    assert names(source) == ["train"]


def test_artifact_that_contains_the_input_is_not_replaced(tmp_path: Path) -> None:
    made = fercli.import_dataset(small_csv(tmp_path / "a.csv", each=1), tmp_path / "out")
    inner = fercli.clean(made.path, tmp_path / "inner").path
    inner.rename(made.path / "inner")
    with pytest.raises(UsageError, match=r"the output contains the input"):
        fercli.clean(made.path / "inner", made.path, overwrite=True)
    assert is_artifact(made.path / "inner")


def test_default_output_name_is_short_and_stable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = fercli.import_dataset(small_csv(Path("fer2013.csv"), each=1))
    assert made.path.parent.name == "artifacts"
    assert made.path.name.startswith("import-fer2013-")
    assert fercli.import_dataset("fer2013.csv").up_to_date
    long = fercli.import_dataset(Path("fer2013.csv").rename("x" * 250 + ".csv"))
    assert len(long.path.name) < 120
    assert fercli.pack(long.path, allow_leaks=True).path.name.startswith("pack-xxx")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("nothing", "no such file or folder"),
        ("empty", "empty folder"),
        ("empty.csv", "the table is empty"),
        ("header.csv", "no usable images"),
        ("bad.csv", r"no usable images \(1 unknown label, 1 wrong pixels\)"),
        ("text.txt", "unknown folder layout"),
        ("self", "no such file or folder"),
        ("broken", r"no usable images \(1 not an image\)"),
    ],
)
def test_bad_sources_are_refused_and_leave_nothing(tmp_path: Path, given: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.csv").write_bytes(b"")
    write_csv(tmp_path / "header.csv", [])
    write_csv(tmp_path / "bad.csv", [("x", face(1), "Training"), (1, face(1)[1:], "Training")])
    (tmp_path / "text.txt").write_text("a text")
    (tmp_path / "self").symlink_to("self")
    write_tree(tmp_path / "broken", {"train/sad/a.png": b"a text"})
    before = names(tmp_path)
    with pytest.raises(DataError, match=message):
        fercli.import_dataset(tmp_path / given, tmp_path / "out")
    assert names(tmp_path) == before


def test_invalid_options_are_refused(tmp_path: Path) -> None:
    for options, message in (
        ({"format": "csv"}, "no format 'csv'"),
        ({"seed": -1}, "seed: input should be greater than or equal to 0"),
        ({"sede": 1}, "sede: no such option"),
    ):
        with pytest.raises(UsageError, match=message):
            fercli.import_dataset(small_csv(tmp_path / "a.csv", each=1), tmp_path / "out", **options)


# --- interruptions ---


def test_full_disk_is_a_one_line_error_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, write, written = small_csv(tmp_path / "a.csv"), Path.write_bytes, [0]

    def full(path: Path, data: bytes) -> int:
        written[0] += 1
        if written[0] > 20:
            raise OSError(28, "No space left on device", str(path))
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(FerError, match="the disk is full; free some space and try again"):
        fercli.import_dataset(source, tmp_path / "out")
    assert names(tmp_path) == ["a.csv"]


SLOW = """
import sys, time
import fercli.cli.main
from fercli.stages.import_dataset import writing

encode, seen = writing.encode_png, [0]
def slow(pixels):
    seen[0] += 1
    if seen[0] == 20:
        print("here", flush=True)
    if seen[0] >= 20:
        time.sleep(0.05)
    return encode(pixels)
writing.encode_png = slow
sys.argv = ["fer", "import", *sys.argv[1:]]
fercli.cli.main.main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_interrupted_import_leaves_no_partial_dataset(tmp_path: Path, how: signal.Signals) -> None:
    source, out = small_csv(tmp_path / "a.csv", each=3), tmp_path / "out"
    process = python(SLOW, source, out)
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    process.send_signal(how)
    _, errors = process.communicate(timeout=60)
    assert not out.exists()
    if how != signal.SIGKILL:
        assert process.returncode == 130
        assert errors.splitlines()[-1].startswith("fer import: interrupted; repeat the call")
        assert "Traceback" not in errors
        assert names(tmp_path) == ["a.csv"]
    made = fercli.import_dataset(source, out)
    assert not made.up_to_date
    check(made)
    assert names(tmp_path) == ["a.csv", "out"]


@pytest.mark.slow
def test_concurrent_imports_to_one_output(tmp_path: Path) -> None:
    source, out = small_csv(tmp_path / "a.csv", each=4), tmp_path / "out"
    first = python(SLOW, source, out)
    assert first.stdout is not None
    assert first.stdout.readline() == "here\n"
    with pytest.raises(DataError, match="is being written by another call"):
        fercli.import_dataset(source, out)
    _, errors = first.communicate(timeout=60)
    assert first.returncode == 0, errors
    check(open_artifact(out))
    assert fercli.import_dataset(source, out).up_to_date


@pytest.mark.slow
def test_rows_keep_their_order(tmp_path: Path) -> None:
    """Rows keep the source's order for any thread scheduling."""
    rows = [
        (i % 7, np.full((48, 48), i % 256, np.uint8) if i % 3 else noise(i, 48, 48), "Training") for i in range(300)
    ]
    made = fercli.import_dataset(write_csv(tmp_path / "a.csv", rows), tmp_path / "out")
    assert [row.row for row in read_index(made)] == [str(i) for i in range(300)]
