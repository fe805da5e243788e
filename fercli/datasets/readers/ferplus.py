"""FER+: FER2013's pictures with the votes of ten annotators (Barsoum et al. 2016).

`fer2013new.csv` holds one row of votes for each row of `fer2013.csv`, and is joined **by row position**: the numbers in
its image names are not row numbers, some rows have no name, and some names occur twice. Both tables name the split of
each row, so that a pair of tables that do not belong together is refused.

How votes become labels, as the authors' published code does it:

- An emotion (or unknown, or no face) that one annotator alone voted for is taken for an outlier: its vote is left out.
- `majority`: of all ten columns, one must have more than `share` of the votes that are left (a half, as published). The
  row is left out where that column is unknown, or no face, or where there is none: a `tie` where two columns are
  strongest, `no majority` else. Contempt is a label as any other, which the import stage leaves out of seven classes.
- `soft`: the kept emotions' votes are the target, their strongest is the label (of a tie the first in canonical order).
  They must have more than `share` of the votes that are left; otherwise the row is left out under whichever of unknown,
  no face and (of seven classes) contempt has most, or as `no majority` where none of them has any. This is the whole
  distribution; the authors' own cuts it after three emotions, or three quarters of the votes.
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
"""What a column's votes are for, by its name in lower case."""
_OUTLIER = 1


class _Ended:
    """Stands for a row after a table's end."""


_ENDED = _Ended()
_MOST_VOTES = 1_000_000
Votes = dict[str, int]


class FerPlus:
    """A folder with both tables."""

    name = "ferplus"
    title = "FER+"
    wants = "a folder with fer2013.csv (or icml_face_data.csv) and fer2013new.csv"
    published: ClassVar[dict[str, int]] = PUBLISHED

    def recognises(self, source: Path, wanted: ImportOptions = ANY) -> bool:
        """Tell whether the folder holds the votes and the pixels, or the source is the votes' table."""
        if source.is_file():
            return _places(source) is not None
        # By the names alone: read as FER2013 because the votes are damaged, its labels would pass for FER+'s.
        return (source / VOTES).is_file() and Fer2013Csv().recognises(source)

    def read(self, source: Path, wanted: ImportOptions = ANY) -> Iterator[Item]:
        """Yield FER2013's rows with the label, or the votes, that the annotators gave them.

        Raises:
            DataError: a table is missing or none, or the two do not belong together.
        """
        table = source if source.is_file() else source / VOTES
        if not table.is_file():
            raise DataError(f"{source}: FER+ is a folder with fer2013.csv and {VOTES}; {VOTES} is not there")
        try:
            places = _places(table)
            if places is None:
                raise DataError(f"{table}: the first line of FER+'s votes names Usage, {', '.join(COLUMNS)}")
            if source.is_file():
                raise DataError(f"{source}: FER+'s votes alone; name a folder that holds fer2013.csv beside them")
            yield from _joined(source, table, places, wanted)
        except OSError as error:
            raise DataError(f"{table}: {error.strerror or error}") from error


def _places(table: Path) -> dict[str, int] | None:
    """Return the place of Usage and of each column of votes, or None where one is missing."""
    if not table.is_file():
        return None
    names = [name.lower() for name in first_line(table)]
    wanted = ("usage", *COLUMNS)
    return {name: names.index(name) for name in wanted} if set(wanted) <= set(names) else None


def _joined(source: Path, table: Path, places: dict[str, int], wanted: ImportOptions) -> Iterator[Item]:
    lines = lines_of(table)
    next(lines, None)
    # FER2013's own labels are not needed, so nothing is asked of their codes.
    pixels, votes = Fer2013Csv().rows(source, None), (_values(line, places) for line in lines)
    for row, (item, values) in enumerate(zip_longest(pixels, votes, fillvalue=_ENDED)):
        if isinstance(item, _Ended) or isinstance(values, _Ended):
            longer, shorter = (table.name, "the pixels") if item is _ENDED else ("the pixels", table.name)
            raise DataError(f"{source}: row {row} is in {longer} and not in {shorter}; take tables of equal length")
        if not item.problem:
            usage = values[places["usage"]].strip() if values and len(values) > places["usage"] else ""
            if usage and USAGES.get(usage) != item.split:
                raise DataError(
                    f"{source}: row {row} is of {item.split} in the pixels and of '{usage[:40]}' in {table.name}; "
                    "the tables do not belong together: take both in their published order"
                )
            _label(item, _votes(values, places), wanted)
        yield item


def _values(line: str | None, places: dict[str, int]) -> list[str] | None:
    """Return the values of a row of votes, or None where it is too long or a quotation mark spoils it."""
    values = cells(line) if line else None
    if line and values and len(values) <= max(places.values()) and too_few(line) == STRAY_QUOTE:
        return None
    return values


def _votes(values: list[str] | None, places: dict[str, int]) -> Votes | None:
    """Return a row's votes by what they are for, or None where one is missing or no whole number."""
    if values is None or len(values) <= max(places.values()):
        return None
    words = {name: values[places[column]].strip() for column, name in COLUMNS.items()}
    if not all(word.isascii() and word.isdigit() and len(word) <= len(str(_MOST_VOTES)) for word in words.values()):
        return None
    return {name: int(word) for name, word in words.items()}


def _label(item: Item, votes: Votes | None, wanted: ImportOptions) -> None:
    """Give an item its emotion (and votes), or why it is not to be used."""
    item.emotion = ""
    if votes is None:
        item.problem = item.problem or "votes unreadable"
    elif not any(votes.values()):
        item.problem = item.problem or "no votes"
    elif not item.problem:
        left = {name: count for name, count in votes.items() if count > _OUTLIER}
        if wanted.votes == "soft":
            item.emotion, item.left_out = soft(left, wanted)
            kept = _kept(left, wanted) if item.emotion else {}
            item.votes = format_votes(kept) if kept else ""
        else:
            item.emotion, item.left_out = majority(left, wanted.share)


def majority(votes: Votes, share: float) -> tuple[str, str]:
    """Return the emotion of one row's votes, outliers gone, or else the reason why it has none: one of both is empty.

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


def soft(votes: Votes, wanted: ImportOptions) -> tuple[str, str]:
    """Return the strongest of the kept emotions of one row's votes, or else the reason why the row is left out."""
    kept = _kept(votes, wanted)
    if sum(kept.values()) > wanted.share * sum(votes.values()):
        return max(kept, key=lambda name: kept[name]), ""
    others = {name: count for name, count in votes.items() if name not in kept}
    reason = max(others, key=lambda name: others[name], default="no majority")
    return "", CONTEMPT_LEFT_OUT if reason == CONTEMPT else reason


def _kept(votes: Votes, wanted: ImportOptions) -> Votes:
    """Return the votes for emotions of the wanted classes, in canonical order."""
    classes = (*EMOTIONS, CONTEMPT)[: wanted.classes]
    return {name: votes[name] for name in classes if votes.get(name)}
