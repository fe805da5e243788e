"""Compare: read all sides, align them on the same images, test every pair, and write tables, a plot and a report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from fercli.artifacts import Artifact, Input, artifact_input, write_text
from fercli.artifacts.building import build
from fercli.artifacts.digests import digest_file, digest_json
from fercli.errors import UsageError
from fercli.metrics.significance import holm
from fercli.progress import SILENT, Progress
from fercli.stages.base import resolve_output
from fercli.stages.compare.alignment import Aligned, align
from fercli.stages.compare.by_group import compare_groups, group_input, groups_of
from fercli.stages.compare.config import CompareConfig
from fercli.stages.compare.files import COMPARISON, DIFFERENCES, DISAGREEMENTS, write_differences, write_disagreements
from fercli.stages.compare.members import Member, read_member
from fercli.stages.compare.notices import notices
from fercli.stages.compare.page import write_page
from fercli.stages.compare.pairs import Compared, compare_pair, summarise_side
from fercli.stages.compare.sides import Side, find_sides
from fercli.stages.compare.summary import ComparisonSummary, DiscordantSummary, GroupSummary, PairSummary, SideSummary
from fercli.stages.compare.wording import ALPHA, pair_notes, verdict, why_of


def compare(config: CompareConfig, progress: Progress = SILENT) -> Artifact:
    """Compare evaluations, runs, cross-validations, or groups of them.

    Raises:
        UsageError: two sides are the same, their kinds differ, or an option does not apply.
        DataError: an artifact is invalid, or the sides are not of the same images, labels, emotions and folds.
    """
    sides = find_sides(config.sides)
    kind = sides[0].artifacts[0].manifest.kind
    if config.split and kind != "run":
        raise UsageError(f"compare: split: applies to runs, which are predicted here; each {kind} has its own")
    inputs = _inputs(sides, config)
    out = resolve_output(config, config.out, sides[0].artifacts[0].path, inputs, progress)
    with build(
        out,
        "comparison",
        config.stage,
        options=config.options(),
        inputs=inputs,
        seed=config.seed,
        overwrite=config.overwrite,
    ) as builder:
        if builder.done:
            return builder.done
        members = [[read_member(one, config, progress) for one in side.artifacts] for side in sides]
        data = align(members)
        found = notices(sides, members)
        for notice in found:
            progress.log(notice)
        groups = groups_of(config.by, data, members) if config.by else None
        pairs = _pairs(config, len(sides))
        with progress.task("comparing", len(pairs)):
            compared = []
            for first, second in pairs:
                compared.append(compare_pair(data, first, second, resamples=config.resamples, seed=config.seed))
                progress.advance()
        names = [side.name for side in sides]
        by_group = compare_groups(groups, data, names, pairs, config) if groups else []
        summary = _summarise(config, sides, members, data, pairs, compared, found, by_group)
        write_text(builder.folder / COMPARISON, json.dumps(dict(summary), indent=1) + "\n")
        write_differences(builder.folder, summary)
        write_disagreements(builder.folder, data, names)
        device = _device(config) if kind == "run" else "cpu"
        write_page(builder, sides, members, data, pairs[0], summary, device)
        builder.finish(
            digest=digest_json(
                [digest_file(builder.folder / name) for name in (COMPARISON, DIFFERENCES, DISAGREEMENTS)]
            ),
            emotions=data.emotions,
            summary=summary,
            device=device,
        )
    return builder.artifact


def _device(config: CompareConfig) -> str:
    """Return the device on which runs are predicted."""
    from fercli.models.devices import find_device

    return str(find_device(config.device))


def _inputs(sides: Sequence[Side], config: CompareConfig) -> list[Input]:
    """Return the artifacts as inputs, named after their side, so that another grouping is another comparison."""
    inputs = [
        artifact_input(f"side {number}", artifact)
        for number, side in enumerate(sides, 1)
        for artifact in side.artifacts
    ]
    groups = group_input(config.by) if config.by else None
    return inputs if groups is None else [*inputs, groups]


def _pairs(config: CompareConfig, sides: int) -> list[tuple[int, int]]:
    """Return the pairs to compare; with a reference each other side comes first, so that a gain is positive."""
    return [(other, 0) for other in range(1, sides)] if config.reference else list(combinations(range(sides), 2))


def _summarise(
    config: CompareConfig,
    sides: Sequence[Side],
    members: Sequence[Sequence[Member]],
    data: Aligned,
    pairs: Sequence[tuple[int, int]],
    compared: Sequence[Compared],
    found: list[str],
    by_group: list[GroupSummary],
) -> ComparisonSummary:
    corrected = holm([one.tests[0].p_value for one in compared]) if len(pairs) > 1 else [None] * len(pairs)
    first = members[0][0]
    disagree = np.any([one.argmax(1) != data.mean[0].argmax(1) for one in data.mean[1:]], axis=0)
    return ComparisonSummary(
        compared=first.artifact.manifest.kind,
        split=first.split,
        n=len(data.labels) // data.repeats,
        repeats=data.repeats,
        emotions=list(data.emotions),
        sides=[_side(side, data, number) for number, side in enumerate(sides)],
        pairs=[
            _pair(sides[a], sides[b], data, one, p) for (a, b), one, p in zip(pairs, compared, corrected, strict=True)
        ],
        correction="Holm" if len(pairs) > 1 else None,
        notices=found,
        disagreements=int(disagree.sum()),
        resamples=config.resamples,
        by=config.by,
        groups=by_group,
    )


def _side(side: Side, data: Aligned, number: int) -> SideSummary:
    metrics = summarise_side(data, number)
    members = [one.path.name for one in side.artifacts]
    return SideSummary(name=side.name, members=members, runs=len(metrics["accuracy"].each), metrics=metrics)


def _pair(first: Side, second: Side, data: Aligned, one: Compared, corrected: float | None) -> PairSummary:
    accuracy = one.differences["accuracy"]
    raw = one.tests[0].p_value
    decisive = raw if corrected is None else corrected
    runs = len(first.artifacts), len(second.artifacts)
    return PairSummary(
        first=first.name,
        second=second.name,
        method=one.method,
        why=why_of(one.method, runs, len(data.labels) // data.repeats, data.repeats),
        differences=one.differences,
        tests=one.tests,
        p_value=raw,
        corrected_p=corrected,
        significant=decisive is not None and decisive < ALPHA,
        smallest_difference=one.smallest,
        discordant=None
        if one.table is None
        else DiscordantSummary(
            both=one.table.both,
            only_first=one.table.only_first,
            only_second=one.table.only_second,
            neither=one.table.neither,
        ),
        verdict=verdict(
            first.name,
            second.name,
            accuracy.difference or 0.0,
            accuracy.interval,
            decisive,
            one.smallest,
            corrected=corrected is not None,
        ),
        notes=pair_notes(one.method, runs),
    )
