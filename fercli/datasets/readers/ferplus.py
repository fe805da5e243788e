"""FER+: the images of FER2013 with the votes of ten annotators (Barsoum et al. 2016).

`fer2013new.csv` has one row of votes for each row of `fer2013.csv`, and is joined **by row position**: the numbers in
its image names are not row numbers, some rows have no name, and some names occur twice. Both tables give the split of
each row, so that two tables that do not belong together are refused.

Votes become labels as in the authors' published code:

- An emotion (or unknown, or no face) with a single vote is treated as an outlier, and the vote is discarded.
- `majority`: one of the ten columns must have more than `share` of the remaining votes (half, as published). The row is
  skipped if that column is unknown or no face, or if there is no such column: as a `tie` if two columns lead, otherwise
  as `no majority`. Contempt is a label like any other, which the import stage excludes with seven classes.
- `soft`: the votes of the emotions are the target, and the leading one is the label (in a tie, the first in canonical
  order). They must have more than `share` of the remaining votes; otherwise the row is skipped under whichever of
  unknown, no face and (with seven classes) contempt has the most votes, or as `no majority` if none of them has any.
  The full distribution is kept; the authors truncate it after three emotions, or three quarters of the votes.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import ClassVar

from fercli.datasets.readers.base import ANY, CONTEMPT_LEFT_OUT, ImportOptions, Item
from fercli.datasets.readers.fer2013_csv import PUBLISHED, USAGES, Fer2013Csv, first_line
from fercli.datasets.readers.lists import STRAY_QUOTE, cells, lines_of, too_few
from fercli.datasets.votes import format_votes
from fercli.emotions import CONTEMPT, EMOTIONS
from fercli.errors import DataError

VOTES = "fer2013new.csv"
COLUMNS: dict[str, str] = {
    "neutral": "neutral",
    "happiness": "happy",
    "surprise": "surprise",
    "sadness": "sad",
    "anger": "angry",
    "disgust": "disgust",
    "fear": "fear",
    "contempt": CONTEMPT,
    "unknown": "unknown",
    "nf": "no face",
}
"""What the votes in a column are for, by its lower-case name."""
_OUTLIER = 1


class _Ended:
    """Sentinel for a row past the end of a table."""


_ENDED = _Ended()
_MOST_VOTES = 1_000_000
Votes = dict[str, int]


class FerPlus:
    """A folder with both tables."""

    name = "ferplus"
    title = "FER+"
    expects = "a folder with fer2013.csv (or icml_face_data.csv) and fer2013new.csv"
    published: ClassVar[dict[str, int]] = PUBLISHED

    def matches(self, source: Path, options: ImportOptions = ANY) -> bool:
        """Return whether the folder contains the votes and the pixels, or the source is the table of votes."""
        if source.is_file():
            return _places(source) is not None
        # By file names only: if damaged votes made it match FER2013, those labels would pass for FER+'s.
        return (source / VOTES).is_file() and Fer2013Csv().matches(source)

    def read(self, source: Path, options: ImportOptions = ANY) -> Iterator[Item]:
        """Yield FER2013's rows with the annotators' label or votes.

        Raises:
            DataError: a table is missing or invalid, or the two do not belong together.
        """
        table = source if source.is_file() else source / VOTES
        if not table.is_file():
            raise DataError(f"{source}: FER+ is a folder with fer2013.csv and {VOTES}; {VOTES} is missing")
        try:
            places = _places(table)
            if places is None:
                raise DataError(
                    f"{table}: not FER+'s votes, whose first line has the columns Usage, {', '.join(COLUMNS)}"
                )
            if source.is_file():
                raise DataError(f"{source}: contains only FER+'s votes; give a folder that also contains fer2013.csv")
            yield from _joined(source, table, places, options)
        except OSError as error:
            raise DataError(f"{table}: {error.strerror or error}") from error


def _places(table: Path) -> dict[str, int] | None:
    """Return the positions of Usage and of each column of votes, or None if one is missing."""
    if not table.is_file():
        return None
    names = [name.lower() for name in first_line(table)]
    options = ("usage", *COLUMNS)
    return {name: names.index(name) for name in options} if set(options) <= set(names) else None


def _joined(source: Path, table: Path, places: dict[str, int], options: ImportOptions) -> Iterator[Item]:
    lines = lines_of(table)
    next(lines, None)
    # FER2013's own labels are not needed, so their codes are not checked.
    pixels, votes = Fer2013Csv().rows(source, None), (_values(line, places) for line in lines)
    for row, (item, values) in enumerate(zip_longest(pixels, votes, fillvalue=_ENDED)):
        if isinstance(item, _Ended) or isinstance(values, _Ended):
            longer, shorter = (table.name, "the pixels") if item is _ENDED else ("the pixels", table.name)
            raise DataError(f"{source}: row {row} is in {longer} but not in {shorter}; use tables of equal length")
        if not item.problem:
            usage = values[places["usage"]].strip() if values and len(values) > places["usage"] else ""
            if usage and USAGES.get(usage) != item.split:
                raise DataError(
                    f"{source}: row {row} is {item.split} in the pixels but '{usage[:40]}' in {table.name}; "
                    "the tables do not belong together: use both in their published order"
                )
            _label(item, _votes(values, places), options)
        yield item


def _values(line: str | None, places: dict[str, int]) -> list[str] | None:
    """Return the values of a row of votes, or None if it is too long or has a stray quotation mark."""
    values = cells(line) if line else None
    if line and values and len(values) <= max(places.values()) and too_few(line) == STRAY_QUOTE:
        return None
    return values


def _votes(values: list[str] | None, places: dict[str, int]) -> Votes | None:
    """Return a row's votes by what they are for, or None if one is missing or not an integer."""
    if values is None or len(values) <= max(places.values()):
        return None
    words = {name: values[places[column]].strip() for column, name in COLUMNS.items()}
    if not all(word.isascii() and word.isdigit() and len(word) <= len(str(_MOST_VOTES)) for word in words.values()):
        return None
    return {name: int(word) for name, word in words.items()}


