"""The policies: the papers' counts on FER2013, and properties on other counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fercli.datasets.balancing.policies import MAX_TARGET, POLICIES, parse_policy, targets
from fercli.emotions import EMOTIONS
from fercli.errors import UsageError
from fercli.stages.balance.plan import COLUMNS, make_plan
from fercli.stages.balance.targets import TARGETS

PUBLISHED = TARGETS["fer2013"].counts
TRAIN = PUBLISHED["train"]


def by_emotion(*counts: int) -> dict[str, int]:
    return dict(zip(EMOTIONS, counts, strict=True))


def added(policy: str, have: dict[str, int] = TRAIN) -> dict[str, int]:
    return {emotion: target - have[emotion] for emotion, target in targets(have, policy).items()}


def test_published_counts_add_up() -> None:
    assert {split: sum(counts.values()) for split, counts in PUBLISHED.items()} == {
        "train": 28_709, "validation": 3_589, "test": 3_589
    }  # fmt: skip


def test_level_matches_the_paper() -> None:
    plan = make_plan(PUBLISHED, "level", ["train"], "generate").summary()
    assert [plan[split]["needed"] for split in ("train", "validation", "test")] == [21_796, 2_676, 2_564]
    assert plan["validation"]["needed"] + plan["test"]["needed"] == 5_240
    assert set(plan["train"]["target"].values()) == {7_215}


def test_augment_counts_match_the_paper() -> None:
    # ResNet50-CBAM paper, Table III: 28,709 images become 41,235.
    assert added("augment-counts") == by_emotion(1675, 5234, 1573, 0, 840, 2499, 705)
    assert sum(targets(TRAIN, "augment-counts").values()) == 41_235


def test_augment_counts_share_on_other_datasets() -> None:
    assert targets({"happy": 1443, "sad": 10, "fear": 1200}, "augment-counts") == {
        "happy": 1443, "sad": 1134, "fear": 1200
    }  # fmt: skip


def test_ratio() -> None:
    # 3995 x 1.35 = 5393.25, 436 x 2.16 = 941.76, 7215 x 1.35 = 9740.25, 4830 x 1.35 = 6520.5 …
    assert targets(TRAIN, "ratio") == by_emotion(5393, 942, 5531, 9740, 6521, 4281, 6703)
    assert targets({"disgust": 0, "sad": 0, "happy": 1}, "ratio") == {"disgust": 0, "sad": 0, "happy": 1}
    assert targets({"sad": 10, "fear": 30}, "ratio") == {"sad": 14, "fear": 41}  # 13.5 and 40.5, rounded half up


def test_number_raises_smaller_classes_only() -> None:
    assert targets({"sad": 3, "happy": 9}, "5") == {"sad": 5, "happy": 9}


@given(
    st.dictionaries(st.sampled_from(EMOTIONS), st.integers(0, 10_000), min_size=1),
    st.one_of(st.sampled_from(sorted(POLICIES)), st.integers(1, MAX_TARGET).map(str)),
)
def test_no_policy_reduces_a_class(have: dict[str, int], policy: str) -> None:
    expected = targets(have, policy)
    assert list(expected) == list(have)
    assert all(expected[emotion] >= count for emotion, count in have.items())
    if policy == "level":
        assert set(expected.values()) == {max(have.values())}
    if not any(have.values()):
        assert not any(expected.values())


@given(st.integers(0, 10**9))
def test_shares_are_rounded_exactly(count: int) -> None:
    from fractions import Fraction
    from math import floor

    for emotion, factor in (("disgust", Fraction("2.16")), ("sad", Fraction("1.35"))):
        assert POLICIES["ratio"]({emotion: count})[emotion] == floor(count * factor + Fraction(1, 2))


@pytest.mark.parametrize(
    ("given", "policy"), [("level", "level"), (" 500 ", "500"), ("0500", "500"), (7, "7"), ("+7", "7")]
)
def test_policies_are_normalised(given: str | int, policy: str) -> None:
    assert parse_policy(given) == policy


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("0", "from 1 to 1,000,000"),
        ("-5", "from 1 to 1,000,000"),
        ("1000001", "from 1 to 1,000,000"),
        ("9" * 5000, "from 1 to 1,000,000"),
        ("abc", "no policy 'abc'; there are level, augment-counts, ratio"),
        ("levle", "did you mean level"),
        ("1.5", "no policy '1.5'"),
        ("²", "no policy"),
        ("", "no policy ''"),
    ],
)
def test_invalid_policies(given: str, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        parse_policy(given)


def test_needs_of_unfilled_splits_are_reported() -> None:
    plan = make_plan(PUBLISHED, "level", ["test"], "augment")
    summary = plan.summary()
    assert summary["train"]["needed"] == 21_796
    assert set(summary["train"]["augment"].values()) == {0}
    assert sum(summary["test"]["augment"].values()) == summary["test"]["needed"] == 2_564
    assert summary["prompts"] == 0
    assert plan.filled == ("test",)
    rows = list(plan.table())
    assert rows[1] == ("train", "disgust", 436, 7215, 0, 0)
    assert rows[-1] == ("test", "neutral", 626, 879, 253, 0)
    assert len(rows) == 21
    assert all(len(row) == len(COLUMNS) for row in rows)
