"""Running trials: each a run of its own, chosen and pruned by one half of validation alone."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import optuna
import torch
from optuna.trial import FrozenTrial, Trial, TrialState

from fercli.artifacts import Artifact
from fercli.artifacts.staging import discard, partial_path
from fercli.datasets.label_noise import LabelNoise
from fercli.errors import BusyError, DeviceMemoryError, DivergedError, UsageError, one_line
from fercli.evaluation.cached import predict_cached
from fercli.evaluation.predicting import read_faces
from fercli.metrics.confusion import classification_metrics, confusion_matrix
from fercli.models.checkpoints import load_checkpoint
from fercli.models.devices import find_device
from fercli.packs.halves import first_half
from fercli.packs.opening import open_pack
from fercli.stages.train_run import run_inputs, train_run
from fercli.stages.tune.config import TuneConfig
from fercli.stages.tune.study import TICKS, SharedStudy, heartbeats

RUNS = "runs"


def run_trials(
    shared: SharedStudy, pack: Artifact, folder: Path, finished: Callable[[], None], *, limit: int | None = None
) -> None:
    """Run trials until all of the study are finished.

    Args:
        shared: The study.
        pack: The pack.
        folder: Folder of the study's files.
        finished: Called after each trial of this worker.
        limit: Number of trials that this worker runs at most; None: as many as there are.

    Raises:
        FerError: a trial fails for a reason that does not lie in its own settings, such as a full disk.
    """
    for _ in count() if limit is None else range(limit):
        if (trial := shared.next_trial()) is None:
            return
        try:
            with heartbeats(trial):
                _run(shared, trial, pack, folder)
        except BaseException:
            shared.queue(trial)
            raise
        finished()


def run_path(folder: Path, number: int) -> Path:
    """Return the path of a trial's run."""
    return folder / RUNS / f"trial-{number:04d}"


def _run(shared: SharedStudy, trial: Trial, pack: Artifact, folder: Path) -> None:
    """Run one trial and record its result."""
    config, out = shared.config, run_path(folder, trial.number)
    state, value = TrialState.FAIL, None
    try:
        options = config.trial_options(shared.values(trial))
        history: list[Mapping[str, float]] = []

        def after_epoch(metrics: Mapping[str, float]) -> None:
            history.append(metrics)
            _report(trial, history, sum(phase.epochs for phase in options.phases), config)

        noise = LabelNoise(config.noise, config.search_seed)
        run = train_run(options, pack, out, run_inputs(options, pack), half=True, noise=noise, after_epoch=after_epoch)
        found = run.summary["validation"]
        trial.set_user_attr("seconds", run.summary["seconds"])
        trial.set_user_attr("best_epoch", run.summary["best_epoch"])
        trial.set_user_attr("validation", {name: found[name] for name in ("n", "accuracy", "macro_f1", "loss")})
        trial.set_user_attr("other_half", other_half(out, pack, config))
        state, value = TrialState.COMPLETE, found[config.select]
    except optuna.TrialPruned:
        state = TrialState.PRUNED
    except BusyError:  # another worker took the trial at the same moment
        return
    except (DivergedError, DeviceMemoryError, UsageError, torch.OutOfMemoryError) as error:  # the fault of this point
        trial.set_user_attr("reason", one_line(str(error))[:500])
    shared.study.tell(trial, value, state=state)
    if state != TrialState.COMPLETE:
        discard(partial_path(out))
    _drop_others(shared, folder)


def _report(trial: Trial, history: list[Mapping[str, float]], epochs: int, config: TuneConfig) -> None:
    """Report the best epoch so far at each share of the epochs reached; end the trial if it should be pruned."""
    values = [metrics[f"validation_{config.select}"] for metrics in history]
    best = min(values) if config.select == "loss" else max(values)
    before, reached = ((len(history) - k) * TICKS // epochs for k in (1, 0))
    for tick in range(before + 1, min(reached, TICKS) + 1):
        trial.report(best, tick)
    if len(history) < epochs and reached > before and trial.should_prune():
        raise optuna.TrialPruned


def other_half(run: Path, pack: Artifact, config: TuneConfig) -> dict[str, Any]:
    """Return a run's metrics on the half of validation that the search never uses."""
    info, checkpoint = open_pack(pack), load_checkpoint(run)
    faces = read_faces(info, "validation")
    rest = ~first_half(faces.labels, faces.sha256)
    labels = faces.labels[rest]
    probabilities = predict_cached(checkpoint, faces.images[rest], device=find_device(config.device))
    matrix = confusion_matrix(labels, probabilities.argmax(1), len(info.emotions))
    metrics = classification_metrics(matrix, info.emotions)
    loss = -float(torch.from_numpy(probabilities[range(len(labels)), labels]).double().clamp(min=1e-12).log().mean())
    return {"n": len(labels), "accuracy": metrics.accuracy, "macro_f1": metrics.macro_f1, "loss": loss}


def _drop_others(shared: SharedStudy, folder: Path) -> None:
    """Remove the runs of complete trials that are not among the best."""
    for trial in ranking(shared)[shared.config.keep :]:
        shutil.rmtree(run_path(folder, trial.number), ignore_errors=True)


def ranking(shared: SharedStudy) -> list[FrozenTrial]:
    """Return the complete trials, the best first, of ties the earlier."""
    sign = 1 if shared.config.select == "loss" else -1
    complete = [trial for trial in shared.finished() if trial.state == TrialState.COMPLETE]
    return sorted(complete, key=lambda trial: (sign * (trial.value or 0.0), trial.number))
