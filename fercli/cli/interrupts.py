"""How `fer` answers Ctrl-C and SIGTERM: with 130 and one line, at whatever moment they come.

Before a stage works there is nothing to clean up, and an exception raised in the middle of an import is often swallowed
or turned into another: so the handler itself tells, and ends the process. While a stage works it raises
KeyboardInterrupt, so that files half written are removed; not within an import, which is waited for. After the result
is written, it ends the process again.
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
"""Seconds in which a second signal is taken for the first: schedulers and terminals send several at once."""
_RETRY_INTERVAL = 0.02
"""Seconds after which it is looked again whether an import has ended."""
_MAX_WAIT = 20.0
"""Seconds that an import is waited for."""


class _State:
    def __init__(self) -> None:
        self.working = False
        self.came: float | None = None
        self.told = False


_state = _State()


def install() -> None:
    """Answer Ctrl-C and SIGTERM (a scheduler's) from now on."""
    _state.__init__()  # type: ignore[misc]
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # a shell's background job is not to hear it
        signal.signal(signal.SIGINT, _handle)
    signal.signal(signal.SIGTERM, _handle)
    signal.signal(signal.SIGALRM, _handle)


def begin_work() -> None:
    """Raise KeyboardInterrupt from now on: there may be something to clean up."""
    _state.working = True


def end_work() -> None:
    """The result is written: end at once from now on, and let the interpreter's own end pass undisturbed."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    _state.working = False
    # What the interpreter does last it does without our handlers: a signal then would end it as if there were none.
    atexit.unregister(_ignore_signals)
    atexit.register(_ignore_signals)


def interrupted() -> bool:
    """Tell whether this call was interrupted: what fails thereafter, fails because of that."""
    return _state.came is not None


def mark_reported() -> None:
    """Say that the line for people is written."""
    _state.told = True


def _handle(number: int, frame: FrameType | None) -> None:
    now = monotonic()
    if number != signal.SIGALRM:
        if _state.came is not None and now - _state.came < _DEBOUNCE:
            return
        if _state.came is not None or not _state.working:
            _exit()
        _state.came = now
    elif _state.came is None or not _state.working:
        return
    if _must_wait(frame) and now - (_state.came or now) < _MAX_WAIT:
        signal.setitimer(signal.ITIMER_REAL, _RETRY_INTERVAL)
        return
    raise KeyboardInterrupt


def _must_wait(frame: FrameType | None) -> bool:
    """Tell whether an exception raised here would be swallowed or turned into another: in imports, in `__del__`."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib") or frame.f_code.co_name == "__del__":
            return True
        frame = frame.f_back
    return False


def _exit() -> None:
    with suppress(OSError):
        if not _state.told:
            report_at_once(INTERRUPTED, "Interrupted", EXIT_CODE)
    os._exit(EXIT_CODE)


def _ignore_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)
