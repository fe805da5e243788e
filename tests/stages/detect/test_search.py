"""Detect: the default detector, search options, and rotated faces."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

import fercli
from fercli.datasets.index import read_index
from fercli.errors import UsageError
from fercli.faces.base import Face
from fercli.faces.detectors import choose_detector
from fercli.images import Pixels, read_image
from fercli.stages.detect.face_extractor import DetectionResult, FrameFaces
from fercli.stages.detect.journal import Journal
from fercli.weights import find_published
from tests.helpers.cli import CliResult
from tests.helpers.datasets import write_tree
from tests.helpers.photographs import HOPPER, photograph
from tests.helpers.progress import Log

HEADS = ((10, 10, 100), (130, 90, 100))


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "raw", {"a.png": photograph(*HEADS, width=260, height=200)})


def numbers(text: str) -> list[float]:
    return [float(value) for value in text.split()]


# --- the default detector ---


def test_default_detector_is_logged_and_in_the_manifest(raw: Path, tmp_path: Path) -> None:
    log = Log()
    faces = fercli.detect(raw, tmp_path / "faces", progress=log)
    assert faces.manifest.options["detector"] == "haar"
    assert sum("fer weights get yunet" in line for line in log.lines) == 1
    named = Log()
    assert fercli.detect(raw, tmp_path / "faces", detector="haar", progress=named).up_to_date
    assert not any("fer weights" in line for line in named.lines)


def test_yunet_is_the_default_if_its_weights_are_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FERCLI_CACHE", str(tmp_path))
    log = Log()
    assert choose_detector(None, progress=log) == "haar"
    path = find_published("yunet").path
    path.parent.mkdir(parents=True)
    path.write_bytes(b"weights")
    assert len(log.lines) == 1
    assert choose_detector(None, progress=log) == "yunet"
    assert choose_detector("haar", progress=log) == "haar"
    assert len(log.lines) == 1
    with pytest.raises(UsageError, match="also name their detector"):
        choose_detector(None, path)
    with pytest.raises(UsageError, match="no detector 'yunett'"):
        choose_detector("yunett")


# --- search options ---


@pytest.mark.slow
def test_search_options_are_in_the_key_only_if_given(raw: Path, tmp_path: Path) -> None:
    faces = fercli.detect(raw, tmp_path / "faces", detector="haar")
    assert not {"search_size", "turns"} & set(faces.manifest.options)
    searched = fercli.detect(raw, tmp_path / "searched", detector="haar", search_size=200, turns=True)
    assert (searched.manifest.options["search_size"], searched.manifest.options["turns"]) == (200, True)
    assert searched.manifest.key != faces.manifest.key


@pytest.mark.parametrize("stage", ["detect", "predict", "explain"])
def test_stages_with_detection_share_options(stage: str, fer: Callable[..., CliResult]) -> None:
    text = " ".join(fer(stage, "--help").out.split())
    for option in ("--search-size", "--turns", "--detector"):
        assert option in text
    assert fer(stage, "x", "--search-size", "4").code == 2


def large(side: int) -> Pixels:
    """Return a large photograph with four heads in its corners, whose faces are `side` pixels wide."""
    portrait = read_image(HOPPER)
    wide = side * 512 // 210  # in the portrait, the face is 210 pixels wide
    small = cv2.resize(portrait, (wide, wide * 600 // 512), interpolation=cv2.INTER_AREA)
    pixels = np.full((2000, 2600, 3), 120, np.uint8)
    for top in (40, 1900 - small.shape[0]):
        for left in (50, 2500 - wide):
            pixels[top : top + small.shape[0], left : left + wide] = small
    return pixels


@pytest.mark.slow
def test_faces_larger_than_the_crop_are_detected_in_a_large_photograph(tmp_path: Path) -> None:
    raw = write_tree(tmp_path / "raw", {"a.png": large(66)})
    faces = fercli.detect(raw, tmp_path / "faces", detector="haar")
    assert faces.summary["faces"] == 4


@pytest.mark.slow
def test_smaller_search_size_misses_small_faces(tmp_path: Path) -> None:
    raw = write_tree(tmp_path / "raw", {"a.png": large(66), "b.png": photograph((10, 10, 200), width=240, height=240)})
    faces = fercli.detect(raw, tmp_path / "faces", detector="haar", search_size=600)
    assert [row.source for row in read_index(faces)] == ["b.png"]


# --- rotated faces ---


@pytest.mark.slow
def test_rotated_faces_are_cropped_upright_with_boxes_in_the_photograph(tmp_path: Path) -> None:
    upright = photograph((60, 30, 140), width=300, height=200)
    raw = write_tree(tmp_path / "raw", {"a.png": upright, "b.png": np.ascontiguousarray(np.rot90(upright, -1))})
    faces = fercli.detect(raw, tmp_path / "faces", detector="haar", turns=True)
    first, second = read_index(faces)
    left, top, wide, high = numbers(first.box)
    assert numbers(second.box) == pytest.approx([200 - top - high, left, high, wide], abs=6)
    crops = [read_image(faces.path / row.path).astype(int) for row in (first, second)]
    assert np.abs(crops[0] - crops[1]).mean() < 4


def test_rotation_is_kept_in_the_journal(tmp_path: Path) -> None:
    face = Face((1.0, 2.0, 3.0, 4.0), 0.5, None, 270)
    found = DetectionResult("train", "happy", "a", "a.png", (FrameFaces((face,), ("0" * 64,)),))
    with Journal(tmp_path / "journal.jsonl", lambda found: None) as journal:
        journal.add(found, 1.0)
        assert list(journal.read()) == [found]
