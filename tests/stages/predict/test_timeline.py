"""A film's timeline: the table has raw and smoothed values, the page and the picture stand beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fercli
from fercli.errors import DataError, UsageError
from fercli.images import read_image
from fercli.stages.predict.people import Timeline
from fercli.stages.predict.rows import Row
from tests.helpers.datasets import names
from tests.helpers.prediction import EMOTIONS, picture, table
from tests.helpers.videos import film

Fer = Callable[..., Any]


@pytest.fixture(scope="module")
def movie(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds with a face, one without, one with it again."""
    places = [(16,)] * 20 + [()] * 10 + [(16,)] * 10
    return film(tmp_path_factory.mktemp("film") / "film.mp4", (picture(*lefts, seed=0) for lefts in places))


@pytest.mark.slow
def test_table_page_and_picture(checkpoint: Path, movie: Path, tmp_path: Path) -> None:
    found = fercli.predict(checkpoint, movie, timeline=tmp_path / "t.html", smooth=0.5, device="cpu")
    assert names(tmp_path) == ["t.csv", "t.html", "t.png"]
    assert found.timeline == tmp_path / "t.html"
    rows, faces = table(tmp_path / "t.csv"), [row for row in found.rows if row.face is not None]
    assert len(rows) == len(faces) == 30
    for row, face in zip(rows, faces, strict=True):
        assert [float(row[name]) for name in EMOTIONS] == pytest.approx(face.probabilities, abs=1e-6)
        smoothed = {name: float(row[f"smoothed {name}"]) for name in EMOTIONS}
        assert sum(smoothed.values()) == pytest.approx(1, abs=1e-5)
        assert row["emotion"] == max(smoothed, key=smoothed.__getitem__)
    times = np.array([float(row["time"]) for row in rows])
    happy = np.array([float(row["happy"]) for row in rows])
    first = (np.abs(times - times[5]) <= 0.25 + 1e-6) & (times < 2.5)
    assert float(rows[5]["smoothed happy"]) == pytest.approx(happy[first].mean(), abs=1e-5)
    page = (tmp_path / "t.html").read_text("utf-8")
    assert "Emotions over time: film.mp4" in page
    assert "10 frames" in page  # without a face
    assert "default-src 'none'" in page  # self-contained
    assert page.count('<img class="face"') == len({face.face_id for face in faces})
    assert read_image(tmp_path / "t.png").shape[1] > 1000


@pytest.mark.slow
def test_only_an_earlier_timeline_is_replaced(checkpoint: Path, movie: Path, tmp_path: Path, fer: Fer) -> None:
    call = ("predict", checkpoint, movie, "--timeline", tmp_path / "t.html", "--frames", "4", "--device=cpu")
    assert fer(*call).code == 0
    assert "already exists; replace it with --overwrite" in fer(*call).err
    assert fer(*call, "--overwrite").code == 0
    for name, content in (("t.csv", "mine\n"), ("t.png", "mine"), ("t.html", "<p>mine</p>")):
        kept = (tmp_path / name).read_bytes()
        (tmp_path / name).write_text(content)
        with pytest.raises(DataError, match=rf"{name}: already exists and was not written by fer predict"):
            fercli.predict(checkpoint, movie, timeline=tmp_path / "t.html", overwrite=True, device="cpu")
        assert (tmp_path / name).read_text() == content
        (tmp_path / name).write_bytes(kept)
    with pytest.raises(UsageError, match="the outputs overlap"):
        fercli.predict(checkpoint, movie, timeline=tmp_path / "u.html", csv=tmp_path / "u.csv", device="cpu")


@pytest.mark.parametrize(
    ("source", "out", "message"),
    [
        ("film", "t.txt", r"give a name ending in \.html"),
        ("photo", "t.html", "is not one film; give a video, or webcam"),
    ],
)
def test_invalid_calls(checkpoint: Path, movie: Path, tmp_path: Path, source: str, out: str, message: str) -> None:
    from PIL import Image

    Image.fromarray(picture(5)).save(tmp_path / "photo.png")
    given = movie if source == "film" else tmp_path / "photo.png"
    with pytest.raises(UsageError, match=message):
        fercli.predict(checkpoint, given, timeline=tmp_path / out, device="cpu")
    assert names(tmp_path) == ["photo.png"]


def test_people_gaps_and_shares() -> None:
    from fercli.faces.base import Face

    timeline = Timeline(["a", "b"], 10.0, 0.0)
    for number in range(20):
        time = number / 10
        rows = []
        face = Face((0, 0, 9, 12 if number == 3 else 9), 1.0)
        crops = [np.full((4, 4), number, np.uint8), np.full((4, 4), 100, np.uint8)]
        if number < 5 or number >= 15:
            probabilities = (0.9, 0.1) if number < 8 else (0.2, 0.8)
            rows.append(Row("film", number, time, 0, face, probabilities, "a", "0001"))
        if number == 17:
            rows.append(Row("film", number, time, 1, face, (1.0, 0.0), "a", "0002"))
        timeline.add(rows or [Row("film", number, time)], crops[: len(rows)])
    one, two = timeline.people()
    assert (one.face_id, two.face_id) == ("0001", "0002")
    assert one.pieces == [slice(0, 5), slice(5, 10)]
    assert one.shares.tolist() == [0.5, 0.5]
    assert one.crop[0, 0] == 3  # the largest face
    assert two.crop[0, 0] == 100
    assert (one.seconds, two.seconds) == (pytest.approx(1.0), pytest.approx(0.1))
    assert (timeline.frames, timeline.without_face, timeline.end) == (20, 10, 1.9)
    assert list(Timeline(["a", "b"], 0.0, 1.0).people()) == []
