"""How figures and verdicts are worded."""

from __future__ import annotations

import pytest

from fercli.stages.compare.wording import interval_text, p_equals, p_text, points, verdict


def test_figures() -> None:
    assert [points(value) for value in (0.0125, -0.3, -0.00001, None)] == ["+1.25", "−30.00", "0.00", "–"]
    assert interval_text((-0.01, 0.02)) == "−1.00 to +2.00"
    assert [p_text(value) for value in (1e-6, 0.0123, 0.44, None)] == ["<0.0001", "0.0123", "0.44", "–"]
    assert [p_equals(value) for value in (1e-6, 0.5)] == ["p < 0.0001", "p = 0.50"]


@pytest.mark.parametrize(
    ("difference", "interval", "p", "smallest", "expected"),
    [
        (0.02, (0.01, 0.03), 0.001, 0.02, "a is more accurate than b (+2.00 points"),
        (-0.02, (-0.03, -0.01), 0.001, 0.02, "b is more accurate than a (−2.00 points"),
        (0.02, (-0.01, 0.05), 0.04, 0.02, "includes zero: take it as a hint"),
        (0.02, (-0.01, 0.05), 0.3, 0.031, "a difference below about 3.10 points would often be missed"),
        (0.02, (-0.01, 0.05), 0.3, None, "They disagree on too few images to show any"),
        (0.02, None, None, None, "The difference cannot be tested"),
        (0.0, (0.0, 0.0), 1.0, None, "No difference in accuracy shown (0.00 points"),
    ],
)
def test_verdicts(difference: float, interval: object, p: float | None, smallest: float | None, expected: str) -> None:
    assert expected in verdict("a", "b", difference, interval, p, smallest, corrected=False)
    assert ("after correction" in verdict("a", "b", difference, interval, p, smallest, corrected=True)) == (
        p is not None
    )
