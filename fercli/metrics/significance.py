"""Whether two models that were measured on the same images differ by more than chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class McNemar:
    """McNemar's exact test of two models on the same images.

    Attributes:
        both: Images that both got right.
        only_first: Images that the first alone got right.
        only_second: Images that the second alone got right.
        neither: Images that both got wrong.
        p_value: Probability of a difference at least as large, either way, were each as likely to be the one right.
    """

    both: int
    only_first: int
    only_second: int
    neither: int
    p_value: float


def mcnemar(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> McNemar:
    """Return McNemar's test, exact: of the images that one alone got right, a binomial with probability 1/2.

    Source: Q. McNemar, "Note on the sampling error of the difference between correlated proportions or percentages",
    Psychometrika 12 (1947); the binomial itself in place of its chi-squared approximation.

    Args:
        first: Which images the first model got right, (N,).
        second: Which the second did.

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
    """Return the two-sided probability of a split of a + b tosses at least as uneven as this one, in whole numbers."""
    n, ways, total = a + b, 1, 0  # whole numbers, which divide exactly
    for k in range(min(a, b) + 1):
        total += ways
        ways = ways * (n - k) // (k + 1)
    return min(1.0, 2 * total / (1 << n))  # an even split's middle term counts twice
