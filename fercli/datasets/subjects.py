"""Subjects from image paths: extracted by a pattern, and suggested if no pattern is given."""

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
"""A pattern that takes longer for one path has nested repeats, and might never finish."""
_FEWEST, _SHARE = 5, 0.5
"""Names are suspected to be persons if there are at least so many, in such a share of the paths."""
_LETTER = r"[^\W\d_]"
_PRESS = re.compile(rf"({_LETTER}{{2,}}(?:[ _.'’-]{_LETTER}+)*[ _.'’-]{_LETTER}{{2,}})[ _.-]+\d+")
_NUMBERED = re.compile(r"(?:.*[/ _.-])?((?:subject|subj|person|participant|actor)[ _-]?\d+)(?!\d).*", re.IGNORECASE)


def checked_pattern(text: str | None) -> str | None:
    """Validate a pattern and return it.

    Raises:
        ValueError: it is not a regular expression, or does not have exactly one group.
    """
    if text is not None:
        _compiled(text)
    return text


def _compiled(text: str) -> re.Pattern[str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about syntax whose meaning may change in a later Python
            pattern = re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"not a regular expression ({error}); write one such as '([^/]+)_[0-9]+'") from error
    if pattern.groups != 1:
        raise ValueError(
            f"has {pattern.groups} groups; put parentheses around the person only, as in '([^/]+)_[0-9]+' "
            "(for a column in a table, use --columns subject=COLUMN)"
        )
    return pattern


class Subjects:
    """Sets the items' subjects from a pattern applied to their paths.

    Attributes:
        matched: Number of items that matched.
        unmatched: Number of items that did not match; they keep the reader's subject.
        example: The path of one unmatched item.
    """

    def __init__(self, pattern: str) -> None:
        self._pattern = _compiled(pattern)
        self.matched = self.unmatched = 0
        self.example = ""

    def name(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the items with their subjects set.

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
    """Enforce the time limit where possible: in the main thread, if no alarm is set already."""
    main = threading.current_thread() is threading.main_thread()
    if not main or not hasattr(signal, "setitimer") or any(signal.getitimer(signal.ITIMER_REAL)):
        yield
        return

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise UsageError(
            f"subjects: the pattern takes more than {MATCH_SECONDS:g} s for {path}; avoid nested repeats such as (a+)+"
        )

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, MATCH_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def in_two_splits(rows: Sequence[Row]) -> tuple[int, int]:
    """Return the number of persons in more than one split, and the total number of persons."""
    splits: dict[str, set[str]] = {}
    for row in rows:
        if row.subject:
            splits.setdefault(row.subject, set()).add(row.split)
    return sum(len(found) > 1 for found in splits.values()), len(splits)


def hint(rows: Sequence[Row]) -> str:
    """Return a hint if file names appear to contain persons, otherwise an empty string.

    That is two words and a number, `Anna_Smith_0001.jpg`, as for press photographs, or `subject 12`; files in FER2013,
    RAF-DB, CK+ and AffectNet are named differently. Names of emotions and splits are not persons.
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
                f"names such as {example.rpartition('/')[2] if pattern is _press else example} appear to contain "
                f"persons ({len(persons):,}), who may be in several splits; --subjects '{advice}' keeps each in one"
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
