"""Train: train a model on a pack's train split and select its best epoch on validation alone.

The test split is never opened here. Repeating the same call resumes an interrupted run from its last complete epoch;
on the CPU the result is bit-identical to that of an uninterrupted run.
"""

from __future__ import annotations

from fercli.artifacts import Artifact
from fercli.evaluation.card import model_card
from fercli.models.devices import count_devices
from fercli.progress import SILENT, Progress
from fercli.stages.base import resolve_input, resolve_output
from fercli.stages.train.config import TrainConfig
from fercli.stages.train.devices import torchrun_group, train_on_devices
from fercli.stages.train_run import run_inputs, train_run
from fercli.trackers.table import parse_targets
from fercli.trackers.tracking import Tracking, check_outside, describe_run, pictures_of


def train(config: TrainConfig, progress: Progress = SILENT) -> Artifact:
    """Train a model and write its run.

    Raises:
        UsageError: there is no such model, option or tracker, or the pack has no votes to train on.
        DataError: the pack is broken, or has no train or validation split.
        FerError: the loss is not finite, there is no such device, or a tracker's library is not installed.
    """
    with torchrun_group(config) as (group, config):
        pack = resolve_input(config.pack, "pack", progress=progress)
        inputs = run_inputs(config, pack)
        config = config.pinned(inputs)
        out = resolve_output(config, config.out, pack.path, inputs, progress)
        targets = parse_targets(config.track) if group.leads else []
        check_outside(targets, out)
        count = count_devices(config.device, config.devices)
        with Tracking(targets, progress) as tracking:
            run = train_run(
                config,
                pack,
                out,
                inputs,
                overwrite=config.overwrite,
                progress=progress,
                before_training=lambda folder: tracking.begin(folder, describe_run(out.name, config.options(), inputs)),
                after_epoch=tracking.log_epoch,
                group=group,
                elsewhere=train_on_devices(config, pack, count, progress, tracking.log_epoch) if count > 1 else None,
            )
            if targets:
                _log_results(run, tracking, progress)
    return run


def _log_results(run: Artifact, tracking: Tracking, progress: Progress) -> None:
    """Tell the trackers the metrics of a run that has just been trained."""
    if run.up_to_date:
        progress.log("--track: the run is complete already; trackers are told about trainings only")
        return
    best = run.summary["validation"]
    metrics = {f"best_validation_{name}": best[name] for name in ("accuracy", "macro_f1", "loss")}
    metrics |= {name: run.summary[name] for name in ("best_epoch", "epochs", "parameters", "seconds")}
    tracking.log_results(metrics, pictures_of(run), {"card": model_card(run.path)})
