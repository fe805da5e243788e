"""Judging the generated images by a checkpoint (`--judge`)."""

from __future__ import annotations

import json
from collections.abc import Sequence

from fercli.artifacts import write_text
from fercli.datasets.index import Row
from fercli.evaluation.generation import GenerationJudge
from fercli.stages.balance.context import BalanceContext

JUDGEMENT = "judgement.json"


def judge(context: BalanceContext, rows: Sequence[Row]) -> None:
    """Judge all generated images of train; write judgement.json and add the results to the summary."""
    from fercli.models.devices import find_device

    config, folder, progress = context.config, context.builder.folder, context.progress
    assert config.judge is not None
    device = find_device(config.device)
    judgement = GenerationJudge(config.judge, folder, device, config.workers, config.seed, progress).judge(rows)
    if judgement is None:
        progress.log("--judge: no generated images in train to judge")
        return
    write_text(folder / JUDGEMENT, json.dumps(judgement.as_dict(), indent=1) + "\n")
    context.summary["judgement"] = judgement
    if few := [emotion for emotion, one in judgement.classes.items() if one.frechet and one.frechet.few]:
        progress.log(f"Fréchet distances of {', '.join(few)} are rough estimates, from fewer images than features")
