"""What a reader must know about the sides before believing a difference."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from fercli.artifacts.key_metrics import non_negative_int
from fercli.errors import shorten
from fercli.stages.compare.members import Member, Recipe
from fercli.stages.compare.sides import Side

Members = Sequence[Sequence[Member]]
ONE_RUN = "one run a side says nothing about training: train several seeds, and compare 'run-a-*' with 'run-b-*'"
_ON_TEST = re.compile(r"\b(test|unknown)\b", re.IGNORECASE)
_SHOWN = 3


def notices(sides: Sequence[Side], members: Members) -> list[str]:
    """Return one line for each fact that weakens the comparison."""
    return [
        *_of_data(members),
        *_of_selection(members),
        *_of_groups(sides, members),
        *_of_sides(sides, members),
    ]


def _all(members: Members) -> list[Member]:
    return [one for side in members for one in side]


def _of_data(members: Members) -> Iterator[str]:
    packs = {one.pack.manifest.digest: one.pack for one in _all(members) if one.pack}
    for pack in packs.values():
        if leaks := non_negative_int(pack.manifest.summary.get("leaks")):
            yield (
                f"the pack {pack.path} was written with {leaks:,} pairs of identical images in two splits: figures on "
                "it flatter models that memorise"
            )
    if len(packs) > 1:
        names = ", ".join(str(pack.path) for pack in packs.values())
        yield f"the images come from different packs ({names}) with the same paths and labels; their pixels may differ"
    for one in _all(members):
        if one.validation and (rates := one.validation.noise_rates) > 1:
            yield (
                f"{one.artifact.path} has {rates} rates of label noise; compared are its predictions at the lowest, "
                f"{one.validation.noise:g}"
            )
        if one.trained_on:
            yield f"{one.artifact.path} was trained on {one.trained_on:,} of the images (see its without_leaks)"


def _of_selection(members: Members) -> Iterator[str]:
    everyone = _all(members)
    if any(one.split == "validation" for one in everyone):
        yield (
            "these are validation images, on which each run's epoch was chosen: the figures are too high, and more so "
            "for the run with more epochs to choose from"
        )
    for one in everyone:
        if _ON_TEST.search(one.selection):
            yield f"{one.artifact.path}: it may have been selected on these images ({one.selection})"
    augmentations = dict.fromkeys(one.tta for one in everyone)
    if len(augmentations) > 1:
        yield f"test-time augmentation differs ({', '.join(augmentations)}): it is part of the difference"


def _of_groups(sides: Sequence[Side], members: Members) -> Iterator[str]:
    for side, group in zip(sides, members, strict=True):
        for other in group[1:]:
            if differ := _differing(group[0].recipe, other.recipe):
                a, b = group[0].artifact.path.name, other.artifact.path.name
                yield f"{side.name} mixes recipes: {a} and {b} differ in {differ}; its spread is not of seeds alone"
                break
        if len({one.tta for one in group}) > 1:
            yield f"{side.name} mixes test-time augmentations"


def _of_sides(sides: Sequence[Side], members: Members) -> Iterator[str]:
    singles = [(side.name, group[0]) for side, group in zip(sides, members, strict=True) if len(group) == 1]
    if len(singles) > 1 and not singles[0][1].validation:
        yield ONE_RUN
    alike: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for side, group in zip(sides, members, strict=True):
        if len(group[0].recipe) > 1:
            alike.setdefault((*sorted(group[0].recipe.items()), ("tta", group[0].tta)), []).append(side.name)
    for names in alike.values():
        if len(names) > 1:
            what = "folds" if members[0][0].validation else "seeds"
            yield (
                f"{', '.join(names)} have the same recipe: their differences are those between {what}"
                + ("; quote a pattern to make them one group" if len(sides) > 2 else "")
            )


def _differing(a: Recipe, b: Recipe) -> str:
    """Return the settings that differ, with both values, shortened."""
    names = [name for name in {**a, **b} if a.get(name) != b.get(name)]
    shown = [f"{name} ({_short(a.get(name))}, {_short(b.get(name))})" for name in names[:_SHOWN]]
    more = [f"{len(names) - _SHOWN} more"] if len(names) > _SHOWN else []
    return ", ".join([*shown, *more])


def _short(value: str | None) -> str:
    return "unset" if value is None else shorten(value, 40)
