"""The leak check after balancing: equal pixels, near copies and parents in other splits, and their handling."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fercli
from fercli.datasets.index import Row, read_index
from fercli.datasets.leak_check import LeakChecker
from fercli.images import encode_png, pixel_digest, read_image
from fercli.progress import SILENT
from tests.helpers.datasets import encoded, face, make_dataset, noise
from tests.helpers.progress import Log


@pytest.fixture(autouse=True)
def _without_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fercli.stages.balance.stage.balance_figure", lambda plan, title, **_: encoded(face(0)))


def rows_of(folder: Path, images: dict[str, tuple[np.ndarray, str, str]]) -> list[Row]:
    """Write images: path to pixels, origin and parent."""
    rows = []
    for path, (pixels, origin, parent) in images.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(encode_png(pixels))
        split, emotion, _ = path.split("/")
        rows.append(Row(path, split, emotion, sha256=pixel_digest(pixels), origin=origin, parent=parent))
    return rows


def test_leaks_into_other_splits_are_found(tmp_path: Path) -> None:
    plain = np.full((48, 48), 7, np.uint8)
    small = np.asarray(Image.fromarray(face(3, 96)).resize((40, 40), Image.Resampling.BOX))
    rows = rows_of(
        tmp_path,
        {
            "test/sad/a.png": (face(1), "real", ""),
            "test/sad/b.png": (face(2), "real", ""),
            "validation/sad/c.png": (face(3, 96), "real", ""),
            "validation/sad/plain.png": (plain, "real", ""),
            "train/sad/own.png": (face(9), "real", ""),
            "train/sad/copy-of-real.png": (face(2), "real", ""),
            "train/sad/equal.png": (face(1), "generated", ""),
            "train/sad/lighter.png": (face(2) // 2 + 60, "augmented", "train/sad/own.png"),
            "train/sad/mirrored.png": (small[:, ::-1].copy(), "generated", ""),
            "train/sad/plain.png": (plain + 1, "generated", ""),
            "train/sad/foreign.png": (face(20), "augmented", "test/sad/b.png"),
            "train/sad/good.png": (face(21), "augmented", "train/sad/own.png"),
            "train/sad/like-own.png": (face(9) // 2, "augmented", "train/sad/own.png"),
        },
    )
    found = LeakChecker(tmp_path, 0, SILENT).check(rows, rows)
    assert found.equal == {"train/sad/equal.png": "test/sad/a.png"}
    assert found.near == {
        "train/sad/lighter.png": "test/sad/b.png", "train/sad/mirrored.png": "validation/sad/c.png"
    }  # fmt: skip
    assert found.parent == {"train/sad/foreign.png": "test/sad/b.png"}
    assert (found.checked, found.compared) == (7, 4)


@pytest.mark.slow
def test_near_leaks_match_brute_force(tmp_path: Path) -> None:
    """Blends of two pictures have all degrees of correlation with both."""
    from fercli.datasets.duplicates import MAX_BITS, MIN_CORRELATION, correlations
    from fercli.datasets.perceptual import ones, perceptual_hashes, shrink

    draw = np.random.default_rng(5)
    images: dict[str, tuple[np.ndarray, str, str]] = {}
    for k in range(60):
        share = draw.uniform(0.3, 1)
        mixed = (share * face(k // 2 % 4) + (1 - share) * face(50 + k % 3)).astype(np.uint8)
        split = ("train", "test")[k % 2]
        images[f"{split}/sad/{k}.png"] = (mixed[:, :: draw.choice((1, -1))].copy(), "generated", "")
    rows = rows_of(tmp_path, images)
    found = LeakChecker(tmp_path, 2, SILENT).check(rows, [row for row in rows if row.split == "train"])
    expected = set()
    for path in images:
        for other in images:
            if path.startswith("train") and other.startswith("test"):
                (a, a48), (b, b48) = shrink(images[path][0]), shrink(images[other][0])
                hashes, mirror = perceptual_hashes(np.stack([a, b]))
                for mirrored, against in ((False, hashes), (True, mirror)):
                    pair = np.stack([a48, b48]), np.array([0]), np.array([1])
                    close = ones(hashes[:1] ^ against[1:])[0] <= MAX_BITS
                    if close and correlations(*pair, mirrored=mirrored)[0] >= MIN_CORRELATION:
                        expected.add(path)
    assert set(found.near) == expected
    assert 5 < len(expected) < 28


def test_leaking_augmentation_is_repeated(tmp_path: Path) -> None:
    images = {"train/happy/a.png": face(1), "train/happy/b.png": face(2), "train/sad/c.png": face(3)}
    first = make_dataset(tmp_path / "first", {**images, "test/sad/t.png": face(4)})
    once = fercli.balance(first.path, tmp_path / "once")
    (child,) = [row for row in read_index(once) if row.parent]
    leaking = read_image(once.path / child.path) // 2 + 40  # darker, but the same picture
    second = make_dataset(tmp_path / "second", {**images, "test/sad/t.png": leaking})
    log = Log()
    done = fercli.balance(second.path, tmp_path / "out", progress=log)
    assert done.summary["check"] == {
        "made": 1, "against": 1, "equal": 0, "near": 1, "parent": 0, "made_again": 1, "taken_out": 0
    }  # fmt: skip
    assert (
        "checked 1 created images against 1 of other splits: 0 equal, 1 near; 1 created again, 0 removed" in log.lines
    )
    assert done.manifest.details["copies"] == {"train": [f"{child.path} = test/sad/t.png"]}
    (new,) = [row for row in read_index(done) if row.parent]
    assert new.path == child.path
    assert new.sha256 == pixel_digest(read_image(done.path / new.path)) != child.sha256
    rows = read_index(done)
    assert not LeakChecker(done.path, 0, SILENT).check(rows, rows).leaks
    again = fercli.balance(second.path, tmp_path / "again", workers=0)
    assert (again.path / "index.csv").read_bytes() == (done.path / "index.csv").read_bytes()


def test_augmentation_that_always_leaks_is_removed_and_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parent is itself a near copy of a test image, and the augmentation changes only brightness."""
    monkeypatch.setattr(
        "fercli.datasets.balancing.augmenter.augment",
        lambda pixels, draws: (pixels * (0.3 + 0.7 * draws[0])).astype(np.uint8),
    )
    images = {
        "train/happy/a.png": face(1),
        "train/happy/b.png": face(2),
        "train/sad/c.png": face(3),
        "test/sad/t.png": face(3) // 2 + 9,
    }
    log = Log()
    done = fercli.balance(make_dataset(tmp_path / "first", images).path, tmp_path / "out", progress=log)
    assert done.manifest.counts["train"] == {"happy": 2, "sad": 1}
    assert (done.summary["check"]["made_again"], done.summary["check"]["taken_out"]) == (0, 1)
    assert sorted(path.name for path in (done.path / "train/sad").iterdir()) == ["c.png"]
    assert any("0 created again, 1 removed" in line for line in log.lines)


def test_existing_copies_are_kept_and_reported(tmp_path: Path) -> None:
    images = {
        "train/sad/a.png": face(1),
        "train/sad/a-aug.png": face(2),
        "test/sad/t.png": face(2) // 2,
        "train/sad/b.png": noise(3, 48, 48),
    }
    first = make_dataset(tmp_path / "first", images, parents={"train/sad/a-aug.png": "train/sad/a.png"})
    log = Log()
    done = fercli.balance(first.path, tmp_path / "out", progress=log)
    assert done.summary["check"]["near"] == 1
    assert any("1 copies are from" in line and "fer clean --near" in line for line in log.lines)
    assert (done.path / "train/sad/a-aug.png").is_file()
