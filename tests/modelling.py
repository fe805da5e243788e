"""Runs that were never trained, for the tests of everything that reads one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from fercli.artifacts import Artifact, artifact_input
from fercli.building import build
from fercli.emotions import EMOTIONS
from fercli.models.checkpoints import TRAINING_DIGESTS, Card, save_checkpoint
from fercli.models.preprocessing import Preprocessing
from fercli.models.registry import create_model, find_model
from fercli.packs.file import open_pack, read_digests


def make_run(
    folder: Path,
    pack: Artifact,
    emotions: Sequence[str] = EMOTIONS,
    seed: int = 0,
    *,
    model: str = "quick",
    side: int = 16,
    order: Sequence[int] | None = None,
    validation: dict[str, float] | None = None,
    options: dict[str, str] | None = None,
) -> Artifact:
    """Build a run whose best checkpoint has random weights: its mistakes are many and of all kinds.

    With `order`, the same model as without, its logits (and emotions) in that order.
    """
    torch.manual_seed(seed)
    net = create_model(model, len(emotions), **(options or {}))
    head = [module for module in net.modules() if isinstance(module, torch.nn.Linear)][-1]
    order = list(order or range(len(emotions)))
    with torch.no_grad():
        head.weight.mul_(20)
        head.weight.copy_(head.weight[order])
        head.bias.copy_(head.bias[order])
    card = Card(
        architecture=model,
        options=find_model(model).check_options(options or {}),
        emotions=[emotions[k] for k in order],
        preprocessing=Preprocessing.of(find_model(model), side),
        training_data=pack.manifest.digest,
        epoch=3,
        selection="best of the epochs by validation accuracy",
        validation=validation or {},
    )
    with build(folder, "run", "train", options={"seed": seed}, inputs=[artifact_input("pack", pack)]) as job:
        for part in ("best", "last"):
            save_checkpoint(job.folder / part, net.state_dict(), card, "train")
        np.save(job.folder / TRAINING_DIGESTS, read_digests(open_pack(pack), "train"))
        job.finish(digest=f"{model} {seed}", emotions=list(emotions))
    return job.artifact
