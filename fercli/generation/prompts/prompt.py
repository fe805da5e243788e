"""The prompt of an image, and the demographics of a set of prompts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from fercli.generation.prompts.vocabulary import AGES, GENDERS, NEGATIVE, ORIGINS

UNSPECIFIED = "unspecified"
"""Counted for a hand-written prompt that does not specify an attribute."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One image to generate.

    Attributes:
        file: Its path in the dataset, `<split>/<emotion>/<name>.png`.
        emotion: Its emotion.
        seed: Seed of its random generator.
        text: What the image should show.
        gender: Gender of the person, from `vocabulary.GENDERS`.
        age: Age, from `vocabulary.AGES`.
        origin: Origin, from `vocabulary.ORIGINS`.
        negative: What the image should not show.
    """

    file: str
    emotion: str
    seed: int
    text: str
    gender: str
    age: str
    origin: str
    negative: str = NEGATIVE

    def line(self) -> str:
        """Return the prompt as one line of JSON."""
        values = {"file": self.file, "emotion": self.emotion, "seed": self.seed, "prompt": self.text}
        people = {"gender": self.gender, "age": self.age, "origin": self.origin}
        return json.dumps({**values, "negative_prompt": self.negative, **people}) + "\n"


@dataclass
class Demographics:
    """Counts of the people that prompts describe.

    Attributes:
        gender, age, origin: Number of prompts by value and emotion.
    """

    gender: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in GENDERS})
    age: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in AGES})
    origin: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in ORIGINS})

    def add(self, prompt: Prompt) -> None:
        """Count one prompt."""
        for counts, value in ((self.gender, prompt.gender), (self.age, prompt.age), (self.origin, prompt.origin)):
            counts.setdefault(value or UNSPECIFIED, Counter())[prompt.emotion] += 1

    def table(self, emotions: Sequence[str]) -> dict[str, dict[str, dict[str, int]]]:
        """Return the counts by attribute, value and emotion; `all` is the sum over the emotions."""
        return {
            name: {
                value: {"all": counts.total(), **{emotion: counts[emotion] for emotion in emotions}}
                for value, counts in getattr(self, name).items()
            }
            for name in ("gender", "age", "origin")
        }
