"""Running a study's trials to their end, in this process or in several."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from time import sleep
from typing import IO, Any

from optuna.trial import FrozenTrial, TrialState

from fercli.artifacts import Artifact, open_artifact
from fercli.environment import child_environment
from fercli.errors import FerError
from fercli.models.devices import count_devices, nth_device
from fercli.progress import Progress
from fercli.stages.train_jobs import check_files, job_options, jobs_on_ray
from fercli.stages.tune.config import TuneConfig
from fercli.stages.tune.study import SharedStudy
from fercli.stages.tune.worker import run_trials

_POLL = 0.5
_ERROR = "error: "


def search(config: TuneConfig, pack: Artifact, out: Path, folder: Path, key: str, progress: Progress) -> SharedStudy:
    """Run trials until all are finished, by this call's workers and those of other calls.

    Args:
        config: The options.
        pack: The pack.
        out: Output path of the study; its name is the study's.
        folder: The folder with its files so far.
        key: Digest of its options and inputs.
        progress: Progress callback.

    Raises:
        FerError: a worker failed, or all of this call's were killed.
    """
    jobs = max(config.jobs, count_devices(config.device, config.devices))
    config = config.model_copy(update={"jobs": jobs})
    shared = SharedStudy(config, folder, out.name, key)
    watch = _Watch(shared, progress)
    with progress.task("tuning", config.num_trials()):
        watch.update()
        if config.engine == "ray":
            _on_ray(shared, pack, key, watch.update)
        elif config.jobs == 1:
            run_trials(shared, pack, folder, watch.update)
        else:
            _in_processes(config, pack, out, folder, key, watch.update)
        watch.update()
    return shared


class _Watch:
    """Logs each trial of a study once it has finished."""

    def __init__(self, shared: SharedStudy, progress: Progress) -> None:
        self._shared, self._progress, self._seen = shared, progress, set[int]()

    def update(self) -> None:
        for trial in self._shared.finished():
            if trial.number not in self._seen:
                self._seen.add(trial.number)
                self._progress.log(describe_trial(trial, self._shared.config))
                self._progress.advance(1)


def describe_trial(trial: FrozenTrial, config: TuneConfig) -> str:
    """Return a finished trial as one line."""
    point = ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in trial.params.items()
    )
    state = trial.state
    if state == TrialState.COMPLETE and trial.value is not None:
        value = f"{config.select} {trial.value:.4f}"
    elif state == TrialState.PRUNED:
        last = max(trial.intermediate_values, default=0)
        value = f"pruned after {last * 5} % of its epochs"
    else:
        value = f"failed ({trial.user_attrs.get('reason', 'unknown reason')})"
    return f"trial {trial.number}: {value}; {point}"


def _on_ray(shared: SharedStudy, pack: Artifact, key: str, update: Callable[[], None]) -> None:
    """Run trials on the workers of a Ray cluster, one at a time each."""
    config, folder = shared.config, shared.folder.resolve()
    make = partial(_ray_worker, job_options(config), pack.path.resolve(), folder, shared.study.study_name, key)

    def slots() -> Iterator[None]:
        while len(shared.finished()) < config.num_trials():
            yield None

    with closing(jobs_on_ray(config, make, slots())) as trials:
        for _ in trials:
            update()


def _ray_worker(config: TuneConfig, pack: Path, folder: Path, name: str, key: str) -> Callable[[None], None]:
    """Return a worker's function, which may run on another machine: it runs a trial, if one is left."""
    check_files(folder, pack)
    shared, opened = SharedStudy(config, folder, name, key), open_artifact(pack, "pack")
    return lambda _: run_trials(shared, opened, folder, lambda: None, limit=1)


def _in_processes(
    config: TuneConfig, pack: Artifact, out: Path, folder: Path, key: str, update: Callable[[], None]
) -> None:
    """Run trials in `jobs` processes, which end with this one."""
    task = {
        "pack": str(pack.path.resolve()),
        "name": out.name,
        "folder": str(folder.resolve()),
        "key": key,
        "threads": max(1, (os.cpu_count() or 1) // config.jobs),
    }
    with tempfile.TemporaryFile("w+") as errors:
        workers = []
        for number in range(config.jobs):
            device = nth_device(config.device, config.devices, number)
            own = config.model_copy(update={"jobs": 1, "devices": "1", "device": device})
            workers.append(_start({**task, "config": own.model_dump(mode="json")}, errors))
        try:
            while any(worker.poll() is None for worker in workers):
                sleep(_POLL)
                update()
                if any(worker.poll() not in (None, 0) for worker in workers) and (message := _message(errors)):
                    raise FerError(message)
            if all(worker.returncode for worker in workers):
                raise FerError(f"{out}: all {config.jobs} workers were killed; repeat the call to continue the search")
        finally:
            for worker in workers:
                worker.terminate()
            for worker in workers:
                worker.wait()


def _start(task: dict[str, Any], errors: IO[str]) -> subprocess.Popen[str]:
    code = "from fercli.stages.tune.search import work; work()"
    worker = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=errors,
        text=True,
        env=child_environment(),
    )
    assert worker.stdin is not None
    with suppress(BrokenPipeError):  # it was killed already
        worker.stdin.write(json.dumps(task) + "\n")  # and left open: its end tells the worker that this process ended
        worker.stdin.flush()
    return worker


def _message(errors: IO[str]) -> str:
    """Return the error that a worker has reported; empty if it was killed."""
    errors.seek(0)
    lines = [line.strip() for line in errors if line.strip()]
    if reported := [line.removeprefix(_ERROR) for line in lines if line.startswith(_ERROR)]:
        return reported[0]
    if any(line.startswith("Traceback") for line in lines):
        return f"a worker failed: {lines[-1]}"
    return ""


def work() -> None:
    """Run trials as the task on stdin says; the main function of a worker process."""
    import torch

    task = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(task["threads"])
    folder = Path(task["folder"])
    try:
        shared = SharedStudy(TuneConfig.of(**task["config"]), folder, task["name"], task["key"])
        run_trials(shared, open_artifact(Path(task["pack"]), "pack"), folder, lambda: None)
    except FerError as error:
        print(f"{_ERROR}{error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(1)
