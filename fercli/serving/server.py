"""uvicorn with our ways of ending, and with limits on connections."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_CONNECTIONS = 512
SECONDS_TO_END = 3
"""Time that open connections have to end, at the end."""
HEAD = 1024
"""Bytes of a frame's message besides the picture, at most."""


def make_server(app: ASGIApp, timeout: float, max_bytes: int) -> uvicorn.Server:
    """Return a server that logs no requests.

    Args:
        app: The application.
        timeout: Seconds in which the head of a request must arrive.
        max_bytes: Limit on a message of a WebSocket, without its head.
    """
    return _Server(
        uvicorn.Config(
            app,
            http=_timed(timeout),
            ws="websockets-sansio",
            log_config=None,
            log_level="error",
            access_log=False,
            server_header=False,
            ws_max_size=max_bytes + HEAD,
            timeout_graceful_shutdown=SECONDS_TO_END,
        )
    )


class _Server(uvicorn.Server):
    """A server for which Ctrl-C and SIGTERM are the usual end, not an interruption."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Let signals end the server, and restore their handlers afterwards."""
        if threading.current_thread() is not threading.main_thread():  # which alone receives signals
            yield
            return
        previous = {number: signal.signal(number, self._end) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _end(self, number: int, frame: FrameType | None) -> None:
        self.handle_exit(number, frame)


def _timed(timeout: float) -> type[asyncio.Protocol]:
    """Return uvicorn's protocol with limits: on connections, and on the time in which a request's head must arrive."""

    class TimedProtocol(H11Protocol):
        _deadline: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if len(self.connections) > MAX_CONNECTIONS:
                transport.abort()
                return
            self._await_head()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            upgraded = self.transport.get_protocol() is not self
            waiting = not upgraded and (self.cycle is None or self.cycle.response_complete)
            if waiting and self._deadline is None:
                self._await_head()
            elif not waiting:
                self._forget()

        def connection_lost(self, exc: Exception | None) -> None:
            self._forget()
            super().connection_lost(exc)

        def _await_head(self) -> None:
            self._deadline = self.loop.call_later(timeout, self._cut_off)

        def _forget(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

        def _cut_off(self) -> None:
            if not self.transport.is_closing():
                self.transport.abort()

    return TimedProtocol
