"""Importing ultralytics (AGPL-3.0) and loading its files without side effects. The only module that imports it.

By default, ultralytics runs any code in a `.pt`, installs missing packages, writes settings into the home folder, sends
usage statistics and changes the environment; here all of this is turned off.
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
    """Set environment variables temporarily; on exit undo all changes made meanwhile, including those by imports."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        # One by one: other threads must not see an empty environment in between.
        for name in {*before, *os.environ}:
            if name not in before:
                del os.environ[name]
            elif os.environ.get(name) != before[name]:
                os.environ[name] = before[name]


@contextmanager
def safe_ultralytics() -> Iterator[ModuleType]:
    """Yield ultralytics, imported silently and without side effects, with safe loading enabled in the context.

    One thread at a time: the switch for safe loading is global to the process.

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
        stack.enter_context(_no_logging())
        if "ultralytics" not in sys.modules:
            stack.enter_context(_restore_libraries())
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
                f"yolo: ultralytics {ultralytics.__version__} would run code in the weights file; "
                "update it with: pip install -U 'fercli[yolo]'"
            )
        # It may have been imported before, without the environment variable.
        before = tasks.SAFE_LOAD
        tasks.SAFE_LOAD = True
        stack.callback(setattr, tasks, "SAFE_LOAD", before)
        yield ultralytics


@contextmanager
def _restore_libraries() -> Iterator[None]:
    """Undo the changes that importing ultralytics makes to other libraries.

    It turns off OpenCV's threads, and makes Pillow install a package when a file is not an image.
    """
    import cv2
    import torch  # first: if ultralytics imports torch first, torch is left with one thread
    from PIL import Image

    opening, saving, threads, printing = Image.open, torch.save, cv2.getNumThreads(), np.get_printoptions()
    try:
        yield
    finally:
        Image.open, torch.save = opening, saving
        cv2.setNumThreads(threads)
        np.set_printoptions(**printing)


@contextmanager
def _no_logging() -> Iterator[None]:
    logger = logging.getLogger("ultralytics")
    before = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = before
