"""Differences within groups of images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fercli.artifacts import Input, input_of
from fercli.artifacts.digests import digest_source
from fercli.errors import DataError
from fercli.evaluation.grouping import NO_GROUP, group_names
from fercli.stages.compare.alignment import Aligned
from fercli.stages.compare.config import CompareConfig
from fercli.stages.compare.members import Member
from fercli.stages.compare.pairs import compare_pair
from fercli.stages.compare.summary import GroupSummary

MOST = 50
"""Maximum number of groups: a column with a value for each image is a mistake."""


def group_input(by: str) -> Input | None:
    """Return the table of groups as an input, if it is a file."""
    path = Path(by)
    return input_of("groups", path, "raw", digest_source(path)) if path.is_file() else None


def groups_of(by: str, data: Aligned, members: Sequence[Sequence[Member]]) -> list[str]:
    """Return the group of each row.

    Raises:
        UsageError: `by` is neither a file nor a column of the index.
        DataError: there are no groups, too many, or none of the images is in the table.
    """
    first = members[0][0]
    found = group_names(by, first.pack or first.artifact)
    groups = [found.get(path, "") or NO_GROUP for path in data.paths]
    number = len(set(groups))
    if set(groups) == {NO_GROUP}:
        raise DataError(f"by: {by} has no group for any of the images; its paths must be those of predictions.csv")
    if number > MOST:
        raise DataError(f"by: {by} has {number:,} groups; at most {MOST} can be compared")
    return groups


def compare_groups(
    groups: Sequence[str], data: Aligned, names: Sequence[str], pairs: Sequence[tuple[int, int]], config: CompareConfig
) -> list[GroupSummary]:
    """Compare each pair within each group, the largest group first."""
    of_row = np.array(groups)
    found = []
    for first, second in pairs:
        for group, count in Counter(groups).most_common():
            part = data.subset(of_row == group)
            compared = compare_pair(part, first, second, resamples=config.resamples, seed=config.seed)
            found.append(
                GroupSummary(
                    first=names[first],
                    second=names[second],
                    group=group,
                    n=count // data.repeats,
                    difference=compared.differences["accuracy"],
                )
            )
    return found
