"""The study: trials in a journal or a database, shared by workers that may die at any time.

A worker that runs a trial writes a heartbeat into it. The trial of a worker that died is queued again, and continues
from its last epoch where its files are at hand.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from time import sleep, time
from typing import Any

import optuna
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, Trial, TrialState

from fercli.artifacts import atomic_path
from fercli.errors import DataError, UsageError, one_line
from fercli.recipes.spaces import Choice, Dimension, Space, Value
from fercli.sanitize import hide_passwords
from fercli.stages.tune.config import TuneConfig
from fercli.stages.tune.sampler import NumberedSampler, distribution_of, grid_order

JOURNAL = "journal.log"
HEARTBEAT, GRACE = 10.0, 60.0
"""Seconds between heartbeats, and without one until a worker on another machine counts as dead."""
TICKS = 20
"""Steps at which trials are compared: shares of their epochs, since trials may differ in epochs."""
_WAIT = 0.2


class SharedStudy:
    """A study that several workers run trials of.

    Args:
        config: The options.
        folder: The folder of the journal.
        name: The study's name, in a database.
        key: Digest of the options and inputs, which all workers have to share.

    Raises:
        DataError: the storage cannot be opened.
        UsageError: it holds a study with other options or inputs.
    """

    def __init__(self, config: TuneConfig, folder: Path, name: str, key: str) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.config, self.folder, self._space = config, folder, config.dimensions
        self._limit = config.num_trials()
        # The journal belongs to its folder, which may be moved; a database has the studies of many.
        self.study = _open(config, _storage(config, folder), name if config.storage else "study", self._space)
        known = self.study.user_attrs.get("key")
        if known is None:
            self.study.set_user_attr("key", key)
        elif known != key:
            where = hide_passwords(config.storage) if config.storage else folder
            raise UsageError(
                f"storage: {where} holds a study named {name} with another space, other options or another pack; "
                "choose another output path"
            )

    def trials(self) -> list[FrozenTrial]:
        """Return the trials up to the limit; workers that ask at the same moment may create more, which are not run."""
        return [trial for trial in self.study.get_trials(deepcopy=False) if trial.number < self._limit]

    def finished(self) -> list[FrozenTrial]:
        """Return the trials that are complete, pruned or failed."""
        return [trial for trial in self.trials() if trial.state.is_finished()]

    def next_trial(self) -> Trial | None:
        """Return a trial to run, waiting for one while others may still leave theirs; None once all are finished."""
        while True:
            self._queue_abandoned()
            trials = self.trials()
            waiting = any(trial.state == TrialState.WAITING for trial in trials)
            if waiting or len(trials) < self._limit:
                trial = self.study.ask()
                if trial.number < self._limit:
                    beat(trial)
                    return trial
                self.queue(trial)  # for a later call with a higher limit
            elif all(trial.state.is_finished() for trial in trials):
                return None
            else:
                sleep(_WAIT)

    def values(self, trial: Trial) -> dict[str, Any]:
        """Return the trial's point; of a trial that was queued again, the same."""
        found: dict[str, Any] = {}
        for name, dimension in self._space.items():
            distribution = distribution_of(dimension)
            if isinstance(distribution, optuna.distributions.CategoricalDistribution):
                found[name] = trial.suggest_categorical(name, distribution.choices)
            elif isinstance(distribution, optuna.distributions.IntDistribution):
                found[name] = trial.suggest_int(
                    name, distribution.low, distribution.high, step=distribution.step, log=distribution.log
                )
            else:
                assert isinstance(distribution, optuna.distributions.FloatDistribution)
                found[name] = trial.suggest_float(
                    name, distribution.low, distribution.high, step=distribution.step, log=distribution.log
                )
        return found

    def _queue_abandoned(self) -> None:
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if _abandoned(trial):
                self.queue(trial)

    def queue(self, trial: Trial | FrozenTrial) -> None:
        """Put a running trial back into the queue; it keeps its point. Optuna has no public function for it."""
        with suppress(optuna.exceptions.UpdateFinishedTrialError):  # finished in the meantime
            self.study._storage.set_trial_state_values(trial._trial_id, state=TrialState.WAITING)


