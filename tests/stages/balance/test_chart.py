"""The chart: nothing is cut off, even for extreme plans."""

import numpy as np
import pytest

from fercli.emotions import CONTEMPT, EMOTIONS
from fercli.images import decode
from fercli.report.style import BLUE, GREEN, ORANGE
from fercli.stages.balance.chart import balance_figure
from fercli.stages.balance.plan import Plan, make_plan
from fercli.stages.balance.targets import TARGETS

COUNTS = TARGETS["fer2013"].counts
HUGE = {"train": dict.fromkeys((*EMOTIONS, CONTEMPT, "$\\x$", "so " * 30), 999_999) | {"sad": 1}}


@pytest.mark.slow
@pytest.mark.parametrize(
    "plan",
    [
        make_plan(COUNTS, "level", ["train"], "augment"),
        make_plan(COUNTS, "ratio", ["train", "validation", "test"], "generate"),
        make_plan(HUGE, "1000000", ["train"], "augment"),
        make_plan({"train": {"sad": 1}, "test": {"sad": 0}}, "level", ["train"], "augment"),
        make_plan({"train": {"sad": 0}}, "level", ["train"], "augment"),
    ],
)
def test_nothing_is_cut_off(plan: Plan) -> None:
    pixels = decode(balance_figure(plan, "$\\frac{$ a name " + "so " * 60 + "\udcff\n"), "figure")
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    assert (border == 255).all()
    assert pixels.min() < 100


@pytest.mark.slow
def test_filled_splits_are_visible() -> None:
    filled, not_filled = (balance_figure(make_plan(COUNTS, "level", s, "augment"), "t") for s in (["train"], ["test"]))
    assert filled != not_filled


def test_augmented_and_generated_bars_are_stacked() -> None:
    counts = {"train": {"sad": 10, "happy": 4}}
    pixels = decode(balance_figure(make_plan(counts, "level", ["train"], "mix"), "t"), "figure")
    blue, orange, green = (_columns(pixels, colour) for colour in (BLUE, ORANGE, GREEN))
    assert len(orange) == pytest.approx(len(green), abs=2)
    assert len(blue) == pytest.approx(10 / 3 * len(orange), abs=6)
    assert orange.max() + 1 == pytest.approx(green.min(), abs=2)
    assert green.max() == pytest.approx(blue.max(), abs=2)  # both classes end at ten


@pytest.mark.slow
def test_images_not_created_are_not_drawn() -> None:
    plan = make_plan({"train": {"sad": 10, "happy": 4}}, "level", ["train"], "generate")
    short = plan.with_created({}, {"train": {"happy": 2}})
    assert [(e, need.have, need.added, need.target) for _, e, need in short.classes()] == [
        ("sad", 10, 0, 10),
        ("happy", 4, 2, 10),
    ]
    full, part = (decode(balance_figure(one, "t", done=True), "figure") for one in (plan, short))
    assert len(_columns(part, GREEN)) == pytest.approx(len(_columns(full, GREEN)) / 3, abs=3)


def _columns(pixels: np.ndarray, colour: str) -> np.ndarray:
    """Return the pixel columns that contain a colour, above the legend."""
    rgb = [int(colour[k : k + 2], 16) for k in (1, 3, 5)]
    return np.flatnonzero((pixels[: len(pixels) * 6 // 10] == rgb).all(2).any(0))
