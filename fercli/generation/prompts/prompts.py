"""The prompts of the images to be generated: one a line, each bracket of the template drawn from its pool.

The template, the seeds and the settings are the Ensembles paper's (section 6.2). One prompt with many seeds draws one
person over and over, so each image has words of its own. Genders, ages and origins are dealt out like cards, not
thrown like dice: their counts differ by at most one over the whole plan, and within each emotion.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from fercli.generation.prompts.vocabulary import AGES, CONTEXTS, EMOTION_WORDS, GENDERS, NEGATIVE, ORIGINS, Words
from fercli.progress import Progress

PROMPTS = "prompts.jsonl"
SEED_STEP = 200
"""What the seed is raised by from one image to the next; a rejected image takes one of the seeds between."""
UNTOLD = "not told"
"""Whom a prompt written by hand describes, where it does not say."""
SETTINGS: dict[str, Any] = {"size": 512, "steps": 40, "guidance": 5.5, "seed_step": SEED_STEP, "negative": NEGATIVE}
"""How the images are to be generated."""

_TEMPLATE = (
    "{context} image with {first}, {second}, deeply {third} single {gender} that is {adjective} and has a detailed "
    "{expression}. Person is expressive, {age}, {nationality} and has {origin} genetic. Focus on eyes, eyebrows, mouth "
    "and other facial factors to express the {feeling}."
)


@dataclass(frozen=True, slots=True)
class Prompt:
    """One image to be generated.

    Attributes:
        file: Its place in the data set, `<split>/<emotion>/<name>.png`.
        emotion: Its emotion.
        seed: Seed of its generator.
        text: What it is to show.
        gender: Of the person, from `pools.GENDERS`.
        age: From `pools.AGES`.
        origin: From `pools.ORIGINS`.
        negative: What it is not to show.
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
        """Return the prompt as a line of JSON."""
        values = {"file": self.file, "emotion": self.emotion, "seed": self.seed, "prompt": self.text}
        people = {"gender": self.gender, "age": self.age, "origin": self.origin}
        return json.dumps({**values, "negative_prompt": self.negative, **people}) + "\n"


@dataclass
class People:
    """Whom the prompts describe, counted.

    Attributes:
        gender, age, origin: Prompts by value and emotion.
    """

    gender: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in GENDERS})
    age: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in AGES})
    origin: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in ORIGINS})

    def add(self, prompt: Prompt) -> None:
        """Count one prompt."""
        for counts, value in ((self.gender, prompt.gender), (self.age, prompt.age), (self.origin, prompt.origin)):
            counts.setdefault(value or UNTOLD, Counter())[prompt.emotion] += 1

    def table(self, emotions: Sequence[str]) -> dict[str, dict[str, dict[str, int]]]:
        """Return the counts by attribute, value and emotion, `all` standing for the sum."""
        return {
            name: {
                value: {"all": counts.total(), **{emotion: counts[emotion] for emotion in emotions}}
                for value, counts in getattr(self, name).items()
            }
            for name in ("gender", "age", "origin")
        }


def deal(sizes: Sequence[int], choices: int, generator: np.random.Generator) -> list[list[int]]:
    """Deal choices out to parts, so that they occur equally often, within one.

    The choices go round and round in a random order, from one part straight on into the next, and each part is
    shuffled. So their counts differ by at most one in every run of whole parts: in each part, and in all together.

    Args:
        sizes: How many each part takes.
        choices: How many choices there are.
        generator: What order and shuffles are drawn from.

    Returns:
        Numbers from 0 to choices - 1, `size` of them for each part.
    """
    order = generator.permutation(choices)
    parts: list[list[int]] = []
    start = 0
    for size in sizes:
        parts.append(generator.permutation(order[(start + np.arange(size)) % choices]).tolist())
        start += size
    return parts


def draw_prompts(wanted: Mapping[str, Mapping[str, int]], seed: int, taken: Collection[str] = ()) -> Iterator[Prompt]:
    """Yield the prompts of the images wanted, by split and emotion, the seed raised by 200 an image from `seed`.

    Args:
        wanted: How many images each class gets, by split and emotion: the same emotions in each split.
        seed: Of the words drawn, and of the first image.
        taken: Places, in lower case, that have an image already: the numbers in the names go past them.
    """
    splits = tuple(wanted)
    emotions = list(next(iter(wanted.values()), {}))
    blocks = [(emotion, split) for emotion in emotions for split in splits]  # an emotion's blocks stand side by side
    sizes = [wanted[split][emotion] for emotion, split in blocks]
    generator = np.random.default_rng([seed, 0])

    def dealt(choices: int) -> dict[tuple[str, str], list[int]]:
        return dict(zip(blocks, deal(sizes, choices, generator), strict=True))

    contexts, genders, ages, origins = (dealt(len(pool)) for pool in (CONTEXTS, GENDERS, AGES, ORIGINS))
    own = {emotion: _own_words(wanted, emotion, generator) for emotion in emotions}
    nationalities = {origin: cycle(generator.permutation(pool).tolist()) for origin, pool in ORIGINS.items()}
    for split in splits:
        for emotion in emotions:
            at = emotion, split
            name = 0
            for k in range(wanted[split][emotion]):
                origin = list(ORIGINS)[origins[at][k]]
                gender, age = GENDERS[genders[at][k]], AGES[ages[at][k]]
                first, second, third, expression = (pool[dealt[split][k]] for pool, dealt in own[emotion])
                text = _TEMPLATE.format(
                    context=_capital(CONTEXTS[contexts[at][k]]),
                    first=_with_article(first),
                    second=second,
                    third=third,
                    gender=gender,
                    adjective=EMOTION_WORDS[emotion].adjective,
                    expression=expression,
                    age=age,
                    nationality=next(nationalities[origin]),
                    origin=_with_article(origin),
                    feeling=first,
                )
                name += 1
                while (place := f"{split}/{emotion}/generated-{name:05d}.png").lower() in taken:
                    name += 1
                yield Prompt(place, emotion, seed, text, gender, age, origin)
                seed += SEED_STEP


def _own_words(
    wanted: Mapping[str, Mapping[str, int]], emotion: str, generator: np.random.Generator
) -> list[tuple[Words, dict[str, list[int]]]]:
    """Return an emotion's own pools, each with what was dealt of it by split: the three words, and the expressions."""
    feeling = EMOTION_WORDS[emotion]
    sizes = [counts[emotion] for counts in wanted.values()]
    pools = (feeling.first, feeling.second, feeling.third, feeling.expressions)
    return [(pool, dict(zip(wanted, deal(sizes, len(pool), generator), strict=True))) for pool in pools]


def _with_article(words: str) -> str:
    return f"{'an' if words[0].lower() in 'aeiou' else 'a'} {words}"


def _capital(words: str) -> str:
    return words[0].upper() + words[1:]


def write_prompts(path: Path, prompts: Iterable[Prompt], total: int, progress: Progress) -> People:
    """Write prompts to `path`, a line of JSON each; return whom they describe."""
    people = People()
    with path.open("w", encoding="utf-8", newline="") as file:
        for prompt in progress.track(prompts, "prompts", total):
            people.add(prompt)
            file.write(prompt.line())
    return people
