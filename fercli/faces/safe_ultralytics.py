"""Importing ultralytics (AGPL-3.0) and loading its files without a trace: the only place that imports it.

Ultralytics runs whatever code a `.pt` holds, installs what it misses, writes settings into the home folder, tells of
its use and changes the environment, unless it is told otherwise; here it is.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType

import numpy as np

from fercli.artifacts.digests import cache_folder
from fercli.errors import FerError

_LOCK = threading.RLock()


@contextmanager
def environment(**values: str) -> Iterator[None]:
    """Set environment variables for a while, and put back all that was changed meanwhile, also by others' imports."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        # One by one: for other threads it must not be empty in between.
        for name in {*before, *os.environ}:
            if name not in before:
                del os.environ[name]
            elif os.environ.get(name) != before[name]:
                os.environ[name] = before[name]


@contextmanager
def safe_ultralytics() -> Iterator[ModuleType]:
    """Give ultralytics, imported without a word or a trace, and loading no code from files meanwhile.

    One thread at a time: its switch for safe loading is one for the process.

    Raises:
        FerError: it is not installed, cannot be imported, or is too old to load files safely.
    """
    with _LOCK, ExitStack() as stack:
        folder = cache_folder() / "ultralytics"
        stack.enter_context(
            environment(
                ULTRALYTICS_SAFE_LOAD="1",
                YOLO_AUTOINSTALL="false",
                YOLO_OFFLINE="true",
                YOLO_VERBOSE="false",
                YOLO_CONFIG_DIR=str(folder),
            )
        )
        stack.enter_context(_quiet())
        if "ultralytics" not in sys.modules:
            stack.enter_context(_others_as_they_were())
        try:
            folder.mkdir(parents=True, exist_ok=True)
            import ultralytics
            from ultralytics.nn import tasks
        except ImportError as error:
            if error.name != "ultralytics":
                raise FerError(f"yolo: ultralytics cannot be imported ({error})") from error
            raise FerError("yolo: needs ultralytics; install it with: pip install 'fercli[yolo]'") from error
        except OSError as error:
            raise FerError(f"yolo: {folder} cannot be written ({error.strerror}); set FERCLI_CACHE") from error
        if not getattr(getattr(tasks, "_SafeLoad", None), "SUPPORTED", False) or not hasattr(tasks, "SAFE_LOAD"):
            raise FerError(
                f"yolo: ultralytics {ultralytics.__version__} would run code that a weights file holds; "
                "update it with: pip install -U 'fercli[yolo]'"
            )
        # Whoever imported it before may have done so without the variable.
        before = tasks.SAFE_LOAD
        tasks.SAFE_LOAD = True
        stack.callback(setattr, tasks, "SAFE_LOAD", before)
        yield ultralytics


@contextmanager
def _others_as_they_were() -> Iterator[None]:
    """Put back what ultralytics changes in other libraries when it is imported.

    It turns OpenCV's threads off, and has Pillow fetch a package when a file is no picture.
    """
    import cv2
    import torch  # before it: where it is the first to import torch, it leaves it one thread for good
    from PIL import Image

    opening, saving, threads, printing = Image.open, torch.save, cv2.getNumThreads(), np.get_printoptions()
    try:
        yield
    finally:
        Image.open, torch.save = opening, saving
        cv2.setNumThreads(threads)
        np.set_printoptions(**printing)


@contextmanager
def _quiet() -> Iterator[None]:
    logger = logging.getLogger("ultralytics")
    before = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = before
