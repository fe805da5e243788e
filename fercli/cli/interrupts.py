"""Handling of Ctrl-C and SIGTERM: one line and exit code 130, whenever they arrive.

Before a stage runs there is nothing to clean up, and an exception raised during an import is often swallowed or
replaced, so the handler itself reports and exits. While a stage runs it raises KeyboardInterrupt, so that incomplete
files are removed, but waits for imports to end first. After the result is written, it exits directly again.
"""

from __future__ import annotations

import atexit
import os
import signal
from contextlib import suppress
from time import monotonic
from types import FrameType

from fercli.cli.failures import INTERRUPTED, report_at_once

EXIT_CODE = 130
_DEBOUNCE = 1.0
"""Seconds within which further signals are ignored: schedulers and terminals may send several at once."""
_RETRY_INTERVAL = 0.02
"""Seconds between checks for the end of an import."""
_MAX_WAIT = 20.0
"""Maximum seconds to wait for an import."""


class _State:
    def __init__(self) -> None:
        self.working = False
        self.received_at: float | None = None
        self.reported = False


_state = _State()


def install() -> None:
    """Install the handlers for Ctrl-C and SIGTERM (sent by schedulers)."""
    _state.__init__()  # type: ignore[misc]
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # ignored in a shell's background jobs
        signal.signal(signal.SIGINT, _handle)
    signal.signal(signal.SIGTERM, _handle)
    signal.signal(signal.SIGALRM, _handle)


def begin_work() -> None:
    """Raise KeyboardInterrupt on signals from now on, since there may be something to clean up."""
    _state.working = True


def end_work() -> None:
    """Exit directly on signals from now on, and ignore them while the interpreter shuts down."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    _state.working = False
    # At the very end the interpreter restores default handlers, with which a signal would kill it.
    atexit.unregister(_ignore_signals)
    atexit.register(_ignore_signals)


def interrupted() -> bool:
    """Return whether this call was interrupted; later failures are a consequence."""
    return _state.received_at is not None


def mark_reported() -> None:
    """Record that the interruption was reported."""
    _state.reported = True


def _handle(number: int, frame: FrameType | None) -> None:
    now = monotonic()
    if number != signal.SIGALRM:
        if _state.received_at is not None and now - _state.received_at < _DEBOUNCE:
            return
        if _state.received_at is not None or not _state.working:
            _exit()
        _state.received_at = now
    elif _state.received_at is None or not _state.working:
        return
    if _must_wait(frame) and now - (_state.received_at or now) < _MAX_WAIT:
        signal.setitimer(signal.ITIMER_REAL, _RETRY_INTERVAL)
        return
    raise KeyboardInterrupt


def _must_wait(frame: FrameType | None) -> bool:
    """Return whether an exception raised here could be swallowed or replaced: in imports and in `__del__`."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib") or frame.f_code.co_name == "__del__":
            return True
        frame = frame.f_back
    return False


def _exit() -> None:
    with suppress(OSError):
        if not _state.reported:
            report_at_once(INTERRUPTED, "Interrupted", EXIT_CODE)
    os._exit(EXIT_CODE)


def _ignore_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)
