"""`fer ensemble`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import fercli
from fercli.artifacts import Artifact
from fercli.cli import metrics_table
from fercli.cli.options import stage_command
from fercli.cli.output import name, table
from fercli.stages.ensemble.config import EnsembleConfig


def show(artifact: Artifact) -> Iterator[Any]:
    """Yield the metrics of the ensemble and its members, and a comparison with the best member."""
    yield from metrics_table.show(artifact)
    s = artifact.summary
    rows = table("member", "model", "weight", "validation", s["split"], "95 % interval")
    for member in s["members"]:
        known, (low, high) = member["validation_accuracy"], member["accuracy_interval"]
        rows.add_row(
            name(member["checkpoint"]) + ("" if member["selected"] else " (left out)"),
            name(" ".join([member["architecture"], *member["options"].values()])),
            f"{member['weight']:.3f}",
            "unknown" if known is None else f"{known:.2%}",
            f"{member['accuracy']:.2%}",
            f"{low:.2%}, {high:.2%}",
        )
    yield rows
    if test := s["mcnemar"]:
        yield f"against {name(test['best_member'])}, the best by {test['best_by']}:"
        yield (
            f"only one correct: ensemble {test['only_ensemble']:,}, member {test['only_member']:,}; "
            f"McNemar's exact test p = {test['p_value']:.2g}"
        )


command = stage_command(
    EnsembleConfig,
    fercli.ensemble,
    show,
    """Evaluate an ensemble of checkpoints on a split, and compare it with its best member.

    Members may differ in architecture, input size and emotion order. Weights, and with --select the members, are chosen
    on validation only.

    Example: [bold]fer ensemble run-0 run-1 run-2 --method weighted --tta flip --out ensemble[/bold]
    """,
)
