"""Persons whom only the pictures' paths name: found by a pattern, and guessed where nobody has given one."""

from __future__ import annotations

import re
import signal
import threading
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from fercli.datasets.index import Row
from fercli.datasets.readers import Item
from fercli.datasets.readers.folders import SPLIT_NAMES
from fercli.emotions import canonical
from fercli.errors import UsageError

MATCH_SECONDS = 1.0
"""A pattern that takes longer for one path has a repeat within a repeat, and might take for ever."""
_FEWEST, _SHARE = 5, 0.5
"""Names are taken for persons' where there are so many of them, in such a share of the paths."""
_LETTER = r"[^\W\d_]"
_PRESS = re.compile(rf"({_LETTER}{{2,}}(?:[ _.'’-]{_LETTER}+)*[ _.'’-]{_LETTER}{{2,}})[ _.-]+\d+")
_NUMBERED = re.compile(r"(?:.*[/ _.-])?((?:subject|subj|person|participant|actor)[ _-]?\d+)(?!\d).*", re.IGNORECASE)


def checked_pattern(text: str | None) -> str | None:
    """Return the pattern, once it is seen to be one.

    Raises:
        ValueError: it is no regular expression, or has not one group.
    """
    if text is not None:
        _compiled(text)
    return text


def _compiled(text: str) -> re.Pattern[str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what a later Python may read in another way
            pattern = re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"no regular expression ({error}); write one such as '([^/]+)_[0-9]+'") from error
    if pattern.groups != 1:
        raise ValueError(
            f"has {pattern.groups} groups; put round brackets around the person alone, as '([^/]+)_[0-9]+' "
            "(a table's column of persons is said with --columns subject=COLUMN)"
        )
    return pattern


class Subjects:
    """Gives items the person that a pattern finds in their path.

    Attributes:
        matched: How many items it found one for.
        unmatched: How many it did not; these keep whom their reader names.
        example: The path of one of these.
    """

    def __init__(self, pattern: str) -> None:
        self._pattern = _compiled(pattern)
        self.matched = self.unmatched = 0
        self.example = ""

    def name(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the items, their persons named.

        Raises:
            UsageError: the pattern takes too long for a path.
        """
        for item in items:
            with _limited(item.source):
                found = self._pattern.search(item.source)
            if found and found[1]:
                item.subject = found[1]
                self.matched += 1
            else:
                self.unmatched += 1
                self.example = self.example or item.source
            yield item


@contextmanager
def _limited(path: str) -> Iterator[None]:
    """Stop what takes too long, where that can be done: in the main thread, if no other has set the alarm."""
    main = threading.current_thread() is threading.main_thread()
    if not main or not hasattr(signal, "setitimer") or any(signal.getitimer(signal.ITIMER_REAL)):
        yield
        return

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise UsageError(
            f"subjects: the pattern takes more than {MATCH_SECONDS:g} s for {path}; write it without a repeat within a "
            "repeat, such as (a+)+"
        )

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, MATCH_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def in_two_splits(rows: Sequence[Row]) -> tuple[int, int]:
    """Return how many persons stand in more than one split, and how many there are."""
    splits: dict[str, set[str]] = {}
    for row in rows:
        if row.subject:
            splits.setdefault(row.subject, set()).add(row.split)
    return sum(len(found) > 1 for found in splits.values()), len(splits)


def hint(rows: Sequence[Row]) -> str:
    """Return a line on names that look as if they held persons, or '' where they do not.

    Two words and a number, `Anna_Smith_0001.jpg`, as press photographs are called, or `subject 12`; neither is what
    FER2013, RAF-DB, CK+ and AffectNet call their files. Words for emotions and splits are nobody's name.
    """
    paths = [row.source for row in rows if not row.row]
    if any(row.subject for row in rows) or not paths:
        return ""
    for pattern, advice in (
        (_numbered, r"(?i)((?:subject|subj|person|participant|actor)[ _-]?\d+)"),
        (_press, _ADVICE),
    ):
        found = [person for path in paths if (person := pattern(path))]
        persons = set(found)
        if len(found) >= _SHARE * len(paths) and _FEWEST <= len(persons) < len(found):
            example = next(path for path in paths if pattern(path))
            return (
                f"names such as {example.rpartition('/')[2] if pattern is _press else example} look as if they held "
                f"persons ({len(persons):,}), who may stand in two splits; --subjects '{advice}' keeps each in one"
            )
    return ""


_ADVICE = r"([^/]+?)[ _.-]+\d+\.[^/]+$"


def _press(path: str) -> str:
    stem = path.rpartition("/")[2].rpartition(".")[0]
    found = _PRESS.fullmatch(stem)
    words = re.split(r"[ _.'’-]", found[1]) if found else []
    return found[1] if found and not any(word.lower() in SPLIT_NAMES or canonical(word) for word in words) else ""


def _numbered(path: str) -> str:
    found = _NUMBERED.fullmatch(path)
    return found[1].lower() if found else ""
