"""A stage that is killed at a chosen place, in a process of its own."""

from __future__ import annotations

import importlib
import itertools
import multiprocessing
import os
import signal
from collections.abc import Callable
from typing import Any

# Place: module or class, function, which of its calls, whether after it; three epochs of three steps are trained.
PLACES: dict[str, tuple[str, str, int, bool]] = {
    "in the first epoch": ("fercli.training.loop", "augment", 2, False),
    "in the second epoch": ("fercli.training.loop", "augment", 5, True),
    "between a checkpoint's files": ("fercli.models.checkpoints", "write_text", 1, False),
    "right after saving the best": ("fercli.stages.train.stage", "save_checkpoint", 1, True),
    "while saving the state": ("torch", "save", 2, True),
    "after the last epoch": ("fercli.stages.train.stage", "save_checkpoint", -1, False),
    "while finishing": ("fercli.stages.train.stage", "curves_plot", 1, True),
}

# The same for a training in two phases of two epochs each.
PHASE_PLACES: dict[str, tuple[str, str, int, bool]] = {
    "before the second phase": ("fercli.stages.train.stage", "read_state", 1, False),
    "in the second phase's first epoch": ("fercli.training.loop", "augment", 8, True),
    "in the second phase's second epoch": ("fercli.training.loop", "augment", 11, False),
    "after the last epoch": PLACES["after the last epoch"],
}

# The same for a detection of six photographs by one thread.
DETECT_PLACES: dict[str, tuple[str, str, int, bool]] = {
    "before the first crop": ("fercli.stages.detect.face_extractor", "crop_face", 1, False),
    "between photographs": ("fercli.stages.detect.face_extractor", "crop_face", 4, True),
    "while moving": ("fercli.stages.detect.stage", "move_crops", 3, True),
    "while drawing the sheet": ("fercli.stages.detect.stage", "contact_sheet", 1, False),
    "after the index": ("fercli.stages.detect.stage", "write_index", 1, True),
    "after removing": ("shutil", "rmtree", 1, True),
}


def train_and_die(place: str, options: dict[str, Any]) -> int | None:
    """Train with `options` and be killed at a place; return the process's exit code."""
    # What a training imports, once for all of them; torch imports its compiler with the first optimiser.
    return _ended(_train, (place, options), ["fercli.stages.train.stage", "torch._dynamo"])


def detect_and_die(place: str, options: dict[str, Any]) -> int | None:
    """Detect with `options` and be killed at a place; return the process's exit code."""
    return _ended(_detect, (place, options), ["fercli.stages.detect.stage"])


def _ended(target: Callable[..., None], arguments: tuple[Any, ...], preload: list[str]) -> int | None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(preload)
    process = context.Process(target=target, args=arguments)
    process.start()
    process.join()
    return process.exitcode


def _train(place: str, options: dict[str, Any]) -> None:
    import torch

    from fercli.stages.train.config import TrainConfig
    from fercli.stages.train.stage import train

    torch.set_num_threads(1)
    _arm({**PLACES, **PHASE_PLACES}[place])
    train(TrainConfig.of(**options))


def _detect(place: str, options: dict[str, Any]) -> None:
    from fercli.stages.detect.config import DetectConfig
    from fercli.stages.detect.stage import detect

    _arm(DETECT_PLACES[place])
    detect(DetectConfig.of(**options))


def _arm(place: tuple[str, str, int, bool]) -> None:
    module, name, which, after = place
    holder = importlib.import_module(module)
    setattr(holder, name, _deadly(getattr(holder, name), which, after))


def _deadly(function: Callable[..., Any], which: int, after: bool) -> Callable[..., Any]:
    calls = itertools.count(1)

    def call(*arguments: Any, **options: Any) -> Any:
        now = next(calls) == which or (which < 0 and arguments[0].name == "last")
        if now and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*arguments, **options)
        if now:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return call
