"""Names and order of the emotions."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fercli import emotions
from fercli.emotions import CONTEMPT, EMOTIONS, canonical, in_order


def test_order_is_that_of_fer2013() -> None:
    assert EMOTIONS == ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


@pytest.mark.parametrize("name", [*EMOTIONS, CONTEMPT])
def test_canonical_names_are_unchanged(name: str) -> None:
    assert canonical(name) == name
    assert canonical(f" {name.upper()} ") == name


@pytest.mark.parametrize(
    ("published", "name"),
    # FER+'s columns, RAF-DB's and AffectNet's codes, CK+'s words, JAFFE's letters.
    [
        ("happiness", "happy"), ("sadness", "sad"), ("anger", "angry"), ("Surprise", "surprise"),
        ("contempt", "contempt"), ("Disgusted", "disgust"), ("FEARFUL", "fear"), ("Neutral", "neutral"),
        ("AN", "angry"), ("DI", "disgust"), ("FE", "fear"), ("HA", "happy"), ("SA", "sad"), ("SU", "surprise"),
        ("NE", "neutral"),
    ],
)  # fmt: skip
def test_published_names_are_known(published: str, name: str) -> None:
    assert canonical(published) == name


@pytest.mark.parametrize("name", ["", "hat", "unknown", "NF", "angryy", "happy sad", "0", "ﬁre"])
def test_unknown_names_give_none(name: str) -> None:
    assert canonical(name) is None


def test_aliases_map_to_known_emotions() -> None:
    assert set(emotions.ALIASES.values()) == {*EMOTIONS, CONTEMPT}
    assert not set(emotions.ALIASES) & {*EMOTIONS, CONTEMPT}


@pytest.mark.slow
@given(st.sets(st.sampled_from([*EMOTIONS, CONTEMPT, "zeal", "awe"])))
def test_in_order_puts_unknown_names_last(names: set[str]) -> None:
    order = [*EMOTIONS, CONTEMPT, "awe", "zeal"]
    assert in_order(names) == [name for name in order if name in names]


def test_doctests() -> None:
    assert doctest.testmod(emotions).failed == 0
