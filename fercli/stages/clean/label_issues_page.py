"""The page's part on suspected wrong labels: a table of given and suggested emotions, and faces by such pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fercli.stages.clean.findings import Findings
from fercli.stages.clean.label_issues import Suspect

PAIRS_SHOWN = 24
FACES_SHOWN = 12
"""Of each pair."""


@dataclass(frozen=True)
class Pair:
    """Suspects of one given and one suggested emotion, that of the lowest self-confidence first."""

    given: str
    suggested: str
    total: int
    shown: list[Suspect]


def suspects_context(found: Findings) -> dict[str, Any] | None:
    """Return what the template takes; None where no labels were examined."""
    if found.suspects is None:
        return None
    suspects, rows = found.suspects, found.rows
    counted = suspects.pairs(rows)
    shown = [
        Pair(
            given,
            suggested,
            total,
            [one for one in suspects.found if (rows[one.image].emotion, one.suggested) == (given, suggested)][
                :FACES_SHOWN
            ],
        )
        for (given, suggested), total in counted.most_common(PAIRS_SHOWN)
    ]
    emotions = suspects.emotions
    return {
        "emotions": emotions,
        "runs": suspects.runs,
        "agreement": suspects.agreement,
        "total": len(suspects.found),
        "examined": suspects.examined,
        "missing": suspects.missing,
        "found": suspects.summary(rows)["found"],
        "table": [(given, [counted[given, to] for to in emotions]) for given in emotions],
        "pairs": shown,
        "all_pairs": len(counted),
        "faces": sum(len(pair.shown) for pair in shown),
    }
