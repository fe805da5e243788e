"""Numeric label codes: what a dataset's codes mean, and whether a source uses those codes at all.

Looking a code up in the wrong table silently gives a wrong label. So before anything is read, the codes that occur are
compared with the table as a whole: a code outside the table shows that the source is coded differently, and so do
exactly the dataset's codes shifted by one. `--map 0=surprise,1=fear,…` then gives their meaning. A code that does not
occur proves nothing, since part of a dataset may lack an emotion.
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

BY_MAP = "excluded by --map"
"""Why an image is skipped whose label `--map` excludes."""

_CODE = re.compile(r"(-?[0-9]{1,9})(\.0*)?")
_MOST = 1_000
"""Maximum number of distinct codes counted; no table has as many."""
_FEW = 3
STRAY = 0.05
"""Up to this share of the labels, codes outside the table are treated as errors, which can be excluded one by one."""


@lru_cache(maxsize=4096)
def code_of(text: str) -> str | None:
    """Return an integer label in its shortest form, or None for any other label.

    >>> code_of(" 03 "), code_of("3.0"), code_of("3.5"), code_of("happy")
    ('3', '3', None, None)
    """
    match = _CODE.fullmatch(text.strip())
    return str(int(match[1])) if match else None


def count_codes(labels: Iterable[str | None]) -> Counter[str]:
    """Count the codes among labels; other labels are ignored."""
    found: Counter[str] = Counter()
    for text in labels:
        code = code_of(text) if text is not None else None
        if code is not None and (code in found or len(found) < _MOST):
            found[code] += 1
    return found


@dataclass(frozen=True)
class Codes:
    """The label codes of a published dataset.

    Attributes:
        owner: The dataset's display name.
        emotions: Emotion by code.
        none: Codes without an emotion, with the reason for which their images are skipped.
        wholes: The sets of codes in a complete dataset, by default those of `emotions`; shifted by one they are
            refused.
    """

    owner: str
    emotions: Mapping[str, str]
    none: Mapping[str, str] = field(default_factory=dict)
    wholes: tuple[frozenset[int], ...] = ()

    def __post_init__(self) -> None:
        if not self.wholes:
            object.__setattr__(self, "wholes", (frozenset(map(int, self.emotions)),))


class Labels:
    """The meaning of a source's labels: the dataset's codes, overridden by `--map`."""

    def __init__(self, codes: Codes, options: ImportOptions) -> None:
        self.codes = codes
        self._options = options
        self._keys = {code: key for key in options.names if (code := code_of(key)) is not None}

    def of(self, text: str) -> tuple[str, str, str]:
        """Return a label's emotion, its problem and the reason it is excluded; at most one of them is not empty."""
        code = code_of(text)
        key = self._keys.get(code) if code is not None else text
        if key is None:
            emotion = self.codes.emotions.get(code or "", "")
            left_out = self.codes.none.get(code or "", "")
            return emotion, "" if emotion or left_out else UNKNOWN_LABEL, left_out
        if emotion := self._options.emotion(key) or "":
            return emotion, "", ""
        if self._options.excluded(key):
            return "", "", BY_MAP
        return "", UNKNOWN_LABEL, ""

    def fits(self, found: Mapping[str, int]) -> bool:
        """Return whether all codes that occur are the dataset's, or given by `--map`."""
        return not self.outside(found)

    def is_label_column(self, found: Mapping[str, int], others: Mapping[str, int]) -> bool:
        """Return whether only the first of two columns of codes can be the labels."""
        whole = set(self._keys) or set(self.codes.emotions)
        return self.fits(found) and (not others or not self.fits(others) or set(found) >= whole > set(others))

    def outside(self, found: Mapping[str, int]) -> list[int]:
        """Return the codes, in order, that are neither the dataset's nor given by `--map`."""
        return [code for code in self.unmapped(found) if not self._known(code)]

    def unmapped(self, found: Mapping[str, int]) -> list[int]:
        """Return the codes, in order, that `--map` does not give."""
        return sorted(int(code) for code in found if code not in self._keys)

    def shifted(self, found: Mapping[str, int]) -> bool:
        """Return whether the codes that occur are a complete dataset's codes, shifted by one."""
        moved = [{code + step for code in whole} for whole in self.codes.wholes for step in (-1, 1)]
        return bool(self.unmapped(found)) and {int(code) for code in found} in moved

    def check(self, place: Path, found: Mapping[str, int], hint: str = "") -> None:
        """Refuse a source whose codes, as a whole, are not the dataset's.

        Args:
            place: The list, table or folder, for messages.
            found: How often each code occurs.
            hint: Further advice on codes outside the table.

        Raises:
            DataError: codes occur that the dataset does not have, or exactly its codes shifted by one.
            UsageError: `--map` changes the meaning of the dataset's codes without giving all codes that occur.
        """
        self._options.seen.update(key for code, key in self._keys.items() if code in found)
        unmapped, names = self.unmapped(found), self._options.names
        other = [code for code, key in self._keys.items() if names[key] not in ("", self.codes.emotions.get(code))]
        if other and unmapped:
            redefines = f"changes the meaning of {self.codes.owner}'s codes" if self.codes.owner else "gives codes"
            raise UsageError(
                f"map: {place} also has the codes {_listed(unmapped)}; a map that {redefines} must give every code "
                "that occurs (- excludes one)"
            )
        outside = self.outside(found)
        if outside or self.shifted(found):
            raise DataError(f"{place}: {self._describe(found, unmapped, outside)}{hint}")

    def _known(self, code: int) -> bool:
        return str(code) in self.codes.emotions or str(code) in self.codes.none

    def _describe(self, found: Mapping[str, int], unmapped: list[int], outside: list[int]) -> str:
        """Describe the mismatch, and how to map the codes."""
        ours = sorted(map(int, [*self.codes.emotions, *self.codes.none]))
        if not ours:
            given = ",".join(f"{code}=EMOTION" for code in unmapped[:_FEW])
            return f"its labels are codes ({_range(unmapped)}) of an unknown dataset; map them with --map {given},…"
        text = f"its codes {_range(unmapped)}, but {self.codes.owner}'s {_range(ours)}"
        labels, strange = sum(found.values()), sum(found[str(code)] for code in outside if str(code) in found)
        for step in (-1, 1):
            shifted = {code: self.codes.emotions.get(str(code - step)) for code in unmapped}
            if all(shifted.values()):
                start = min(map(min, self.codes.wholes)) + step
                mapping = ",".join(f"{code}={emotion}" for code, emotion in shifted.items())
                text += f"; if they are the same codes counted from {start}, use --map {mapping}"
                own = ",".join(f"{code}={self.codes.emotions.get(str(code), '-')}" for code in unmapped)
                return text if outside else f"{text}; if they are {self.codes.owner}'s own, use --map {own}"
        if strange <= STRAY * labels:
            leave = ",".join(f"{code}=-" for code in outside[:_FEW])
            return f"{text}: {_listed(outside)} in {strange:,} of {labels:,} labels; exclude them with --map {leave}"
        given = ",".join(f"{code}=EMOTION" for code in unmapped[:_FEW])
        return f"{text}; map them with --map {given},… (- excludes one)"


def _range(codes: list[int]) -> str:
    return f"range from {codes[0]} to {codes[-1]}" if len(codes) > 1 else f"are only {codes[0]}"


def _listed(codes: list[int]) -> str:
    shown = ", ".join(map(str, codes[:8]))
    return shown + (", …" if len(codes) > 8 else "")
