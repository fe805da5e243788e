"""Which library reads videos: PyAV where it can be imported, else OpenCV; none before a video is opened."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest

from fercli.videos import backend


def test_without_pyav_opencv_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "fercli.videos.pyav", raising=False)
    monkeypatch.setitem(sys.modules, "av", None)
    assert backend.__wrapped__() == "opencv"


@pytest.mark.skipif(find_spec("av") is None, reason="no PyAV")
def test_with_pyav_it_does_it() -> None:
    assert backend.__wrapped__() == "pyav"


def test_neither_is_imported_before_it_is_needed() -> None:
    code = "import sys, fercli.videos, fercli.stages.base; print(sorted({'av', 'cv2'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
