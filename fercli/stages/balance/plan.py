"""The plan: existing and target counts of each class and split, and how missing images are created."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from math import floor
from typing import Any, Literal

from fercli.datasets.balancing.policies import targets
from fercli.datasets.index import Counts
from fercli.stages.balance.summary import BalanceSummary, SplitPlan

PLAN = "plan.csv"
COLUMNS = ("split", "emotion", "have", "target", "augment", "generate")

Strategy = Literal["augment", "generate", "mix"]
"""How missing images are created: by augmentation, by generation, or a mix of both."""


@dataclass(frozen=True, slots=True)
class Need:
    """One class of one split.

    Attributes:
        have: Number of existing images.
        target: Target number of images, by the policy.
        augment: Images to create by augmentation; 0 if the split is not filled.
        generate: Images to generate; 0 if the split is not filled.
    """

    have: int
    target: int
    augment: int = 0
    generate: int = 0

    @property
    def needed(self) -> int:
        """Number of images missing to reach the target."""
        return self.target - self.have

    @property
    def added(self) -> int:
        """Number of images that the plan adds."""
        return self.augment + self.generate


@dataclass(frozen=True)
class Plan:
    """The needs of all splits, and the images added to those that are filled.

    Attributes:
        needs: Needs by split and emotion.
        filled: The splits that are filled.
    """

    needs: dict[str, dict[str, Need]]
    filled: tuple[str, ...]

    def classes(self) -> Iterator[tuple[str, str, Need]]:
        """Yield every class of every split: split, emotion and need."""
        for split, needs in self.needs.items():
            for emotion, need in needs.items():
                yield split, emotion, need

    def to_generate(self) -> dict[str, dict[str, int]]:
        """Return the number of images to generate, by split and emotion, for the splits that are filled."""
        return {split: {e: need.generate for e, need in self.needs[split].items()} for split in self.filled}

    def with_created(self, augmented: Counts, generated: Counts) -> Plan:
        """Return the plan with the numbers of images actually created, which may be fewer than planned."""
        needs = {
            split: {
                emotion: replace(
                    need,
                    augment=augmented.get(split, {}).get(emotion, 0),
                    generate=generated.get(split, {}).get(emotion, 0),
                )
                for emotion, need in part.items()
            }
            for split, part in self.needs.items()
        }
        return Plan(needs, self.filled)

    @property
    def prompts(self) -> int:
        """Number of images to generate, one per prompt."""
        return sum(need.generate for _, _, need in self.classes())

    def summary(self, **parts: Any) -> BalanceSummary:
        """Return the plan's summary, with further `parts` of `BalanceSummary`."""
        splits: dict[str, Any] = {split: _summarize(needs) for split, needs in self.needs.items()}
        return BalanceSummary(**splits, prompts=self.prompts, **parts)

    def table(self) -> Iterator[tuple[str, str, int, int, int, int]]:
        """Yield the rows of plan.csv, with the columns of COLUMNS."""
        for split, emotion, need in self.classes():
            yield split, emotion, need.have, need.target, need.augment, need.generate


def _summarize(needs: dict[str, Need]) -> SplitPlan:
    return SplitPlan(
        have={emotion: need.have for emotion, need in needs.items()},
        target={emotion: need.target for emotion, need in needs.items()},
        augment={emotion: need.augment for emotion, need in needs.items()},
        generate={emotion: need.generate for emotion, need in needs.items()},
        needed=sum(need.needed for need in needs.values()),
    )


def make_plan(have: Counts, policy: str, splits: Collection[str], strategy: Strategy, share: float = 0.5) -> Plan:
    """Plan how to fill up a dataset.

    Args:
        have: Number of existing images by split and emotion, for all splits.
        policy: From `policies.parse_policy`.
        splits: The splits to fill.
        strategy: How images are created.
        share: For `mix`, the share of the missing images created by augmentation, rounded down; 0 for a class without
            images.
    """
    needs: dict[str, dict[str, Need]] = {}
    for split, counts in have.items():
        goals = targets(counts, policy)
        needs[split] = {}
        for emotion, count in counts.items():
            missing = goals[emotion] - count if split in splits else 0
            part = {"augment": missing, "generate": 0, "mix": floor(missing * share + 1e-9) if count else 0}[strategy]
            needs[split][emotion] = Need(count, goals[emotion], augment=part, generate=missing - part)
    return Plan(needs, tuple(split for split in have if split in splits))
