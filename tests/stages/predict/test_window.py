"""The live window: a stand-in camera, q, and displays that are not there; a real window if Xvfb is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

import fercli
from fercli.errors import FerError, UsageError
from fercli.stages.predict import window
from fercli.stages.predict.window import check_display
from fercli.videos import Every
from tests.helpers.prediction import picture, table


class Camera:
    """Yields frames without end."""

    name, rate, expected, duration, cut_off = "webcam 0", 10.0, 0, 0.0, ""

    def __init__(self, source: object) -> None: ...

    def frames(self, every: Every) -> Iterator[tuple[int, float, np.ndarray]]:
        number = 0
        while True:
            yield number, number / 10, picture(16, seed=0)
            number += 1

    def __enter__(self) -> Camera:
        return self

    def __exit__(self, *_: object) -> None: ...


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """A window that keeps its pictures; q is pressed at the fifth."""
    frames: list[np.ndarray] = []
    monkeypatch.setattr(window, "check_display", lambda variable: None)
    for name in ("namedWindow", "resizeWindow", "destroyWindow"):
        monkeypatch.setattr(cv2, name, lambda *_: None)
    monkeypatch.setattr(cv2, "imshow", lambda _, frame: frames.append(frame))
    monkeypatch.setattr(cv2, "getWindowProperty", lambda *_: 1.0)
    monkeypatch.setattr(cv2, "waitKey", lambda _: ord("q") if len(frames) == 5 else -1)
    monkeypatch.setattr("fercli.stages.predict.sources.Video", Camera)
    return frames


def test_q_ends_and_outputs_are_complete(
    checkpoint: Path, tmp_path: Path, shown: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = fercli.predict(checkpoint, "webcam", window=True, csv="rows.csv", draw="drawn.mp4", device="cpu")
    assert len(shown) == 5
    assert len(found.rows) == 5 == len(table(tmp_path / "rows.csv"))
    assert (tmp_path / "drawn.mp4").is_file()
    frame = shown[0][..., ::-1]
    assert frame.shape == (60, 160, 3)
    assert (np.abs(frame[20].astype(int) - picture(16, seed=0)[20]) > 40).any()  # the face's box


def test_closing_the_window_ends(checkpoint: Path, shown: list[np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "getWindowProperty", lambda *_: 1.0 if len(shown) < 3 else 0.0)
    assert len(fercli.predict(checkpoint, "webcam", window=True, device="cpu").rows) == 3


def test_status_has_rate_and_latency(shown: list[np.ndarray]) -> None:
    class Source:
        kind, name = "webcam", "webcam 0"

    live = window.LiveWindow(True, Source(), ["happy"])  # type: ignore[arg-type]
    for _ in range(4):
        live.show(picture(16), [], time.perf_counter() - 0.05)
        time.sleep(0.02)
    rate, latency = live.status.removesuffix("; q ends").split(", latency ")
    assert 5 < float(rate.removesuffix(" frames/s")) < 60
    assert 50 <= int(latency.removesuffix(" ms")) < 300


def test_photograph_has_no_window(checkpoint: Path, tmp_path: Path) -> None:
    Image.fromarray(picture(5)).save(tmp_path / "a.png")
    with pytest.raises(UsageError, match=r"--window: .*a\.png is neither a webcam nor a film"):
        fercli.predict(checkpoint, tmp_path / "a.png", window=True, device="cpu")


@pytest.mark.skipif(sys.platform != "linux", reason="X11 is Linux's")
@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "there is no display"),
        ({"DISPLAY": "nonsense"}, "there is no display"),
        ({"DISPLAY": ":4321"}, "the display :4321 cannot be reached"),
        ({"DISPLAY": "127.0.0.1:3999"}, "cannot be reached"),
    ],
)
def test_missing_display_is_an_error(environment: dict[str, str], message: str) -> None:
    with pytest.raises(FerError, match=message):
        check_display(environment.get)
    check_display({"WAYLAND_DISPLAY": "wayland-0"}.get)


UNDER_XVFB = """
import sys, cv2, fercli
from tests.stages.predict.test_window import Camera
from tests.helpers.prediction import Squares
from fercli.stages.predict import detection, sources
detection.create_detector = lambda name, weights: Squares()
sources.Video = Camera
sizes, wait = [], cv2.waitKey
def key(delay):
    wait(50)
    sizes.append(cv2.getWindowImageRect("fer predict (q ends)")[2:])
    return ord("q") if len(sizes) == 4 else -1
cv2.waitKey = key
print(len(fercli.predict(sys.argv[1], "webcam", window=True, device="cpu").rows), min(sizes[-1]) > 0)
"""


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("Xvfb"), reason="Xvfb is not installed")
def test_real_window_under_xvfb(checkpoint: Path, tmp_path: Path) -> None:
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "640x480x24"], pass_fds=[write], stderr=subprocess.DEVNULL
    )
    os.close(write)
    try:
        display = os.read(read, 100).decode().strip()
        environment: dict[str, Any] = {**os.environ, "DISPLAY": f":{display}", "PYTHONPATH": os.getcwd()}
        done = subprocess.run(
            [sys.executable, "-c", UNDER_XVFB, checkpoint],
            env=environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
    finally:
        server.terminate()
        server.wait()
        os.close(read)
    assert done.stdout.split() == ["4", "True"], done.stderr
