"""Votes in the index: they round-trip, and invalid ones are refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fercli.datasets.votes import format_votes, parse_votes
from fercli.emotions import CONTEMPT, EMOTIONS

EIGHT = (*EMOTIONS, CONTEMPT)
counts = st.dictionaries(st.sampled_from(EIGHT), st.integers(0, 10)).filter(lambda votes: any(votes.values()))
shares = st.dictionaries(st.sampled_from(EIGHT), st.floats(0, 1e300, allow_nan=False, allow_subnormal=False)).filter(
    lambda votes: any(votes.values())
)


def test_known_values() -> None:
    assert format_votes({"neutral": 7, "angry": 3, "sad": 0}) == "angry:3 neutral:7"
    assert format_votes({CONTEMPT: 1, "neutral": 2.5, "happy": np.float32(4)}) == "happy:4 neutral:2.5 contempt:1"
    assert parse_votes("angry:3 neutral:9", ["neutral", "sad", "angry"]) == [0.75, 0.0, 0.25]
    assert parse_votes("sad:1", EMOTIONS) == [0, 0, 0, 0, 1, 0, 0]
    assert parse_votes(" sad:1   happy:0 ", ["sad", "happy"]) == [1, 0]


@pytest.mark.slow
@settings(deadline=None)
@given(st.one_of(counts, shares))
def test_votes_round_trip(votes: dict[str, float]) -> None:
    text = format_votes(votes)
    names = [part.split(":")[0] for part in text.split(" ")]
    assert names == [emotion for emotion in EIGHT if votes.get(emotion)]
    assert [float(part.split(":")[1]) for part in text.split(" ")] == [votes[name] for name in names]
    found = parse_votes(text, EIGHT)
    largest = max(votes.values())
    relative = np.array([votes.get(emotion, 0) / largest for emotion in EIGHT])
    assert found == pytest.approx(relative / relative.sum(), rel=1e-12, abs=1e-300)
    assert sum(found) == pytest.approx(1)


@settings(deadline=None)
@given(st.text(alphabet="angry:3 sad-.1e7\n%", max_size=20))
def test_any_text_is_parsed_or_raises_value_error(text: str) -> None:
    try:
        found = parse_votes(text, EMOTIONS)
    except ValueError:
        found = None  # the only exception allowed
    assert found is None or (sum(found) == pytest.approx(1) and min(found) >= 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bored:1", "'bored' is not one of angry, disgust"),
        ("contempt:1", "'contempt' is not one of angry"),
        ("Angry:1", "'Angry' is not one of"),
        ("sad:-1 happy:3", "-1 is not a valid number of votes for sad"),
        ("sad:nan", "nan is not a valid number of votes for sad"),
        ("sad:inf", "inf is not a valid number of votes for sad"),
        ("sad:0 happy:0", "there are no votes for any emotion"),
        ("", "there are no votes for any emotion"),
        ("sad:many", "'sad:many' has no valid number of votes"),
        ("sad:", "'sad:' has no valid number of votes"),
        ("sad", "is not of the form 'angry:3 neutral:7'"),
        ("sad:1 sad:2", "is not of the form 'angry:3 neutral:7'"),
    ],
)
def test_invalid_text_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_votes(text, EMOTIONS)


@pytest.mark.parametrize("votes", [{}, {"sad": 0}, {"sad": -1, "happy": 2}, {"sad": float("nan")}])
def test_invalid_votes_are_refused(votes: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="vote"):
        format_votes(votes)
