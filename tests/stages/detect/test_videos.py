"""Detect on videos: frame intervals, one split per video, tracking, and unreadable files."""

import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import fercli
from fercli.artifacts import Artifact
from fercli.datasets.index import Row, read_index
from fercli.errors import DataError, ImageError, UsageError
from fercli.images import pixel_digest, read_image
from fercli.videos import Video
from tests.helpers.cli import CliResult
from tests.helpers.datasets import names, write_tree
from tests.helpers.photographs import squares, write_network
from tests.helpers.progress import Interrupting
from tests.helpers.videos import film, scene, shade

Fer = Callable[..., CliResult]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that detects white squares as faces."""
    return write_network(tmp_path_factory.mktemp("network") / "bright.onnx")


def spots(*cells: tuple[int, int], background: int = 40) -> np.ndarray:
    """Return a frame with white squares."""
    return np.repeat(squares(*cells, background=background)[..., None], 3, 2)


def by_face(dataset: Artifact) -> dict[str, list[Row]]:
    found = defaultdict(list)
    for row in read_index(dataset):
        found[row.face_id].append(row)
    return dict(found)


def middle(row: Row) -> float:
    left, _, width, _ = map(float, row.box.split())
    return left + width / 2


@pytest.mark.slow
def test_tracks_survive_crossing_and_a_short_absence(tmp_path: Path) -> None:
    crossing = [scene((1, 70 + 28 * k, 90), (2, 350 - 28 * k, 110)) for k in range(11)]
    absent = [scene((1, 350, 90))] * 3
    film(tmp_path / "raw" / "two.avi", crossing + absent + [scene((1, 350, 90), (2, 60, 110))] * 2)
    dataset = fercli.detect(tmp_path / "raw", tmp_path / "faces", every="1f")
    faces = by_face(dataset)
    assert sorted(faces) == ["0001", "0002"]
    right, left = (sorted(faces[name], key=lambda row: int(row.frame)) for name in ("0001", "0002"))
    walked = [middle(row) for row in right if int(row.frame) <= 10]
    assert walked == sorted(walked)
    assert walked[-1] - walked[0] > 200
    walked = [middle(row) for row in left if int(row.frame) <= 10]
    assert walked == sorted(walked, reverse=True)
    assert len(walked) == 11  # never occluded
    assert {row.frame for row in left} & {"11", "12", "13"} == set()
    assert {row.frame for row in left} >= {"14", "15"}
    for row in right:
        assert row.path == f"unlabelled/two-{int(row.frame):06d}-{row.path[-5]}.png"
        assert (row.photograph, row.source, row.split) == ("two.avi", "two.avi", "unlabelled")
        assert pixel_digest(read_image(dataset.path / row.path)) == row.sha256
    summary = dict(dataset.summary)
    assert summary.pop("images_per_second") > 0
    faces_in_all = len(right) + len(left)
    assert summary == {
        "images": 1, "faces": faces_in_all, "without_face": 0, "unreadable": 0, "videos": 1, "frames": 16
    }  # fmt: skip


@pytest.mark.parametrize(
    ("every", "frames"), [("1s", ["0", "10", "20"]), ("500ms", ["0", "5", "10", "15", "20"]), ("8", ["0", "8", "16"])]
)
def test_frame_intervals(every: str, frames: list[str], network: Path, tmp_path: Path) -> None:
    video = film(tmp_path / "a.mp4", (spots((1, 1), background=5 + k) for k in range(24)))
    rows = read_index(
        fercli.detect(video, tmp_path / "faces", detector="yolov5-face", weights=network, size=16, every=every)
    )
    assert [row.frame for row in rows] == frames


@pytest.mark.slow
def test_a_video_and_its_copy_are_in_one_split(network: Path, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    for emotion in ("happy", "sad"):
        (raw / emotion).mkdir(parents=True)
        for k in range(12):
            grey = 2 * k + 30 * (emotion == "sad")
            film(
                raw / emotion / f"{k}.avi",
                [spots((1, 1), (2, 3), background=grey), spots((0, 1), background=grey)] * 2,
            )
    (raw / "sad" / "copy.avi").write_bytes((raw / "sad" / "3.avi").read_bytes())
    write_tree(raw, {"happy/photograph.png": squares((0, 0))})
    dataset = fercli.detect(
        raw, tmp_path / "faces", detector="yolov5-face", weights=network, size=16, every="1f", workers=2
    )
    splits = defaultdict(set)
    for row in read_index(dataset):
        splits[row.photograph].add(row.split)
    assert len(splits) == 26
    assert all(len(own) == 1 for own in splits.values())
    assert splits["sad/copy.avi"] == splits["sad/3.avi"]
    assert set.union(*splits.values()) == {"train", "validation", "test"}
    again = fercli.detect(
        raw, tmp_path / "again", detector="yolov5-face", weights=network, size=16, every="1f", workers=1
    )
    assert again.manifest.digest == dataset.manifest.digest


def test_unreadable_videos_are_counted_and_strict_stops(network: Path, tmp_path: Path) -> None:
    raw = tmp_path / "raw" / "happy"
    whole = film(tmp_path / "whole.avi", [spots((1, 1))] * 3).read_bytes()
    files = {
        "cut.mp4": film(tmp_path / "w.mp4", [spots((1, 1))] * 3).read_bytes()[:300],
        "empty.mov": b"",
        "frameless.avi": whole[: whole.index(b"movi") + 4],
        "list.mp4": b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n",
        "text.mkv": b"no video at all\n" * 30,
        "whole.avi": whole,
        "dark.avi": film(tmp_path / "dark.avi", map(shade, (20, 30))).read_bytes(),
    }
    write_tree(raw, files)
    options = {"detector": "yolov5-face", "weights": network, "size": 16}
    dataset = fercli.detect(raw.parent, tmp_path / "faces", **options)
    skipped = {
        reason: [name.removeprefix("happy/") for name in own] for reason, own in dataset.manifest.skipped.items()
    }
    frameless = next(reason for reason, own in skipped.items() if "frameless.avi" in own)
    assert frameless in ("no frame", "not a video")  # depends on the build of OpenCV
    skipped[frameless].remove("frameless.avi")
    assert {reason: own for reason, own in skipped.items() if own} == {
        "empty": ["empty.mov"], "no face": ["dark.avi"], "not a video": ["cut.mp4", "list.mp4", "text.mkv"]
    }  # fmt: skip
    assert (dataset.summary["unreadable"], dataset.summary["without_face"], dataset.summary["videos"]) == (5, 1, 2)
    with pytest.raises(ImageError, match=r"cut\.mp4: cannot be read as a video"):
        fercli.detect(raw.parent, tmp_path / "strict", strict=True, **options)
    with pytest.raises(DataError, match=r"no face detected \(1 not a video\)"):
        fercli.detect(raw / "text.mkv", tmp_path / "none", **options)
    assert names(tmp_path) == ["dark.avi", "faces", "raw", "w.mp4", "whole.avi"]


@pytest.mark.slow
def test_resuming_between_videos_gives_the_same_output(network: Path, tmp_path: Path) -> None:
    for k in range(4):
        (tmp_path / "raw").mkdir(exist_ok=True)
        film(tmp_path / "raw" / f"{k}.avi", [spots((1, k), (3, 0)), spots((1, k))])
    options = {"detector": "yolov5-face", "weights": network, "size": 16, "every": "1f", "workers": 1}
    with pytest.raises(KeyboardInterrupt):
        fercli.detect(tmp_path / "raw", tmp_path / "faces", progress=Interrupting(2), **options)
    crops = sorted((tmp_path / ".faces.partial" / "crops").rglob("*.png"))
    crops[0].unlink()
    listener = Interrupting(99)
    resumed = fercli.detect(tmp_path / "raw", tmp_path / "faces", progress=listener, **options)
    assert listener.lines == ["resuming from photograph 2/4"]
    whole = fercli.detect(tmp_path / "raw", tmp_path / "whole", **options)
    assert resumed.manifest.digest == whole.manifest.digest
    for row in read_index(whole):
        assert (resumed.path / row.path).read_bytes() == (whole.path / row.path).read_bytes()
    sheet = "contact-sheet.png"
    assert (resumed.path / sheet).read_bytes() == (whole.path / sheet).read_bytes()
    assert not list(resumed.path.rglob("crops"))


@pytest.mark.slow
def test_contact_sheet_is_right_if_seeking_is_inexact(
    network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = film(tmp_path / "a.avi", [spots((k % 4, k // 4), background=10 * k) for k in range(8)])
    options = {"detector": "yolov5-face", "weights": network, "size": 16, "every": "1f", "margin": 0.3}
    right = fercli.detect(video, tmp_path / "faces", **options).path / "contact-sheet.png"
    for inexact in (lambda self, number: None, lambda self, number: spots((3, 3))):
        monkeypatch.setattr(Video, "frame", inexact)
        found = fercli.detect(video, tmp_path / "other", overwrite=True, **options).path / "contact-sheet.png"
        assert found.read_bytes() == right.read_bytes()
        (tmp_path / "other" / "artifact.json").unlink()
        for path in sorted((tmp_path / "other").rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()


# --- limits ---


def test_faces_below_the_limits_are_discarded_and_counted(network: Path, tmp_path: Path) -> None:
    options = {"detector": "yolov5-face", "weights": network, "size": 16}
    grey = squares((0, 0))
    grey[32:48, 32:48] = 200  # score 0.78
    raw = write_tree(
        tmp_path / "raw",
        {"a.png": grey, "b.png": squares(background=3), "c.png": np.kron(squares((1, 1)), np.ones((2, 2), np.uint8))},
    )
    every = fercli.detect(raw, tmp_path / "every", **options)
    assert [row.score for row in read_index(every)] == ["1.0000", "0.7843", "1.0000"]
    assert "left_out" not in every.summary
    sure = fercli.detect(raw, tmp_path / "sure", min_score=0.9, **options)
    assert [row.score for row in read_index(sure)] == ["1.0000", "1.0000"]
    assert sure.summary["left_out"] == 1
    large = fercli.detect(raw, tmp_path / "large", min_size=17, **options)
    assert [row.photograph for row in read_index(large)] == ["c.png"]
    assert large.manifest.skipped == {"faces below the limits": ["a.png"], "no face": ["b.png"]}
    assert (large.summary["left_out"], large.summary["without_face"]) == (2, 2)
    exactly = fercli.detect(raw, tmp_path / "exactly", min_size=16, min_score=0.5, **options)
    assert exactly.manifest.digest == every.manifest.digest
    with pytest.raises(DataError, match=r"\(2 faces below the limits, 1 no face\); lower --min-size or --min-score"):
        fercli.detect(raw, tmp_path / "none", min_size=1000, **options)


def test_invalid_options_are_errors(tmp_path: Path) -> None:
    raw = write_tree(tmp_path / "raw", {"a.png": squares((0, 0))})
    wrong = [
        *({"every": every} for every in ("0s", "abc", "-1s", "0", "", "1.5", "nan")),
        {"min_score": float("nan")}, {"min_score": float("inf")}, {"min_size": -1}, {"engine": "spark"},
    ]  # fmt: skip
    for option in wrong:
        with pytest.raises(UsageError, match=f"detect: {next(iter(option)).replace('_', '-')}: "):
            fercli.detect(raw, tmp_path / "faces", **option)
    with pytest.raises(UsageError, match="--ray-address: only with --engine ray"):
        fercli.detect(raw, tmp_path / "faces", ray_address="auto")
    assert names(tmp_path) == ["raw"]


def test_equivalent_intervals_have_the_same_key(network: Path, tmp_path: Path) -> None:
    video = film(tmp_path / "a.avi", [spots((1, 1))] * 12)
    options = {"detector": "yolov5-face", "weights": network, "size": 16}
    first = fercli.detect(video, tmp_path / "faces", every="500ms", **options)
    assert first.manifest.options["every"] == "0.5s"
    assert fercli.detect(video, tmp_path / "faces", every="0.5s", **options).up_to_date
    with pytest.raises(DataError, match="a different dataset already exists"):
        fercli.detect(video, tmp_path / "faces", every="5", **options)


def test_command_reports_videos_and_discarded_faces(fer: Fer, network: Path, tmp_path: Path) -> None:
    film(tmp_path / "raw" / "a.avi", [spots((1, 1))] * 11)
    write_tree(tmp_path / "raw", {"b.png": squares((0, 0)), "c.png": squares((2, 2))})
    call = ["detect", tmp_path / "raw", tmp_path / "faces", "--detector", "yolov5-face", "--weights", network]
    ended = fer(*call, "--min-score", "0.5", "--every", "0.5s")
    assert ended.code == 0
    assert (
        "3 frames sampled from 1 video\n5 faces in 3 photographs and videos; 0 without a face, 0 unreadable"
        in ended.out
    )
    left = fer(*call[:2], tmp_path / "other", *call[3:], "--min-size", "99", "--json")
    assert (left.code, json.loads(left.out)["error"]["kind"]) == (1, "DataError")
    found = json.loads(fer(*call, "--min-score", "0.5", "--every", "500ms", "--json").out)
    assert (found["videos"], found["frames"]) == (1, 3)
    for wrong in (("--every", "0s"), ("--every", "-1s"), ("--min-score", "nan"), ("--every", "soon")):
        refused = fer(*call[:2], tmp_path / "third", *wrong)
        assert (refused.code, refused.out, len(refused.lines)) == (2, "", 1)
