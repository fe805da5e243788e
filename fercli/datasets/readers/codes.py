"""Labels that are codes: what a set's codes stand for, and whether the codes of a source are that set's at all.

A code that is looked up in the wrong table gives a label all the same, and a false one. So before anything is read the
codes that occur are compared with the table as a whole: one outside it shows that the source is coded in another way,
and so does a list that holds exactly the set's codes shifted by one. `--map 0=surprise,1=fear,…` then says what they
are. That a code of the table does not occur shows nothing: a part of a set may lack an emotion.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from fercli.datasets.readers.base import ImportOptions
from fercli.datasets.readers.lists import UNKNOWN_LABEL
from fercli.errors import DataError, UsageError

BY_MAP = "left out by --map"
"""Why an image is left out whose label `--map` leaves out."""

_CODE = re.compile(r"(-?[0-9]{1,9})(\.0*)?")
_MOST = 1_000
"""Distinct codes that are counted; no table has as many."""
_FEW = 3
STRAY = 0.05
"""Share of the labels up to which codes outside the table pass for slips, each of which can be left out."""


@lru_cache(maxsize=4096)
def code_of(text: str) -> str | None:
    """Return a label that is a whole number as its shortest digits, or None for any other.

    >>> code_of(" 03 "), code_of("3.0"), code_of("3.5"), code_of("happy")
    ('3', '3', None, None)
    """
    match = _CODE.fullmatch(text.strip())
    return str(int(match[1])) if match else None


def count_codes(labels: Iterable[str | None]) -> Counter[str]:
    """Return how often each code occurs among labels; what is no code is passed over."""
    found: Counter[str] = Counter()
    for text in labels:
        code = code_of(text) if text is not None else None
        if code is not None and (code in found or len(found) < _MOST):
            found[code] += 1
    return found


@dataclass(frozen=True)
class Codes:
    """The codes of a published set.

    Attributes:
        owner: The set's name for people.
        emotions: Emotion by code.
        none: Codes that stand for no emotion, with the reason why such an image is left out.
        wholes: The codes that whole sets hold, by default those of `emotions`; shifted by one they are refused.
    """

    owner: str
    emotions: Mapping[str, str]
    none: Mapping[str, str] = field(default_factory=dict)
    wholes: tuple[frozenset[int], ...] = ()

    def __post_init__(self) -> None:
        if not self.wholes:
            object.__setattr__(self, "wholes", (frozenset(map(int, self.emotions)),))


class Labels:
    """What the labels of one source stand for: a set's codes, and over them what `--map` says."""

    def __init__(self, codes: Codes, wanted: ImportOptions) -> None:
        self.codes = codes
        self._wanted = wanted
        self._keys = {code: key for key in wanted.names if (code := code_of(key)) is not None}

    def of(self, text: str) -> tuple[str, str, str]:
        """Return a label's emotion, why it is a problem, why it is left out: at most one of the three is not empty."""
        code = code_of(text)
        key = self._keys.get(code) if code is not None else text
        if key is None:
            emotion = self.codes.emotions.get(code or "", "")
            left_out = self.codes.none.get(code or "", "")
            return emotion, "" if emotion or left_out else UNKNOWN_LABEL, left_out
        if emotion := self._wanted.emotion(key) or "":
            return emotion, "", ""
        if self._wanted.unwanted(key):
            return "", "", BY_MAP
        return "", UNKNOWN_LABEL, ""

    def fits(self, found: Mapping[str, int]) -> bool:
        """Tell whether all codes that occur are the set's, or given by `--map`."""
        return not self.outside(found)

    def is_label_column(self, found: Mapping[str, int], others: Mapping[str, int]) -> bool:
        """Tell whether of two columns of codes the first alone can be the labels."""
        whole = set(self._keys) or set(self.codes.emotions)
        return self.fits(found) and (not others or not self.fits(others) or set(found) >= whole > set(others))

    def outside(self, found: Mapping[str, int]) -> list[int]:
        """Return the codes, in order, that are neither the set's nor given by `--map`."""
        return [code for code in self.unmapped(found) if not self._known(code)]

    def unmapped(self, found: Mapping[str, int]) -> list[int]:
        """Return the codes, in order, whose meaning `--map` does not give."""
        return sorted(int(code) for code in found if code not in self._keys)

    def shifted(self, found: Mapping[str, int]) -> bool:
        """Tell whether the codes that occur are all codes of a whole set, shifted by one."""
        moved = [{code + step for code in whole} for whole in self.codes.wholes for step in (-1, 1)]
        return bool(self.unmapped(found)) and {int(code) for code in found} in moved

    def check(self, place: Path, found: Mapping[str, int], hint: str = "") -> None:
        """Refuse a source whose codes, as a whole, are not the set's.

        Args:
            place: The list, table or folder, for people.
            found: How often each code occurs in it.
            hint: What else to do about codes outside the table.

        Raises:
            DataError: codes occur that the set does not have, or all of its codes shifted by one.
            UsageError: `--map` gives codes other meanings than the set's, and not all codes that occur.
        """
        self._wanted.met.update(key for code, key in self._keys.items() if code in found)
        unmapped, names = self.unmapped(found), self._wanted.names
        other = [code for code, key in self._keys.items() if names[key] not in ("", self.codes.emotions.get(code))]
        if other and unmapped:
            meaning = f"another meaning than {self.codes.owner}'s" if self.codes.owner else "a meaning"
            raise UsageError(
                f"map: {place} has the codes {_listed(unmapped)} as well; a map that gives codes {meaning} has to give "
                "every code that occurs (- leaves one out)"
            )
        outside = self.outside(found)
        if outside or self.shifted(found):
            raise DataError(f"{place}: {self._describe(found, unmapped, outside)}{hint}")

    def _known(self, code: int) -> bool:
        return str(code) in self.codes.emotions or str(code) in self.codes.none

    def _describe(self, found: Mapping[str, int], unmapped: list[int], outside: list[int]) -> str:
        """Return what does not fit, and how to say what the codes are."""
        ours = sorted(map(int, [*self.codes.emotions, *self.codes.none]))
        if not ours:
            given = ",".join(f"{code}=EMOTION" for code in unmapped[:_FEW])
            return (
                f"its labels are codes ({_range(unmapped)}), and no table says of which set; say with --map {given},…"
            )
        text = f"its codes {_range(unmapped)}, those of {self.codes.owner} {_range(ours)}"
        labels, strange = sum(found.values()), sum(found[str(code)] for code in outside if str(code) in found)
        for step in (-1, 1):
            shifted = {code: self.codes.emotions.get(str(code - step)) for code in unmapped}
            if all(shifted.values()):
                start = min(map(min, self.codes.wholes)) + step
                mapping = ",".join(f"{code}={emotion}" for code, emotion in shifted.items())
                text += f"; if they are the same counted from {start}, say --map {mapping}"
                own = ",".join(f"{code}={self.codes.emotions.get(str(code), '-')}" for code in unmapped)
                return text if outside else f"{text}; if they are its own, --map {own}"
        if strange <= STRAY * labels:
            leave = ",".join(f"{code}=-" for code in outside[:_FEW])
            return f"{text}: {_listed(outside)} in {strange:,} of {labels:,} labels; --map {leave} leaves them out"
        given = ",".join(f"{code}=EMOTION" for code in unmapped[:_FEW])
        return f"{text}; say what they stand for with --map {given},… (- leaves one out)"


def _range(codes: list[int]) -> str:
    return f"run {codes[0]} to {codes[-1]}" if len(codes) > 1 else f"are {codes[0]} alone"


def _listed(codes: list[int]) -> str:
    shown = ", ".join(map(str, codes[:8]))
    return shown + (", …" if len(codes) > 8 else "")
