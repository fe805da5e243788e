"""The chart: whole, at the ends of what it may be given."""

import numpy as np
import pytest

from fercli.emotions import CONTEMPT, EMOTIONS
from fercli.images import decode
from fercli.stages.balance.picture import balance_figure
from fercli.stages.balance.plan import Plan, make_plan
from fercli.stages.balance.targets import TARGETS

COUNTS = TARGETS["fer2013"].counts
HUGE = {"train": dict.fromkeys((*EMOTIONS, CONTEMPT, "$\\x$", "so " * 30), 999_999) | {"sad": 1}}


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


def test_what_is_filled_shows() -> None:
    filled, not_filled = (balance_figure(make_plan(COUNTS, "level", s, "augment"), "t") for s in (["train"], ["test"]))
    assert filled != not_filled
