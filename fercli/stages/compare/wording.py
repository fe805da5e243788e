"""How a comparison's figures and verdicts are worded, the same on the terminal and on the page."""

from __future__ import annotations

from collections.abc import Sequence

ALPHA = 0.05
FEW_RUNS = 5
MINUS = "\N{MINUS SIGN}"


def points(value: float | None, sign: bool = True) -> str:
    """Format a difference of ratios in percentage points, as in `+1.25`; a dash for None."""
    if value is None:
        return "–"
    text = f"{100 * value:+.2f}" if sign else f"{100 * value:.2f}"
    return ("0.00" if float(text) == 0 else text).replace("-", MINUS)


def interval_text(bounds: Sequence[float] | None) -> str:
    """Format an interval of a difference in percentage points."""
    return "–" if bounds is None else f"{points(bounds[0])} to {points(bounds[1])}"


def p_text(value: float | None) -> str:
    """Format a p-value; a dash for None."""
    if value is None:
        return "–"
    return "<0.0001" if value < 1e-4 else f"{value:.4f}" if value < 0.1 else f"{value:.2f}"


def p_equals(value: float) -> str:
    """Format a p-value for a sentence: `p = 0.03`, `p < 0.0001`."""
    text = p_text(value)
    return f"p < {text[1:]}" if text.startswith("<") else f"p = {text}"


def verdict(
    first: str,
    second: str,
    difference: float,
    interval: Sequence[float] | None,
    p_value: float | None,
    smallest: float | None,
    *,
    corrected: bool,
) -> str:
    """Return what the difference in accuracy means, as one or two sentences.

    Args:
        first: Name of the first side.
        second: Name of the second side.
        difference: Accuracy of the first minus that of the second.
        interval: Its 95 % interval.
        p_value: That of the pair's test, corrected if there are several pairs; None if it is undefined.
        smallest: The smallest difference that would probably have been found.
        corrected: Whether the p-value was corrected.
    """
    within = "" if interval is None else f", 95 % interval {interval_text(interval)}"
    size = f"{points(difference)} points{within}"
    if p_value is None:
        return f"The difference cannot be tested: it is the same in every run or fold ({size})."
    p = f"{p_equals(p_value)}{' after correction' if corrected else ''}"
    if p_value < ALPHA and difference:
        better, worse = (first, second) if difference > 0 else (second, first)
        found = f"{better} is more accurate than {worse} ({size}; {p})."
        if interval is not None and interval[0] <= 0 <= interval[1]:
            found += " But the interval includes zero: take it as a hint."
        return found
    if smallest is None:
        return f"No difference in accuracy shown ({size}; {p}). They disagree on too few images to show any."
    return (
        f"No difference in accuracy shown ({size}; {p}). That is not equality: a difference below about "
        f"{points(smallest, sign=False)} points would often be missed here."
    )


def why_of(method: str, runs: tuple[int, int], n: int, repeats: int) -> str:
    """Return which test was chosen for a pair, and why.

    Args:
        method: The method of the pair (`fercli.stages.compare.summary.Method`).
        runs: Number of runs of the first and the second side.
        n: Number of images.
        repeats: Number of repeats of a cross-validation.
    """
    if method == "images":
        return (
            f"One model a side, predicting the same {n:,} images: McNemar's test of the images on which only one is "
            "right; intervals by a paired bootstrap over images."
        )
    if method == "seeds":
        return (
            f"{runs[0]} and {runs[1]} runs, predicting the same {n:,} images: Welch's t-test over runs; intervals by a "
            "bootstrap over runs and images."
        )
    if method == "one run against seeds":
        return (
            f"One run against {max(runs)}: a t-test of whether it lies outside of the group; intervals by a bootstrap "
            "over images and the group's runs."
        )
    if method == "5x2":
        return "Two 5x2 cross-validations with the same folds: Alpaydin's combined F test, and Dietterich's t-test."
    again = f" repeated {repeats} times" if repeats > 1 else ""
    return (
        f"Two cross-validations{again} with the same folds: the corrected resampled t-test, since the training sets of "
        "the folds overlap."
    )


def pair_notes(method: str, runs: tuple[int, int]) -> list[str]:
    """Return what limits the conclusions from a pair's method."""
    if method == "images":
        return ["The result is about these two models, not about their recipes: other seeds may reverse it."]
    if method == "one run against seeds":
        return [
            "One side has a single run, whose own variation between seeds is unknown and taken from the other side; "
            "the intervals leave it out. Train several seeds of both."
        ]
    if method == "seeds" and min(runs) < FEW_RUNS:
        return [f"With fewer than {FEW_RUNS} runs a side the variation between seeds is itself poorly known."]
    return []
