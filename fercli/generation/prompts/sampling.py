"""Sampling prompts: a template whose slots are filled from the vocabulary.

Template, seeds and settings are those of the Ensembles paper (section 6.2). One prompt with many seeds shows the same
person over and over, so each image gets different words. Genders, ages and origins are dealt like cards rather than
sampled independently: their counts differ by at most one over the whole plan, and within each emotion.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np

from fercli.generation.prompts.prompt import Prompt
from fercli.generation.prompts.vocabulary import AGES, CONTEXTS, EMOTION_WORDS, GENDERS, NEGATIVE, ORIGINS, Words

SEED_STEP = 200
"""Increment of the seed from one image to the next; retries use the seeds in between."""
SETTINGS: dict[str, Any] = {"size": 512, "steps": 40, "guidance": 5.5, "seed_step": SEED_STEP, "negative": NEGATIVE}
"""Generation settings of the paper, recorded in a plan."""

_TEMPLATE = (
    "{context} image with {first}, {second}, deeply {third} single {gender} that is {adjective} and has a detailed "
    "{expression}. Person is expressive, {age}, {nationality} and has {origin} genetic. Focus on eyes, eyebrows, mouth "
    "and other facial factors to express the {feeling}."
)


def deal(sizes: Sequence[int], choices: int, generator: np.random.Generator) -> list[list[int]]:
    """Deal choices out to parts so that their counts differ by at most one.

    The choices are repeated cyclically in a random order, continuing from one part into the next, and each part is
    shuffled. So their counts differ by at most one in each part, in every run of consecutive parts, and in total.

    Args:
        sizes: Number of choices in each part.
        choices: Number of different choices.
        generator: Source of the order and the shuffles.

    Returns:
        For each part, `size` numbers from 0 to choices - 1.
    """
    order = generator.permutation(choices)
    parts: list[list[int]] = []
    start = 0
    for size in sizes:
        parts.append(generator.permutation(order[(start + np.arange(size)) % choices]).tolist())
        start += size
    return parts


def sample_prompts(counts: Mapping[str, Mapping[str, int]], seed: int, taken: Collection[str] = ()) -> Iterator[Prompt]:
    """Yield a prompt for each image, by split and emotion; seeds start at `seed` and increase by 200.

    Args:
        counts: Number of images of each class, by split and emotion; the same emotions in each split.
        seed: Seed of the word choices, and of the first image.
        taken: Paths, in lower case, that already have an image; file names skip them.
    """
    splits = tuple(counts)
    emotions = list(next(iter(counts.values()), {}))
    blocks = [(emotion, split) for emotion in emotions for split in splits]  # blocks of one emotion are adjacent
    sizes = [counts[split][emotion] for emotion, split in blocks]
    generator = np.random.default_rng([seed, 0])

    def dealt(choices: int) -> dict[tuple[str, str], list[int]]:
        return dict(zip(blocks, deal(sizes, choices, generator), strict=True))

    contexts, genders, ages, origins = (dealt(len(pool)) for pool in (CONTEXTS, GENDERS, AGES, ORIGINS))
    words = {emotion: _emotion_words(counts, emotion, generator) for emotion in emotions}
    nationalities = {origin: cycle(generator.permutation(pool).tolist()) for origin, pool in ORIGINS.items()}
    for split in splits:
        for emotion in emotions:
            block = emotion, split
            number = 0
            for k in range(counts[split][emotion]):
                origin = list(ORIGINS)[origins[block][k]]
                gender, age = GENDERS[genders[block][k]], AGES[ages[block][k]]
                first, second, third, expression = (pool[dealt[split][k]] for pool, dealt in words[emotion])
                text = _TEMPLATE.format(
                    context=_capitalize(CONTEXTS[contexts[block][k]]),
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
                number += 1
                while (path := f"{split}/{emotion}/generated-{number:05d}.png").lower() in taken:
                    number += 1
                yield Prompt(path, emotion, seed, text, gender, age, origin)
                seed += SEED_STEP


def _emotion_words(
    counts: Mapping[str, Mapping[str, int]], emotion: str, generator: np.random.Generator
) -> list[tuple[Words, dict[str, list[int]]]]:
    """Return the pools of an emotion, each with the choices dealt by split: the three words, and the expressions."""
    vocabulary = EMOTION_WORDS[emotion]
    sizes = [by_emotion[emotion] for by_emotion in counts.values()]
    pools = (vocabulary.first, vocabulary.second, vocabulary.third, vocabulary.expressions)
    return [(pool, dict(zip(counts, deal(sizes, len(pool), generator), strict=True))) for pool in pools]


def _with_article(words: str) -> str:
    return f"{'an' if words[0].lower() in 'aeiou' else 'a'} {words}"


def _capitalize(words: str) -> str:
    return words[0].upper() + words[1:]
