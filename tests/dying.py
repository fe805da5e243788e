"""A training that is killed at a chosen place, in a process of its own."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
from collections.abc import Callable
from typing import Any

# Place: module or class, function, which of its calls, whether after it; three epochs of three steps are trained.
PLACES: dict[str, tuple[str, str, int, bool]] = {
    "in the first epoch": ("fercli.stages.train.loop", "augment", 2, False),
    "in the second epoch": ("fercli.stages.train.loop", "augment", 5, True),
    "between a checkpoint's files": ("fercli.models.checkpoints", "write_text", 1, False),
    "right after saving the best": ("fercli.stages.train.stage", "_save", 1, True),
    "while saving the state": ("torch", "save", 2, True),
    "after the last epoch": ("fercli.stages.train.stage", "_save", -1, False),
    "while finishing": ("fercli.stages.train.stage", "curves_figure", 1, True),
}


def train_and_die(place: str, options: dict[str, Any]) -> int | None:
    """Train with `options` and be killed at a place; return the process's exit code."""
    context = multiprocessing.get_context("forkserver")
    # What a training imports, once for all of them; torch imports its compiler with the first optimiser.
    context.set_forkserver_preload(["fercli.stages.train.stage", "torch._dynamo"])
    process = context.Process(target=_train, args=(place, options))
    process.start()
    process.join()
    return process.exitcode


def _train(place: str, options: dict[str, Any]) -> None:
    import importlib

    import torch

    from fercli.stages.train.config import TrainConfig
    from fercli.stages.train.stage import train

    torch.set_num_threads(1)
    module, name, which, after = PLACES[place]
    holder = importlib.import_module(module)
    setattr(holder, name, _deadly(getattr(holder, name), which, after))
    train(TrainConfig.of(**options))


def _deadly(function: Callable[..., Any], which: int, after: bool) -> Callable[..., Any]:
    calls = itertools.count(1)

    def call(*arguments: Any, **options: Any) -> Any:
        now = next(calls) == which or (which < 0 and arguments[-1] == "last epoch")
        if now and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*arguments, **options)
        if now:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return call