def _label(item: Item, votes: Votes | None, options: ImportOptions) -> None:
    """Set an item's emotion (and votes), or why it cannot be used."""
    item.emotion = ""
    if votes is None:
        item.problem = item.problem or "votes unreadable"
    elif not any(votes.values()):
        item.problem = item.problem or "no votes"
    elif not item.problem:
        left = {name: count for name, count in votes.items() if count > _OUTLIER}
        if options.votes == "soft":
            item.emotion, item.left_out = soft(left, options)
            kept = _kept(left, options) if item.emotion else {}
            item.votes = format_votes(kept) if kept else ""
        else:
            item.emotion, item.left_out = majority(left, options.share)


def majority(votes: Votes, share: float) -> tuple[str, str]:
    """Return the emotion for a row's votes without outliers, and the reason if there is none; one of them is empty.

    >>> majority({"happy": 6, "neutral": 4}, 0.5), majority({"happy": 5, "neutral": 5}, 0.5)
    (('happy', ''), ('', 'tie'))
    """
    most = max(votes.values(), default=0)
    strongest = [name for name, count in votes.items() if count == most]
    if len(strongest) > 1:
        return "", "tie"
    if most <= share * sum(votes.values()):
        return "", "no majority"
    (name,) = strongest
    return (name, "") if name in (*EMOTIONS, CONTEMPT) else ("", name)


def soft(votes: Votes, options: ImportOptions) -> tuple[str, str]:
    """Return the leading emotion for a row's votes, and the reason if the row is skipped; one of them is empty."""
    kept = _kept(votes, options)
    if sum(kept.values()) > options.share * sum(votes.values()):
        return max(kept, key=lambda name: kept[name]), ""
    others = {name: count for name, count in votes.items() if name not in kept}
    reason = max(others, key=lambda name: others[name], default="no majority")
    return "", CONTEMPT_LEFT_OUT if reason == CONTEMPT else reason


def _kept(votes: Votes, options: ImportOptions) -> Votes:
    """Return the votes for the selected classes, in canonical order."""
    classes = (*EMOTIONS, CONTEMPT)[: options.classes]
    return {name: votes[name] for name in classes if votes.get(name)}
