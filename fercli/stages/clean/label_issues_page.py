"""The label issues section of the report: a table of given and suggested emotions, and faces by pair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fercli.stages.clean.findings import Findings
from fercli.stages.clean.label_issues import LabelIssue

PAIRS_SHOWN = 24
FACES_SHOWN = 12
"""Number of faces shown per pair."""


@dataclass(frozen=True)
class Pair:
    """Label issues with the same given and suggested emotion, by increasing self-confidence."""

    given: str
    suggested: str
    total: int
    shown: list[LabelIssue]


def label_issues_context(found: Findings) -> dict[str, Any] | None:
    """Return the template's context, or None if no labels were examined."""
    if found.label_issues is None:
        return None
    label_issues, rows = found.label_issues, found.rows
    counted = label_issues.pairs(rows)
    shown = [
        Pair(
            given,
            suggested,
            total,
            [one for one in label_issues.found if (rows[one.image].emotion, one.suggested) == (given, suggested)][
                :FACES_SHOWN
            ],
        )
        for (given, suggested), total in counted.most_common(PAIRS_SHOWN)
    ]
    emotions = label_issues.emotions
    return {
        "emotions": emotions,
        "runs": label_issues.runs,
        "agreement": label_issues.agreement,
        "total": len(label_issues.found),
        "examined": label_issues.examined,
        "missing": label_issues.missing,
        "found": label_issues.summary(rows).found,
        "table": [(given, [counted[given, to] for to in emotions]) for given in emotions],
        "pairs": shown,
        "all_pairs": len(counted),
        "faces": sum(len(pair.shown) for pair in shown),
    }
