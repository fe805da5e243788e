"""Train: train a model on a pack's train split and select its best epoch on validation alone.

The test split is never opened here. Repeating the same call resumes an interrupted run from its last complete epoch;
on the CPU the result is bit-identical to that of an uninterrupted run.
"""

from __future__ import annotations

from fercli.artifacts import Artifact
from fercli.progress import SILENT, Progress
from fercli.stages.base import resolve_input, resolve_output
from fercli.stages.train.config import TrainConfig
from fercli.stages.train_run import run_inputs, train_run


def train(config: TrainConfig, progress: Progress = SILENT) -> Artifact:
    """Train a model and write its run.

    Raises:
        UsageError: there is no such model or option, or the pack has no votes to train on.
        DataError: the pack is broken, or has no train or validation split.
        FerError: the loss is not finite, or there is no such device.
    """
    pack = resolve_input(config.pack, "pack", progress=progress)
    inputs = run_inputs(config, pack)
    config = config.pinned(inputs)
    out = resolve_output(config, config.out, pack.path, inputs, progress)
    return train_run(config, pack, out, inputs, overwrite=config.overwrite, progress=progress)
