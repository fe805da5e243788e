"""Distances of frames: read as they are written, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fercli.videos import Every


@pytest.mark.parametrize(
    ("text", "wanted", "written"),
    [
        ("1s", Every(seconds=1.0), "1s"),
        ("0.5s", Every(seconds=0.5), "0.5s"),
        ("500ms", Every(seconds=0.5), "0.5s"),
        (" 10 ", Every(10), "10f"),
        ("10f", Every(10), "10f"),
    ],
)
def test_distances_of_frames(text: str, wanted: Every, written: str) -> None:
    assert Every.parse(text) == wanted
    assert str(wanted) == written


@pytest.mark.parametrize(
    "text",
    ["", "0", "0f", "0s", "0.0s", "-1s", "-3", "abc", "1.5", "1.5f", "1e3s", "s", "1 s", "1min", "nan", "inf", "٣s"]
)  # fmt: skip
def test_what_is_no_distance_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="wanted as"):
        Every.parse(text)


@given(st.one_of(st.integers(1, 10**9 - 1).map(Every), st.integers(1, 10**9).map(lambda n: Every(seconds=n / 1000))))
def test_a_distance_is_read_as_it_is_written(every: Every) -> None:
    assert Every.parse(str(every)) == every


@given(st.text(max_size=12))
def test_any_other_text_is_refused_or_read(text: str) -> None:
    try:
        every = Every.parse(text)
    except ValueError:
        return
    assert every.frames >= 1
    assert every.seconds >= 0
    assert Every.parse(str(every)) == every
