"""Prompts: even demographics, words from the right pools, and seeds."""

import json
import re
from collections import Counter
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fercli.emotions import EMOTIONS
from fercli.generation.prompts.file import write_prompts
from fercli.generation.prompts.sampling import deal, sample_prompts
from fercli.generation.prompts.vocabulary import AGES, CONTEXTS, EMOTION_WORDS, GENDERS, NEGATIVE, ORIGINS
from fercli.progress import SILENT
from fercli.stages.balance.plan import Need, Plan, make_plan
from fercli.stages.balance.targets import TARGETS


def spread(counts: Counter[str], pool: object) -> int:
    """Return the difference between the highest and lowest count in a pool."""
    values = [counts[item] for item in pool]  # type: ignore[attr-defined]
    return max(values) - min(values)


def plan_of(counts: dict[str, list[int]]) -> Plan:
    """Return a plan that generates these numbers of the first emotions, by split."""
    needs = {s: {e: Need(0, n, generate=n) for e, n in zip(EMOTIONS, ns, strict=False)} for s, ns in counts.items()}
    return Plan(needs, tuple(counts))


@given(st.lists(st.integers(0, 60), min_size=1, max_size=9), st.integers(1, 11), st.integers(0, 99))
def test_deal_is_even_in_every_run_of_parts(sizes: list[int], choices: int, seed: int) -> None:
    parts = deal(sizes, choices, np.random.default_rng(seed))
    assert [len(part) for part in parts] == sizes
    for first in range(len(parts)):
        for last in range(first, len(parts)):
            counts = Counter(chain(*parts[first : last + 1]))
            assert set(counts) <= set(range(choices))
            assert spread(counts, range(choices)) <= 1


@settings(max_examples=25, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["train", "validation", "test"]),
        st.lists(st.integers(0, 50), min_size=3, max_size=3),
        min_size=1,
    ),
    st.integers(0, 2**32 - 1),
)
def test_demographics_are_even_overall_and_per_emotion(counts: dict[str, list[int]], seed: int) -> None:
    prompts = list(sample_prompts(plan_of(counts).to_generate(), seed))
    assert len(prompts) == sum(map(sum, counts.values()))
    assert len({prompt.file for prompt in prompts}) == len(prompts)
    for selects in [lambda _: True, *(lambda p, e=e: p.emotion == e for e in EMOTIONS[:3])]:
        chosen = [prompt for prompt in prompts if selects(prompt)]
        for name, pool in (("gender", GENDERS), ("age", AGES), ("origin", ORIGINS)):
            assert spread(Counter(getattr(prompt, name) for prompt in chosen), pool) <= 1


def test_seeds_file_names_and_words() -> None:
    plan = make_plan(TARGETS["fer2013"].counts, "450", ["train", "validation"], "generate")
    prompts = list(sample_prompts(plan.to_generate(), 7))
    assert len(prompts) == 14 + 394 + 35
    assert [prompt.seed for prompt in prompts] == list(range(7, 7 + 200 * len(prompts), 200))
    counts = Counter(tuple(prompt.file.split("/")[:2]) for prompt in prompts)
    assert counts == {("train", "disgust"): 14, ("validation", "disgust"): 394, ("validation", "surprise"): 35}
    assert prompts[0].file == "train/disgust/generated-00001.png"
    words = EMOTION_WORDS["disgust"]
    for prompt in prompts[:200]:
        assert prompt.file.split("/")[1] == prompt.emotion == "disgust"
        assert any(prompt.text.startswith(f"{context[0].upper()}{context[1:]} image with ") for context in CONTEXTS)
        for pool in (words.first, words.second, words.third, words.expressions, GENDERS, AGES, ORIGINS):
            assert any(word in prompt.text for word in pool), pool
        assert prompt.gender in prompt.text
        assert prompt.age in prompt.text
        assert prompt.origin in prompt.text
        assert any(nationality in prompt.text for nationality in ORIGINS[prompt.origin])
        assert "{" not in prompt.text
        assert not re.search(r"(a [aeiou]|an [^aeiou])", prompt.text, re.IGNORECASE)
        assert any(prompt.text.endswith(f"to express the {first}.") for first in words.first)


@pytest.mark.slow
def test_prompts_are_distinct() -> None:
    prompts = list(
        sample_prompts(make_plan(TARGETS["fer2013"].counts, "level", ["train"], "generate").to_generate(), 0)
    )
    assert len(prompts) == 21_796
    assert len({prompt.text for prompt in prompts}) > 0.999 * len(prompts)


def test_vocabulary_is_large_and_distinct() -> None:
    assert set(EMOTIONS) <= set(EMOTION_WORDS)
    assert all(set(EMOTION_WORDS) >= set(counts) for t in TARGETS.values() for counts in t.counts.values())
    assert len(CONTEXTS) >= 20
    for feeling in EMOTION_WORDS.values():
        roles = (*feeling.first, *feeling.second, *feeling.third)
        assert len(set(roles)) == len(roles) >= 15
        assert len(set(feeling.expressions)) >= 6
    for pool in (CONTEXTS, AGES, [e for f in EMOTION_WORDS.values() for e in f.expressions]):
        assert len(set(pool)) == len(pool)
    nationalities = [nationality for pool in ORIGINS.values() for nationality in pool]
    assert len(set(nationalities)) == len(nationalities)


def test_prompts_are_written_as_json_and_counted(tmp_path: Path) -> None:
    plan = plan_of({"train": [30, 0, 7]})
    people = write_prompts(tmp_path / "p.jsonl", sample_prompts(plan.to_generate(), 3), 0, SILENT)
    lines = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    assert [list(line) for line in lines] == [
        ["file", "emotion", "seed", "prompt", "negative_prompt", "gender", "age", "origin"]
    ] * 37
    assert {line["negative_prompt"] for line in lines} == {NEGATIVE}
    table = people.table(["angry", "fear"])
    for name in ("gender", "age", "origin"):
        counted = Counter((line[name], line["emotion"]) for line in lines)
        for value, counts in table[name].items():
            assert counts == {
                "all": counted[value, "angry"] + counted[value, "fear"],
                "angry": counted[value, "angry"],
                "fear": counted[value, "fear"],
            }
    write_prompts(tmp_path / "again.jsonl", sample_prompts(plan.to_generate(), 3), 0, SILENT)
    write_prompts(tmp_path / "other.jsonl", sample_prompts(plan.to_generate(), 4), 0, SILENT)
    assert (tmp_path / "again.jsonl").read_bytes() == (tmp_path / "p.jsonl").read_bytes()
    assert (tmp_path / "other.jsonl").read_bytes() != (tmp_path / "p.jsonl").read_bytes()
