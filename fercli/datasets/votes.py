"""Annotators' votes in the format of the index: `angry:3 neutral:7`, in canonical order, without zeros.

Votes are counts or shares; their distribution is the soft target in training.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from fercli.emotions import in_order


def format_votes(votes: Mapping[str, float]) -> str:
    """Format votes for the index, without emotions that have none.

    >>> format_votes({"neutral": 7, "angry": 3, "sad": 0})
    'angry:3 neutral:7'

    Raises:
        ValueError: a vote is negative or not finite, or there are no votes.
    """
    _check(votes)
    return " ".join(f"{emotion}:{_plain(votes[emotion])}" for emotion in in_order({e for e in votes if votes[e]}))


def parse_votes(text: str, emotions: Sequence[str]) -> list[float]:
    """Return each emotion's share of the votes, adding up to 1.

    >>> parse_votes("angry:3 neutral:9", ["neutral", "sad", "angry"])
    [0.75, 0.0, 0.25]

    Raises:
        ValueError: the format is wrong, a vote is invalid, or a vote is for an emotion not in `emotions`.
    """
    votes: dict[str, float] = {}
    for part in text.split():
        emotion, colon, number = part.rpartition(":")
        if not colon or emotion in votes:
            raise ValueError(f"'{text}' is not of the form 'angry:3 neutral:7'")
        if emotion not in emotions:
            raise ValueError(f"'{emotion}' is not one of {', '.join(emotions)}")
        try:
            votes[emotion] = float(number)
        except ValueError as error:
            raise ValueError(f"'{part}' has no valid number of votes") from error
    _check(votes)
    largest = max(votes.values())  # avoids overflow when adding large numbers
    total = math.fsum(vote / largest for vote in votes.values())
    return [votes.get(emotion, 0.0) / largest / total for emotion in emotions]


def _check(votes: Mapping[str, float]) -> None:
    for emotion, vote in votes.items():
        if not (math.isfinite(vote) and vote >= 0):
            raise ValueError(f"{vote:g} is not a valid number of votes for {emotion}")
    if not any(votes.values()):
        raise ValueError("there are no votes for any emotion")


def _plain(vote: float) -> str:
    """Return the shortest text that reads as the same number."""
    return str(int(vote)) if float(vote).is_integer() and abs(vote) < 1e15 else repr(float(vote))
