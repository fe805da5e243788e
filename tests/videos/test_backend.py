"""The video library: PyAV if it can be imported, else OpenCV; neither is imported before a video is opened."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest

from fercli.videos import backend


def test_opencv_is_used_without_pyav(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "fercli.videos.pyav", raising=False)
    monkeypatch.setitem(sys.modules, "av", None)
    assert backend.__wrapped__() == "opencv"


@pytest.mark.skipif(find_spec("av") is None, reason="no PyAV")
def test_pyav_is_used_if_installed() -> None:
    assert backend.__wrapped__() == "pyav"


@pytest.mark.slow
def test_libraries_are_imported_lazily() -> None:
    code = "import sys, fercli.videos, fercli.stages.base; print(sorted({'av', 'cv2'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
