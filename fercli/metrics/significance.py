"""Whether two models evaluated on the same images differ significantly, and which difference could be shown at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, sqrt
from statistics import NormalDist

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
        mid_p: The mid-p value of the same hypothesis, which counts the observed outcome half.
    """

    both: int
    only_first: int
    only_second: int
    neither: int
    p_value: float
    mid_p: float


def mcnemar(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> McNemar:
    """Return McNemar's exact test: a binomial test (p = 1/2) on the images that only one predicts correctly.

    Source: Q. McNemar, "Note on the sampling error of the difference between correlated proportions or percentages",
    Psychometrika 12 (1947); with the exact binomial distribution, not its chi-squared approximation. The mid-p value is
    that of M. W. Fagerland, S. Lydersen and P. Laake, "The McNemar test for binary matched-pairs data: mid-p and
    asymptotic are better than exact conditional", BMC Medical Research Methodology 13 (2013): the exact test rejects
    less often than it states, the mid-p test almost exactly as often.

    Args:
        first: Which images the first model predicts correctly, (N,).
        second: The same for the second model.

    Raises:
        ValueError: the two differ in length.
    """
    if first.shape != second.shape:
        raise ValueError(f"{first.size} images of the first model, but {second.size} of the second")
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    exact = _sign_test(only_first, only_second)
    return McNemar(
        both=int((first & second).sum()),
        only_first=only_first,
        only_second=only_second,
        neither=int((~first & ~second).sum()),
        p_value=exact,
        mid_p=_mid_p(only_first, only_second, exact),
    )


def _sign_test(a: int, b: int) -> float:
    """Return the two-sided probability that a + b fair coin tosses split at least as unevenly as a to b."""
    n, ways, total = a + b, 1, 0  # integers, for exact arithmetic
    for k in range(min(a, b) + 1):
        total += ways
        ways = ways * (n - k) // (k + 1)
    return min(1.0, 2 * total / (1 << n))  # the middle term of an even split counts twice


def _mid_p(a: int, b: int, exact: float) -> float:
    """Return the sign test's p-value with the observed split counted half on each side: 1 for an even split."""
    return 1.0 if a == b else exact - comb(a + b, a) / (1 << (a + b))


def smallest_difference(n: int, discordant: float, *, power: float = 0.8, alpha: float = 0.05) -> float | None:
    """Return the smallest difference in accuracy that McNemar's test finds with a given power.

    The sample size of paired proportions of R. J. Connor, "Sample size for testing differences in proportions for the
    paired-sample design", Biometrics 43 (1987), n d^2 = (a sqrt(p) + b sqrt(p - d^2))^2, solved for the difference d;
    p is the share of discordant pairs, a and b the normal quantiles of 1 - alpha / 2 and of the power.

    Args:
        n: Images.
        discordant: The share of images that only one of the models predicts correctly, in 0..1.
        power: Probability of a significant result if the difference is that large.
        alpha: The two-sided significance level.

    Returns:
        The difference, in 0..1; None if not even a difference as large as the share of discordant pairs is found, since
        there are too few of them.
    """
    a, b = NormalDist().inv_cdf(1 - alpha / 2), NormalDist().inv_cdf(power)
    under = n - a * a + b * b
    if discordant <= 0 or under < 0:
        return None
    found = sqrt(discordant) * (a * sqrt(n) + b * sqrt(under)) / (n + b * b)
    return found if found <= discordant else None


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Return the p-values of several tests, corrected for their number.

    The probability of any false rejection stays below the level, whatever the tests have in common. Source: S. Holm, "A
    simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6 (1979).

    Args:
        p_values: The raw p-values; None for a test that is undefined, which stays so and is not counted.
    """
    corrected: list[float | None] = [None] * len(p_values)
    known = sorted((value, place) for place, value in enumerate(p_values) if value is not None)
    largest = 0.0
    for rank, (value, place) in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - rank) * value))
        corrected[place] = largest
    return corrected
