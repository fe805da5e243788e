"""Tune: search for hyperparameters. Each trial is a run, chosen and pruned by one half of validation alone.

Several calls with the same output path work on one study together, each in a process or on a machine of its own. The
call that holds the lock writes the results once all trials are finished; the others wait for it.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from time import sleep

from fercli.artifacts import MANIFEST, Artifact, Input, key_of, open_artifact
from fercli.artifacts.building import build, partial_path
from fercli.artifacts.staging import pending
from fercli.errors import BusyError, FerError, UsageError
from fercli.progress import SILENT, Progress
from fercli.stages.base import resolve_input, resolve_output
from fercli.stages.train_run import run_inputs
from fercli.stages.tune.config import TuneConfig

_WAIT = 0.5


def tune(config: TuneConfig, progress: Progress = SILENT) -> Artifact:
    """Search for a model's hyperparameters.

    Raises:
        UsageError: the space is invalid, or another search with other settings uses the same storage.
        DataError: the pack is broken, or the storage cannot be opened.
        FerError: Optuna is not installed, or all workers ended early.
    """
    try:
        import optuna  # noqa: F401 - reported here, before anything is written
    except ImportError as error:
        raise FerError("tune: needs Optuna; install it with: pip install 'fercli[search]'") from error
    config.check_engine()
    _ = config.dimensions  # fails early if the space is invalid
    pack = resolve_input(config.pack, "pack", progress=progress)
    inputs = run_inputs(config, pack)
    config = config.pinned(inputs)
    out = resolve_output(config, config.out, pack.path, inputs, progress)
    while True:
        try:
            return _write(config, pack, out, inputs, progress)
        except BusyError:
            _join(config, pack, out, inputs, progress)


def _write(config: TuneConfig, pack: Artifact, out: Path, inputs: list[Input], progress: Progress) -> Artifact:
    """Run the study to its end and write its results, holding the lock of the output path."""
    with build(
        out,
        config.kind,
        config.stage,
        options=config.options(),
        inputs=inputs,
        seed=config.search_seed,
        overwrite=config.overwrite,
        resumable=True,
        complete=lambda study: int(study.summary["trials"]) >= config.num_trials(),
    ) as builder:
        if builder.done:
            return builder.done
        from fercli.stages.tune.results import finish_study  # these need Optuna
        from fercli.stages.tune.search import search

        key = builder.manifest.key
        _continue_from(out, builder.folder, key)
        shared = search(config, pack, out, builder.folder, key, progress)
        finish_study(builder, shared, pack)
    return builder.artifact


def _join(config: TuneConfig, pack: Artifact, out: Path, inputs: list[Input], progress: Progress) -> None:
    """Work on the study that another call is writing, until its trials are finished."""
    key = key_of(config.kind, config.stage, config.options(), inputs)
    folder = partial_path(out)
    if pending(folder).get("key") != key:
        if folder.is_dir() and pending(folder):
            raise UsageError(
                f"{out}: another call searches another space, or with other options, there; choose another path"
            )
    else:
        progress.log(f"joining the search that another call is writing to {out}")
        from fercli.stages.tune.search import search

        with suppress(FileNotFoundError):  # the other call has finished
            search(config, pack, out, folder, key, progress)
    sleep(_WAIT)


def _continue_from(out: Path, folder: Path, key: str) -> None:
    """Take over the trials of a finished study with the same settings, which gets more, unless that has been done."""
    from fercli.stages.tune.study import JOURNAL
    from fercli.stages.tune.worker import RUNS

    if (folder / RUNS).is_dir() or not (out / MANIFEST).is_file() or open_artifact(out).manifest.key != key:
        return
    if (out / JOURNAL).is_file():
        shutil.copyfile(out / JOURNAL, folder / JOURNAL)  # not a link: it is appended to
    taken = folder / f"{RUNS}.taken"
    shutil.rmtree(taken, ignore_errors=True)
    if (out / RUNS).is_dir():
        shutil.copytree(out / RUNS, taken, copy_function=os.link)
    taken.mkdir(exist_ok=True)
    os.replace(taken, folder / RUNS)  # last: from here on they are taken over
