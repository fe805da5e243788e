"""Annotators' votes as the index has them: `angry:3 neutral:7`, in canonical order, emotions without a vote left out.

Votes are counts or shares; what is made of them is their distribution, the soft target of a training.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from fercli.emotions import in_order


def format_votes(votes: Mapping[str, float]) -> str:
    """Return votes by emotion as the index has them; emotions without a vote are left out.

    >>> format_votes({"neutral": 7, "angry": 3, "sad": 0})
    'angry:3 neutral:7'

    Raises:
        ValueError: a vote is negative or no number, or there is none.
    """
    _check(votes)
    return " ".join(f"{emotion}:{_plain(votes[emotion])}" for emotion in in_order({e for e in votes if votes[e]}))


def parse_votes(text: str, emotions: Sequence[str]) -> list[float]:
    """Return the share of the votes that each of `emotions` has, adding up to 1.

    >>> parse_votes("angry:3 neutral:9", ["neutral", "sad", "angry"])
    [0.75, 0.0, 0.25]

    Raises:
        ValueError: it is not written so, or has a vote that cannot be, or one for none of `emotions`.
    """
    votes: dict[str, float] = {}
    for part in text.split():
        emotion, colon, number = part.rpartition(":")
        if not colon or emotion in votes:
            raise ValueError(f"'{text}' is not written as 'angry:3 neutral:7'")
        if emotion not in emotions:
            raise ValueError(f"'{emotion}' is none of {', '.join(emotions)}")
        try:
            votes[emotion] = float(number)
        except ValueError as error:
            raise ValueError(f"'{part}' has no number of votes") from error
    _check(votes)
    largest = max(votes.values())  # so that no sum of large ones runs over
    total = math.fsum(vote / largest for vote in votes.values())
    return [votes.get(emotion, 0.0) / largest / total for emotion in emotions]


def _check(votes: Mapping[str, float]) -> None:
    for emotion, vote in votes.items():
        if not (math.isfinite(vote) and vote >= 0):
            raise ValueError(f"{vote:g} votes for {emotion} cannot be")
    if not any(votes.values()):
        raise ValueError("there is no vote for any emotion")


def _plain(vote: float) -> str:
    """Return a number as short as it can be and still be read as the same."""
    return str(int(vote)) if float(vote).is_integer() and abs(vote) < 1e15 else repr(float(vote))
