"""Running a stage in a separate process that is killed at a chosen point."""

from __future__ import annotations

import importlib
import itertools
import multiprocessing
import os
import signal
from collections.abc import Callable
from typing import Any

# By name: module or class, function, number of the call, whether after it. Training has three epochs of three steps.
PLACES: dict[str, tuple[str, str, int, bool]] = {
    "in the first epoch": ("fercli.stages.train_setup", "augment", 2, False),
    "in the second epoch": ("fercli.stages.train_setup", "augment", 5, True),
    "between a checkpoint's files": ("fercli.models.checkpoints", "write_text", 1, False),
    "right after saving the best": ("fercli.stages.train_epochs", "save_checkpoint", 1, True),
    "while saving the state": ("torch", "save", 2, True),
    "after the last epoch": ("fercli.stages.train_epochs", "save_checkpoint", -1, False),
    "while finishing": ("fercli.stages.train_epochs", "curves_plot", 1, True),
}

# The same for training in two phases of two epochs each.
PHASE_PLACES: dict[str, tuple[str, str, int, bool]] = {
    "before the second phase": ("fercli.stages.train_epochs", "read_state", 1, False),
    "in the second phase's first epoch": ("fercli.stages.train_setup", "augment", 8, True),
    "in the second phase's second epoch": ("fercli.stages.train_setup", "augment", 11, False),
    "after the last epoch": PLACES["after the last epoch"],
}

# The same for detection in six photographs by one thread.
DETECT_PLACES: dict[str, tuple[str, str, int, bool]] = {
    "before the first crop": ("fercli.stages.detect.face_extractor", "crop_face", 1, False),
    "between photographs": ("fercli.stages.detect.face_extractor", "crop_face", 4, True),
    "while moving": ("fercli.stages.detect.stage", "move_crops", 3, True),
    "while drawing the sheet": ("fercli.stages.detect.stage", "contact_sheet", 1, False),
    "after the index": ("fercli.stages.detect.stage", "write_index", 1, True),
    "after removing": ("shutil", "rmtree", 1, True),
}


# The same for an import of 150 images by one thread, in chunks of 64.
IMPORT_PLACES: dict[str, tuple[str, str, int, bool]] = {
    "in the first chunk": ("fercli.stages.import_dataset.writing", "pixel_digest", 10, False),
    "in the third chunk": ("fercli.stages.import_dataset.writing", "pixel_digest", 140, True),
    "before the splits": ("fercli.stages.import_dataset.stage", "create_missing_splits", 1, False),
    "after the splits": ("fercli.stages.import_dataset.stage", "write_index", 1, False),
    "after the index": ("fercli.stages.import_dataset.stage", "write_index", 1, True),
}

# The same for cleaning 300 images by one thread, in chunks of 128.
CLEAN_PLACES: dict[str, tuple[str, str, int, bool]] = {
    "in the first chunk": ("fercli.stages.clean.image_scan", "shrink", 10, False),
    "in the third chunk": ("fercli.stages.clean.image_scan", "shrink", 270, True),
    "before comparing": ("fercli.stages.clean.stage", "near_pairs", 1, False),
    "while linking": ("fercli.stages.clean.stage", "link_or_copy", 100, True),
    "after the index": ("fercli.stages.clean.stage", "write_index", 1, True),
}

# The same for a cross-validation of three folds of two epochs of two steps.
FOLD_PLACES: dict[str, tuple[str, str, int, bool]] = {
    "in the second fold's second epoch": ("fercli.stages.train_setup", "augment", 8, True),
    "before the second fold's predictions": ("fercli.stages.crossvalidate.fold", "predict_cached", 2, False),
    "before removing the first pack": ("shutil", "rmtree", 2, False),
    "while finishing": ("fercli.stages.crossvalidate.stage", "write_page", 1, True),
}


def train_and_die(point: str, options: dict[str, Any]) -> int | None:
    """Train with `options` in a process that is killed at a point; return its exit code."""
    # Import the modules only once; torch imports its compiler with the first optimiser.
    return _exit_code(_train, (point, options), ["fercli.stages.train_run", "torch._dynamo"])


def detect_and_die(point: str, options: dict[str, Any]) -> int | None:
    """Detect with `options` in a process that is killed at a point; return its exit code."""
    return _exit_code(_detect, (point, options), ["fercli.stages.detect.stage"])


def import_and_die(point: str, options: dict[str, Any]) -> int | None:
    """Import with `options` in a process that is killed at a point; return its exit code."""
    return _exit_code(_import, (point, options), ["fercli.stages.import_dataset.stage"])


def clean_and_die(point: str, options: dict[str, Any]) -> int | None:
    """Clean with `options` in a process that is killed at a point; return its exit code."""
    return _exit_code(_clean, (point, options), ["fercli.stages.clean.stage"])


def crossvalidate_and_die(point: str, options: dict[str, Any]) -> int | None:
    """Cross-validate with `options` in a process that is killed at a point; return its exit code."""
    return _exit_code(_crossvalidate, (point, options), ["fercli.stages.crossvalidate.stage", "torch._dynamo"])


def _exit_code(target: Callable[..., None], arguments: tuple[Any, ...], preload: list[str]) -> int | None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(preload)
    process = context.Process(target=target, args=arguments)
    process.start()
    process.join()
    return process.exitcode


def _train(point: str, options: dict[str, Any]) -> None:
    import torch

    from fercli.stages.train.config import TrainConfig
    from fercli.stages.train.stage import train

    torch.set_num_threads(1)
    _install_kill({**PLACES, **PHASE_PLACES}[point])
    train(TrainConfig.of(**options))


def _detect(point: str, options: dict[str, Any]) -> None:
    from fercli.stages.detect.config import DetectConfig
    from fercli.stages.detect.stage import detect

    _install_kill(DETECT_PLACES[point])
    detect(DetectConfig.of(**options))


def _import(point: str, options: dict[str, Any]) -> None:
    from fercli.stages.import_dataset.config import ImportConfig
    from fercli.stages.import_dataset.stage import import_dataset

    _install_kill(IMPORT_PLACES[point])
    import_dataset(ImportConfig.of(**options))


def _clean(point: str, options: dict[str, Any]) -> None:
    from fercli.stages.clean.config import CleanConfig
    from fercli.stages.clean.stage import clean

    _install_kill(CLEAN_PLACES[point])
    clean(CleanConfig.of(**options))


def _crossvalidate(point: str, options: dict[str, Any]) -> None:
    from fercli.stages.crossvalidate.config import CrossvalidateConfig
    from fercli.stages.crossvalidate.stage import crossvalidate

    _install_kill(FOLD_PLACES[point])
    crossvalidate(CrossvalidateConfig.of(**options))


def _install_kill(point: tuple[str, str, int, bool]) -> None:
    module, name, number, after = point
    owner = importlib.import_module(module)
    setattr(owner, name, _killing(getattr(owner, name), number, after))


def _killing(function: Callable[..., Any], number: int, after: bool) -> Callable[..., Any]:
    calls = itertools.count(1)

    def call(*arguments: Any, **options: Any) -> Any:
        kill = next(calls) == number or (number < 0 and arguments[0].name == "last")
        if kill and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*arguments, **options)
        if kill:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return call
