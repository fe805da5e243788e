"""How far a figure may be from the truth, for the number of images it was measured on."""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist


def wilson_interval(correct: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval of a share, such as accuracy, without continuity correction.

    Unlike the normal approximation it stays within 0..1 and holds for few images and for shares near 0 and 1.
    Source: E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 22 (1927).

    Args:
        correct: How many of the images were right.
        n: How many images there were; for none nothing is known, and the interval is (0.0, 1.0).
        confidence: Between 0 and 1, both excluded.

    Raises:
        ValueError: not 0 <= correct <= n, or a confidence outside its range.

    >>> [round(bound, 4) for bound in wilson_interval(8, 10)]
    [0.4902, 0.9433]
    """
    if not 0 <= correct <= n:
        raise ValueError(f"{correct} right of {n}")
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence of {confidence}; it lies between 0 and 1")
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = correct / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    # At the ends the bound is 0 or 1 exactly; rounding must not leave 1e-17 there.
    low = 0.0 if correct == 0 else max(0.0, centre - half)
    high = 1.0 if correct == n else min(1.0, centre + half)
    return low, high
