"""Frames of a camera or film over a WebSocket.

The browser sends messages of bytes: the time of the frame in seconds, as a little-endian float64, then the frame as
JPEG, PNG or WebP. Each is answered by a JSON object, `schemas.Frame`. A frame that arrives while another is being
recognised replaces one that is waiting, so that the answers are never late. One that cannot be read is answered by an
object with `detail`.
"""

from __future__ import annotations

import asyncio
import math
import struct
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from pydantic import BaseModel
from starlette.websockets import WebSocket, WebSocketDisconnect

from fercli.errors import FerError, ImageError
from fercli.images import decode
from fercli.serving.engine import LiveFaces
from fercli.serving.schemas import Frame, Problem, prediction_of
from fercli.serving.work import Workers

TIME = struct.Struct("<d")
BUSY, IDLE, TOO_LARGE, MALFORMED = 1013, 4408, 1009, 1003
"""Codes with which a connection is closed."""
REASON = 123
"""Bytes of the reason for which it is closed, at most."""


class Live:
    """One connection, from its acceptance to its end.

    Args:
        socket: The connection.
        faces: Recognises the frames.
        name: The model's name.
        emotions: Its emotions.
        workers: Threads to compute in.
        max_bytes: Limit on a frame.
        max_pixels: The same in pixels.
        timeout: Seconds without a frame after which the connection is closed.
    """

    def __init__(
        self,
        socket: WebSocket,
        faces: LiveFaces,
        name: str,
        emotions: list[str],
        workers: Workers,
        *,
        max_bytes: int,
        max_pixels: int,
        timeout: float,
    ) -> None:
        self._socket, self._faces, self._name, self._emotions, self._workers = socket, faces, name, emotions, workers
        self._max_bytes, self._max_pixels, self._timeout = max_bytes, max_pixels, timeout
        self._newest: bytes | None = None
        self._arrived = asyncio.Event()
        self._dropped, self._last = 0, 0.0

    async def run(self) -> None:
        """Answer frames until the other side ends."""
        await self._socket.accept()
        answering = asyncio.create_task(self._answer())
        receiving = asyncio.create_task(self._receive())
        try:
            await asyncio.wait((answering, receiving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (answering, receiving):
                task.cancel()
            for task in (answering, receiving):
                with suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError, TimeoutError):
                    await task

    async def _receive(self) -> None:
        """Keep the newest frame; end when the connection does."""
        while True:
            try:
                async with asyncio.timeout(self._timeout):
                    message = await self._socket.receive()
            except TimeoutError:
                return await self._socket.close(IDLE, f"no frame for {self._timeout:g} s")
            if message["type"] == "websocket.disconnect":
                return None
            data = message.get("bytes")
            if data is None or len(data) <= TIME.size:
                return await self._socket.close(MALFORMED, "expected bytes: a time, then a picture")
            if len(data) > self._max_bytes:
                return await self._socket.close(TOO_LARGE, f"a frame may have {self._max_bytes / 1e6:g} MB")
            self._dropped += self._newest is not None
            self._newest = data
            self._arrived.set()

    async def _answer(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            data, self._newest = self._newest, None
            assert data is not None
            compute: Callable[[], Frame] = partial(self._recognise, data)
            try:
                frame = await self._workers.run(compute)
            except FerError as error:
                await self._send(Problem(detail=str(error)))
                if not isinstance(error, ImageError):
                    return
            else:
                await self._send(frame)

    async def _send(self, answer: BaseModel) -> None:
        async with asyncio.timeout(self._timeout):  # for one that does not read
            await self._socket.send_text(answer.model_dump_json())

    def _recognise(self, data: bytes) -> Frame:
        (seconds,) = TIME.unpack_from(data)
        # The tracker needs times that are finite and do not fall.
        self._last = max(self._last, seconds) if math.isfinite(seconds) else self._last
        pixels = decode(data[TIME.size :], "the frame", self._max_pixels)
        found = prediction_of(self._faces.recognise(pixels, self._last), self._name, self._emotions)
        return Frame(**dict(found), time=self._last, dropped=self._dropped)
