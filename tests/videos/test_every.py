"""Parsing and formatting of frame intervals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fercli.videos import Every


@pytest.mark.parametrize(
    ("text", "expected", "formatted"),
    [
        ("1s", Every(seconds=1.0), "1s"),
        ("0.5s", Every(seconds=0.5), "0.5s"),
        ("500ms", Every(seconds=0.5), "0.5s"),
        (" 10 ", Every(10), "10f"),
        ("10f", Every(10), "10f"),
    ],
)
def test_parse_and_format(text: str, expected: Every, formatted: str) -> None:
    assert Every.parse(text) == expected
    assert str(expected) == formatted


@pytest.mark.parametrize(
    "text",
    ["", "0", "0f", "0s", "0.0s", "-1s", "-3", "abc", "1.5", "1.5f", "1e3s", "s", "1 s", "1min", "nan", "inf", "٣s"]
)  # fmt: skip
def test_invalid_intervals_are_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        Every.parse(text)


@given(st.one_of(st.integers(1, 10**9 - 1).map(Every), st.integers(1, 10**9).map(lambda n: Every(seconds=n / 1000))))
def test_round_trip(every: Every) -> None:
    assert Every.parse(str(every)) == every


@given(st.text(max_size=12))
def test_arbitrary_text_is_rejected_or_parsed(text: str) -> None:
    try:
        every = Every.parse(text)
    except ValueError:
        return
    assert every.frames >= 1
    assert every.seconds >= 0
    assert Every.parse(str(every)) == every
