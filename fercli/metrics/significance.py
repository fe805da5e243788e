"""Whether two models evaluated on the same images differ significantly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class McNemar:
    """McNemar's exact test of two models on the same images.

    Attributes:
        both: Images that both predict correctly.
        only_first: Images that only the first predicts correctly.
        only_second: Images that only the second predicts correctly.
        neither: Images that neither predicts correctly.
        p_value: Two-sided p-value of the null hypothesis that each is as likely to be the only correct one.
    """

    both: int
    only_first: int
    only_second: int
    neither: int
    p_value: float


def mcnemar(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> McNemar:
    """Return McNemar's exact test: a binomial test (p = 1/2) on the images that only one predicts correctly.

    Source: Q. McNemar, "Note on the sampling error of the difference between correlated proportions or percentages",
    Psychometrika 12 (1947); with the exact binomial distribution, not its chi-squared approximation.

    Args:
        first: Which images the first model predicts correctly, (N,).
        second: The same for the second model.

    Raises:
        ValueError: the two differ in length.
    """
    if first.shape != second.shape:
        raise ValueError(f"{first.size} images of the first model, but {second.size} of the second")
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    return McNemar(
        both=int((first & second).sum()),
        only_first=only_first,
        only_second=only_second,
        neither=int((~first & ~second).sum()),
        p_value=_sign_test(only_first, only_second),
    )


def _sign_test(a: int, b: int) -> float:
    """Return the two-sided probability that a + b fair coin tosses split at least as unevenly as a to b."""
    n, ways, total = a + b, 1, 0  # integers, for exact arithmetic
    for k in range(min(a, b) + 1):
        total += ways
        ways = ways * (n - k) // (k + 1)
    return min(1.0, 2 * total / (1 << n))  # the middle term of an even split counts twice
