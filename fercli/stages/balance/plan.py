"""The plan: what each class of each split has, is to have, and how the difference is made."""

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
"""How what is missing is divided: all by augmentation, all generated, or some of each."""


@dataclass(frozen=True, slots=True)
class Need:
    """One class of one split.

    Attributes:
        have: Images there are.
        target: Images there should be, by the policy.
        augment: Images to be made from those there are; 0 where the split is not filled.
        generate: Images to be generated; 0 where the split is not filled.
    """

    have: int
    target: int
    augment: int = 0
    generate: int = 0

    @property
    def needed(self) -> int:
        """Images that the target wants besides those there are."""
        return self.target - self.have

    @property
    def added(self) -> int:
        """Images that the plan adds."""
        return self.augment + self.generate


@dataclass(frozen=True)
class Plan:
    """What each split needs (reported for all of them), and what is added (to those that are filled).

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
        """Return how many images are to be generated, by split and emotion, of the splits that are filled."""
        return {split: {e: need.generate for e, need in self.needs[split].items()} for split in self.filled}

    def made(self, augmented: Counts, generated: Counts) -> Plan:
        """Return the same plan with what was made in place of what was to be: some of it may be missing."""
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
        """Yield the rows of plan.csv, in the order of COLUMNS."""
        for split, emotion, need in self.classes():
            yield split, emotion, need.have, need.target, need.augment, need.generate


def make_plan(have: Counts, policy: str, splits: Collection[str], way: Strategy, share: float = 0.5) -> Plan:
    """Plan how a data set is filled up.

    Args:
        have: Its images by split and emotion, all splits.
        policy: From `policies.parse_policy`.
        splits: The splits to be filled.
        way: How images are added.
        share: With `mix`, the share of what is missing that is made by augmentation, rounded down; none of a class
            that has no image.
    """
    needs: dict[str, dict[str, Need]] = {}
    for split, counts in have.items():
        wanted = targets(counts, policy)
        needs[split] = {}
        for emotion, count in counts.items():
            missing = wanted[emotion] - count if split in splits else 0
            part = {"augment": missing, "generate": 0, "mix": floor(missing * share + 1e-9) if count else 0}[way]
            needs[split][emotion] = Need(count, wanted[emotion], augment=part, generate=missing - part)
    return Plan(needs, tuple(split for split in have if split in splits))
