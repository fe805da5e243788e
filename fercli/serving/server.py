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
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

MAX_CONNECTIONS = 512
MAX_UNREAD = 2**20
"""Bytes that wait for the client of a WebSocket to read them, at most."""
SECONDS_TO_END = 3
"""Time that open connections have to end, at the end."""
HEAD = 1024
"""Bytes of a frame's message besides the picture, at most."""


def make_server(app: ASGIApp, timeout: float, max_bytes: int) -> uvicorn.Server:
    """Return a server that logs no requests.

    Args:
        app: The application.
        timeout: Seconds in which the head of a request must arrive, and a client read on.
        max_bytes: Limit on a message of a WebSocket, without its head.
    """
    return _Server(
        uvicorn.Config(
            app,
            http=_timed(timeout),
            ws=_timed_socket(timeout),
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


class _CutOff:
    """A timer that ends a connection, whatever is still to be sent.

    Args:
        protocol: The connection's.
        timeout: Seconds from `start` on.
    """

    def __init__(self, protocol: H11Protocol | WebSocketsSansIOProtocol, timeout: float) -> None:
        self._protocol, self._timeout = protocol, timeout
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Start it, unless it runs."""
        if self._handle is None:
            self._handle = self._protocol.loop.call_later(self._timeout, self._protocol.transport.abort)

    def stop(self) -> None:
        """Stop it."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None


def _timed(timeout: float) -> type[asyncio.Protocol]:
    """Return uvicorn's protocol with limits: on connections, and on the time in which a request's head must arrive.

    A client must also read on within that time: answers that it does not read would hold the connection forever.
    """

    class TimedProtocol(H11Protocol):
        def connection_made(self, transport: Any) -> None:
            self._head, self._reading = _CutOff(self, timeout), _CutOff(self, timeout)
            super().connection_made(transport)
            if len(self.connections) > MAX_CONNECTIONS:
                transport.abort()
                return
            self._head.start()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            upgraded = self.transport.get_protocol() is not self
            if not upgraded and (self.cycle is None or self.cycle.response_complete):
                self._head.start()
            else:
                self._head.stop()

        def pause_writing(self) -> None:
            super().pause_writing()
            self._reading.start()

        def resume_writing(self) -> None:
            super().resume_writing()
            self._reading.stop()

        def connection_lost(self, exc: Exception | None) -> None:
            self._head.stop()
            self._reading.stop()
            super().connection_lost(exc)

    return TimedProtocol


def _timed_socket(timeout: float) -> type[asyncio.Protocol]:
    """Return uvicorn's protocol of WebSockets, with limits on what a client leaves unread, and how long."""

    class TimedSocketProtocol(WebSocketsSansIOProtocol):
        def connection_made(self, transport: Any) -> None:
            self._reading = _CutOff(self, timeout)
            super().connection_made(transport)

        def data_received(self, data: bytes) -> None:
            if self.transport.get_write_buffer_size() > MAX_UNREAD:  # pings are answered without the application
                self.transport.abort()
            else:
                super().data_received(data)

        def pause_writing(self) -> None:
            super().pause_writing()
            self._reading.start()

        def resume_writing(self) -> None:
            super().resume_writing()
            self._reading.stop()

        def connection_lost(self, exc: Exception | None) -> None:
            self._reading.stop()
            super().connection_lost(exc)

    return TimedSocketProtocol