@contextmanager
def heartbeats(trial: Trial) -> Iterator[None]:
    """Write heartbeats into a trial while the body runs."""
    done = threading.Event()

    def write() -> None:
        while not done.wait(HEARTBEAT):
            with suppress(Exception):  # the worker's own calls report what is wrong with the storage
                beat(trial)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def beat(trial: Trial) -> None:
    """Write one heartbeat: time, host and process."""
    trial.set_user_attr("worker", {"time": time(), "host": socket.gethostname(), "process": os.getpid()})


def _abandoned(trial: FrozenTrial) -> bool:
    """Return whether the worker of a running trial is dead."""
    worker = trial.user_attrs.get("worker")
    if worker is None:  # it died between creating the trial and its first heartbeat, or is about to write it
        return trial.datetime_start is not None and time() - trial.datetime_start.timestamp() > GRACE
    if worker["host"] == socket.gethostname() and not _alive(worker["process"]):
        return True
    return bool(time() - worker["time"] > GRACE)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _storage(config: TuneConfig, folder: Path) -> BaseStorage:
    if config.storage is None:
        file, lock = str(folder / JOURNAL), JournalFileOpenLock(str(folder / JOURNAL))
        _mend(folder / JOURNAL, lock)
        try:
            return JournalStorage(JournalFileBackend(file, lock))
        except (LookupError, TypeError, ValueError, AssertionError) as error:  # whole records, but not of Optuna
            raise DataError(
                f"{file}: not a journal of trials ({error!r}); remove it to start the search anew"
            ) from error
    try:
        return optuna.storages.RDBStorage(config.storage)
    except Exception as error:  # of SQLAlchemy, its drivers or the operating system
        storage, reason = map(hide_passwords, (config.storage, one_line(str(error))[:200]))
        raise DataError(f"storage {storage}: cannot be opened ({reason})") from error


def _mend(journal: Path, lock: JournalFileOpenLock) -> None:
    """Remove records that a full disk cut off, which Optuna cannot read: the record after one is on the same line."""
    if not journal.is_file():
        return
    lock.acquire()
    try:
        lines = journal.read_bytes().splitlines(keepends=True)
        whole = [line for line in map(_whole_record, lines) if line]
        if whole != lines:
            with atomic_path(journal) as mended:
                mended.write_bytes(b"".join(whole))
    finally:
        lock.release()


def _whole_record(line: bytes) -> bytes:
    """Return the last record of a line if it is complete, else nothing."""
    line = line[max(0, line.rfind(b'{"op_code"')) :]
    try:
        json.loads(line)
    except ValueError:
        return b""
    return line if line.endswith(b"\n") else b""


def _open(config: TuneConfig, storage: BaseStorage, name: str, space: Space) -> optuna.Study:
    fixed = grid_order(space, config.search_seed) if config.search == "grid" else _recipe_first(config, space)
    sampler = NumberedSampler(fixed, tpe=config.search == "tpe", seed=config.search_seed)
    return optuna.create_study(
        storage=storage,
        sampler=sampler,
        pruner=_pruner(config),
        study_name=name,
        direction="minimize" if config.select == "loss" else "maximize",
        load_if_exists=True,
    )


def _recipe_first(config: TuneConfig, space: Space) -> Callable[[int], Mapping[str, Value]]:
    """Return the fixed values of a search: for trial 0 the recipe's own, as far as they lie in the space."""
    own = {name: getattr(config, name, None) for name in space}
    first = {name: value for name, value in own.items() if value is not None and _within(value, space[name])}
    return lambda number: {} if number else first


def _within(value: Any, dimension: Dimension) -> bool:
    if isinstance(dimension, Choice):
        return value in dimension.values
    steps = (value - dimension.low) / dimension.step if dimension.step else 0.0
    return bool(dimension.low <= value <= dimension.high and abs(steps - round(steps)) < 1e-9)


def _pruner(config: TuneConfig) -> BasePruner:
    if config.prune == "median":
        return MedianPruner(n_startup_trials=5, n_warmup_steps=TICKS // 4)
    if config.prune == "hyperband":
        return HyperbandPruner(min_resource=TICKS // 5, max_resource=TICKS)
    return NopPruner()
