"""The plan: how many images each class of each split has and should have, and how the difference is created."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from math import floor
from typing import Any, Literal

from fercli.datasets.index import Counts
from fercli.stages.balance.policies import targets

PLAN = "plan.csv"
COLUMNS = ("split", "emotion", "have", "target", "augment", "generate")

Strategy = Literal["augment", "generate", "mix"]
"""How missing images are created: by augmentation, by generation, or a mix of both."""


@dataclass(frozen=True, slots=True)
class Need:
    """One class of one split.

    Attributes:
        have: Number of existing images.
        target: Number of images that there should be, by the policy.
        augment: Images to be created by augmenting existing ones; 0 if the split is not filled.
        generate: Images to be generated; 0 if the split is not filled.
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
    """What each split needs (for all splits), and what is added (to the splits that are filled).

    Attributes:
        needs: By split and emotion.
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
        """Return how many images are to be generated, by split and emotion, for the splits that are filled."""
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

    def summary(self) -> dict[str, Any]:
        """Return what `--json` prints. `needed` is what the policy asks for, whether or not the split is filled."""
        result: dict[str, Any] = {}
        for split, needs in self.needs.items():
            parts = ("have", "target", "augment", "generate")
            result[split] = {part: {e: getattr(need, part) for e, need in needs.items()} for part in parts}
            result[split]["needed"] = sum(need.needed for need in needs.values())
        result["prompts"] = sum(need.generate for _, _, need in self.classes())
        return result

    def table(self) -> Iterator[tuple[str, str, int, int, int, int]]:
        """Yield the rows of plan.csv, with the columns of COLUMNS."""
        for split, emotion, need in self.classes():
            yield split, emotion, need.have, need.target, need.augment, need.generate


def make_plan(have: Counts, policy: str, splits: Collection[str], strategy: Strategy, share: float = 0.5) -> Plan:
    """Plan how a dataset is filled up.

    Args:
        have: Number of existing images by split and emotion, for all splits.
        policy: From `policies.parse_policy`.
        splits: The splits to fill.
        strategy: How images are created.
        share: With `mix`, the share of the missing images created by augmentation, rounded down; none for a class
            without images.
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
