"""A run: a model trained on a pack's train split, whose best epoch is selected on validation alone.

The test split is never opened here. Repeating the same call resumes an interrupted run from its last complete epoch;
on the CPU the result is bit-identical to that of an uninterrupted run.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fercli.artifacts import Artifact, Input, Manifest, artifact_input, input_of, key_of
from fercli.artifacts.building import ArtifactBuilder, build
from fercli.datasets.label_noise import LabelNoise
from fercli.distributed.group import ALONE, Group
from fercli.errors import DataError, UsageError
from fercli.models.pretrained import weights_file, weights_input
from fercli.models.registry import find_model
from fercli.progress import SILENT, Progress
from fercli.stages.train_epochs import HALF, RESUME, train_epochs
from fercli.stages.train_options import TrainOptions


def train_run(
    config: TrainOptions,
    pack: Artifact,
    out: Path,
    inputs: list[Input],
    *,
    overwrite: bool = False,
    half: bool = False,
    noise: LabelNoise | None = None,
    progress: Progress = SILENT,
    before_training: Callable[[Path], None] | None = None,
    after_epoch: Callable[[Mapping[str, float]], None] | None = None,
    group: Group = ALONE,
    elsewhere: Callable[[ArtifactBuilder], Mapping[str, Any]] | None = None,
) -> Artifact:
    """Train a model and write its run.

    Args:
        config: The options.
        pack: The pack.
        out: Output path of the run.
        inputs: Its inputs, from `run_inputs`.
        overwrite: Replace a different artifact at `out`.
        half: Validate on one half of the validation split (`fercli.packs.halves`), which is recorded as an option.
        noise: Swap labels of the train split, which is recorded as options.
        progress: Progress callback.
        before_training: Called with the run's partial folder, once everything is loaded; not if the run is complete.
        after_epoch: Called with the metrics of each epoch once it is saved, when resuming also with those of earlier
            calls. What it raises interrupts the training; the same call resumes it.
        group: The processes of the training, which all make this call; the leader writes the run.
        elsewhere: Trains in other processes and returns what `train_epochs` does; they call `after_epoch`.

    Raises:
        UsageError: there is no such model or option, or the pack has no votes to train on.
        DataError: the pack is broken, or has no train or validation split.
        DivergedError: the loss is not finite.
        FerError: there is no such device.
    """
    if not group.leads:
        return _follow(config, pack, out, inputs, group)
    options = config.options() | ({"validation": HALF} if half else {}) | (noise.options() if noise else {})
    with build(
        out, "run", "train", options=options, inputs=inputs, seed=config.seed, overwrite=overwrite, resumable=True
    ) as builder:
        group.broadcast((builder.manifest.key, builder.done))
        if builder.done:
            return builder.done
        if elsewhere is not None:
            if before_training is not None:
                before_training(builder.folder)
            fields = elsewhere(builder)
        else:
            fields = train_epochs(
                config, pack, builder.folder, builder.manifest,
                half=half, noise=noise, progress=progress, before_training=before_training, after_epoch=after_epoch,
                group=group,
            )  # fmt: skip
        builder.finish(**fields)
        shutil.rmtree(builder.folder / RESUME, ignore_errors=True)
    group.broadcast(builder.artifact)
    return builder.artifact


def _follow(config: TrainOptions, pack: Artifact, out: Path, inputs: list[Input], group: Group) -> Artifact:
    """Train with the leader, which writes the run; return it as the leader does.

    Raises:
        DataError: the leader trains something else.
    """
    options = config.options()
    manifest = Manifest(kind="run", stage="train", options=options, inputs=inputs)
    manifest = manifest.model_copy(update={"key": key_of("run", "train", options, inputs)})
    key, done = group.broadcast((manifest.key, None))
    if key != manifest.key:
        raise DataError(f"{pack.path}: the pack or the options differ from those of the first process")
    if done:
        return done
    train_epochs(config, pack, out, manifest, group=group)
    return group.broadcast(Artifact(out, manifest))


def run_inputs(config: TrainOptions, pack: Artifact) -> list[Input]:
    """Return the inputs of a run, by digest: its pack, and pretrained weights.

    Raises:
        UsageError: there is no such model, or a phase freezes a backbone that it does not have.
        DataError: there are no such weights.
    """
    try:
        config.check_backbone(find_model(config.model))
    except ValueError as error:
        raise UsageError(f"{config.stage}: {error}") from error
    inputs = [artifact_input("pack", pack)]
    if config.weights == "imagenet":
        return [*inputs, input_of("weights", Path("imagenet"), "hub", "imagenet")]
    return inputs if config.weights is None else [*inputs, weights_input(weights_file(config.weights))]
