"""How many images each class is to have: the policies. None takes an image away."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from fercli.errors import UsageError, did_you_mean

MOST = 1_000_000
"""The largest number that a class can be filled up to: a plan has a line for each image."""

Classes = Mapping[str, int]


def level(have: Classes) -> dict[str, int]:
    """Return every class at the largest one's size (Ensembles paper, section 4: 21,796 images for FER2013's train)."""
    return dict.fromkeys(have, max(have.values()))


def augment_counts(have: Classes) -> dict[str, int]:
    """Return every class at 5,670 of 7,215 of the largest one's size.

    On FER2013's train these are the ResNet50-CBAM paper's Table III: it raises every class but happy, of 7,215 images,
    to 5,670. On other counts the share stays. A class above it stays as it is.
    """
    most = max(have.values())
    return {emotion: max(count, _share(most, 5670, 7215)) for emotion, count in have.items()}


def ratio(have: Classes) -> dict[str, int]:
    """Return every class 1.35 times as large, disgust 2.16 times (Ensembles paper, section 6.3.2), halves rounded up.

    It evens nothing out but disgust a little; it is here for the figures that were made with it.
    """
    return {emotion: _share(count, 216 if emotion == "disgust" else 135, 100) for emotion, count in have.items()}


def _share(count: int, numerator: int, denominator: int) -> int:
    """Return `count` x numerator / denominator to the nearest whole number, halves up, without a float's error."""
    return (2 * count * numerator + denominator) // (2 * denominator)


POLICIES: dict[str, Callable[[Classes], dict[str, int]]] = {
    "level": level,
    "augment-counts": augment_counts,
    "ratio": ratio,
}
"""The policies with a name. A whole number is one too: every class up to that many."""


def parse_policy(given: str | int) -> str:
    """Return a policy as it is written in manifests: its name, or its number in digits.

    Raises:
        UsageError: there is no such policy, or the number is not from 1 to a million.
    """
    text = str(given).strip()
    if re.fullmatch(r"[+-]?[0-9]+", text):
        number = int(text[:10])  # cut: Python refuses to read thousands of digits
        if not 1 <= number <= MOST:
            raise UsageError(f"policy: a number is from 1 to {MOST:,}, the images wanted in each class (given: {text})")
        return str(number)
    if text not in POLICIES:
        raise UsageError(did_you_mean("policy", text, list(POLICIES), "(or a whole number: every class to that many)"))
    return text


def targets(have: Classes, policy: str) -> dict[str, int]:
    """Return how many images each class of a split is to have.

    Args:
        have: Images of each class. A split without any image wants none.
        policy: From `parse_policy`.
    """
    if not any(have.values()):
        return dict.fromkeys(have, 0)
    if policy in POLICIES:
        return POLICIES[policy](have)
    return {emotion: max(count, int(policy)) for emotion, count in have.items()}
