"""The policies: target counts of each class. No policy removes images."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from fercli.errors import UsageError, did_you_mean

MAX_TARGET = 1_000_000
"""Maximum target count of a class: a plan has a line for each image."""

Classes = Mapping[str, int]


def level(have: Classes) -> dict[str, int]:
    """Raise every class to the size of the largest one (Ensembles paper, section 4: 21,796 for FER2013's train)."""
    return dict.fromkeys(have, max(have.values()))


def augment_counts(have: Classes) -> dict[str, int]:
    """Raise every class to 5,670/7,215 of the size of the largest one.

    On FER2013's train split this gives Table III of the ResNet50-CBAM paper, which raises every class but happy (7,215
    images) to 5,670. Other datasets get the same share. Larger classes are unchanged.
    """
    most = max(have.values())
    return {emotion: max(count, _share(most, 5670, 7215)) for emotion, count in have.items()}


def ratio(have: Classes) -> dict[str, int]:
    """Enlarge every class 1.35 times, disgust 2.16 times (Ensembles paper, section 6.3.2), halves rounded up.

    This hardly balances the classes; it exists to reproduce the results obtained with it.
    """
    return {emotion: _share(count, 216 if emotion == "disgust" else 135, 100) for emotion, count in have.items()}


def _share(count: int, numerator: int, denominator: int) -> int:
    """Return `count` x numerator / denominator rounded half up, without floating-point error."""
    return (2 * count * numerator + denominator) // (2 * denominator)


POLICIES: dict[str, Callable[[Classes], dict[str, int]]] = {
    "level": level,
    "augment-counts": augment_counts,
    "ratio": ratio,
}
"""The named policies. An integer is a policy too: it raises every class to that many images."""


def parse_policy(given: str | int) -> str:
    """Return the normalised form of a policy: its name, or its number in digits.

    Raises:
        UsageError: there is no such policy, or the number is not between 1 and a million.
    """
    text = str(given).strip()
    if re.fullmatch(r"[+-]?[0-9]+", text):
        number = int(text[:10])  # Python refuses to parse thousands of digits
        if not 1 <= number <= MAX_TARGET:
            raise UsageError(
                f"policy: a number must be from 1 to {MAX_TARGET:,}, the target size of each class (got {text})"
            )
        return str(number)
    if text not in POLICIES:
        raise UsageError(did_you_mean("policy", text, list(POLICIES), "(or an integer, the target size of each class)"))
    return text


def targets(have: Classes, policy: str) -> dict[str, int]:
    """Return the target count of each class of a split.

    Args:
        have: Number of existing images of each class. An empty split stays empty.
        policy: From `parse_policy`.
    """
    if not any(have.values()):
        return dict.fromkeys(have, 0)
    if policy in POLICIES:
        return POLICIES[policy](have)
    return {emotion: max(count, int(policy)) for emotion, count in have.items()}
