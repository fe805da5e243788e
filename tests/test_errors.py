"""Errors: one-line messages and helpful hints."""

import doctest
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fercli import errors
from fercli.errors import DataError, FerError, ImageError, LeakError, UsageError, did_you_mean, one_line, shorten


@given(st.text(st.characters(codec=None)))
def test_any_text_becomes_one_printable_line(text: str) -> None:
    shown = one_line(text)
    assert shown == "" or shown.isprintable()
    assert len(shown.splitlines()) <= 1
    assert shown == shown.strip()
    assert one_line(shown) == shown
    shown.encode("utf-8")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\r\n\tc", "a b c"),
        ("\x1b[31mred\x1b[0m", "[31mred [0m"),
        ("line\u2028separator\u202eright", "line separator right"),
        ("broken\udcff", r"broken\xff"),
        ("улыбка 笑顔", "улыбка 笑顔"),
        ("", ""),
    ],
)
def test_one_line(text: str, shown: str) -> None:
    assert one_line(text) == shown
    assert str(FerError(text)) == shown


def test_exit_codes() -> None:
    assert [e("x").exit_code for e in (FerError, DataError, LeakError, UsageError)] == [1, 1, 1, 2]
    assert issubclass(LeakError, DataError)
    assert issubclass(ImageError, DataError)


def test_image_error_can_be_pickled() -> None:
    error = pickle.loads(pickle.dumps(ImageError("truncated", "a.png: truncated")))
    assert (error.reason, str(error)) == ("truncated", "a.png: truncated")


def test_did_you_mean() -> None:
    models = ["resnet18", "resnet50", "vgg16"]
    assert did_you_mean("model", "ResNet51", models) == "no model 'ResNet51'; did you mean resnet50 or resnet18?"
    assert did_you_mean("split", "zzz", ["train", "test"]) == "no split 'zzz'; there are train, test"
    assert did_you_mean("split", "zzz", []) == "no split 'zzz'; there are none"
    many = [f"name{i}" for i in range(40)]
    assert did_you_mean("model", "zzz", many, "fer models lists all") == "no model 'zzz'; fer models lists all"


def test_doctests() -> None:
    assert doctest.testmod(errors).failed == 0


@pytest.mark.parametrize(
    ("text", "room", "keep", "expected"),
    [
        ("abcdef", 6, "start", "abcdef"),
        ("abcdef", 5, "start", "abcd…"),
        ("abcdef", 5, "end", "…cdef"),
        ("abcdef", 5, "middle", "ab…ef"),
        ("abcdefg", 6, "middle", "abc…fg"),
        ("ab cd ef", 6, "middle", "ab…ef"),
        ("abcdef", 1, "middle", "…"),
        ("abcdef", 0, "start", "…"),
    ],
)
def test_shorten(text: str, room: int, keep: Any, expected: str) -> None:
    assert shorten(text, room, keep) == expected


def test_shorten_with_a_width_function() -> None:
    assert shorten("iiiWWW", 8, "start", lambda text: sum(4 if c == "W" else 1 for c in text)) == "iiiW…"
