"""Frames of a camera over a WebSocket."""

import struct
import threading
from pathlib import Path
from typing import Any

import pytest
from starlette.websockets import WebSocketDisconnect

from fercli.serving.engine import LiveFaces
from tests.helpers.prediction import picture
from tests.helpers.serving import client, encoded


def frame(seconds: float, *lefts: int) -> bytes:
    return struct.pack("<d", seconds) + encoded(picture(*lefts))


def test_faces_are_tracked(model: Path) -> None:
    with client(model).websocket_connect("/v1/live") as live:
        for number, lefts in enumerate([(20,), (22, 90), (24,)]):
            live.send_bytes(frame(0.1 * number, *lefts))
            answer = live.receive_json()
            assert [face["id"] for face in answer["faces"]] == ["0001", "0002"][: len(lefts)]
            assert (answer["time"], answer["dropped"], answer["width"]) == (0.1 * number, 0, 160)


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -5.0])
def test_times_that_no_camera_has(model: Path, seconds: float) -> None:
    with client(model).websocket_connect("/v1/live") as live:
        live.send_bytes(frame(1.0, 20))
        live.receive_json()
        live.send_bytes(frame(seconds, 20))
        assert live.receive_json()["time"] == 1.0


def test_a_frame_that_cannot_be_read_is_no_end(model: Path) -> None:
    with client(model).websocket_connect("/v1/live") as live:
        live.send_bytes(struct.pack("<d", 0) + b"no picture")
        assert "not an image" in live.receive_json()["detail"]
        live.send_bytes(frame(0, 20))
        assert len(live.receive_json()["faces"]) == 1


def test_newer_frames_replace_waiting_ones(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entered, go_on = threading.Event(), threading.Event()
    original = LiveFaces.recognise

    def slow(self: LiveFaces, *arguments: Any) -> Any:
        entered.set()
        assert go_on.wait(60)
        return original(self, *arguments)

    monkeypatch.setattr(LiveFaces, "recognise", slow)
    with client(model).websocket_connect("/v1/live") as live:
        live.send_bytes(frame(0.0, 20))
        assert entered.wait(60)
        for number in range(1, 6):
            live.send_bytes(frame(0.1 * number, 20))
        live.send_bytes(struct.pack("<d", 0.6) + b"no picture")  # also replaced, by the next
        live.send_bytes(frame(0.7, 20))
        threading.Timer(0.3, go_on.set).start()  # all have arrived by then
        assert live.receive_json()["time"] == 0.0
        last = live.receive_json()
        assert (last["time"], last["dropped"]) == (0.7, 6)


@pytest.mark.parametrize(
    ("message", "code"), [(b"short", 1003), (b"12345678", 1003), ("text", 1003), (bytes(20_000), 1009)]
)
def test_messages_that_are_no_frames(model: Path, message: bytes | str, code: int) -> None:
    with client(model, max_megabytes=0.01).websocket_connect("/v1/live") as live:
        live.send_text(message) if isinstance(message, str) else live.send_bytes(message)
        with pytest.raises(WebSocketDisconnect) as ended:
            live.receive_json()
    assert ended.value.code == code


def test_a_camera_that_sends_nothing(model: Path) -> None:
    with client(model, timeout=1).websocket_connect("/v1/live") as live, pytest.raises(WebSocketDisconnect) as ended:
        live.receive_json()
    assert (ended.value.code, ended.value.reason) == (4408, "no frame for 1 s")


def test_too_many_cameras(model: Path) -> None:
    one = client(model, max_cameras=1)
    with one.websocket_connect("/v1/live") as first:
        with one.websocket_connect("/v1/live") as second, pytest.raises(WebSocketDisconnect) as ended:
            second.receive_json()
        assert (ended.value.code, ended.value.reason) == (1013, "too many cameras; come again later")
        first.send_bytes(frame(0, 20))
        assert first.receive_json()["faces"]
    with one.websocket_connect("/v1/live") as third:
        third.send_bytes(frame(0, 20))
        assert third.receive_json()["faces"]


def test_a_long_reason_is_cut(model: Path) -> None:
    with (
        client(model).websocket_connect(f"/v1/live?model={'é' * 200}") as live,
        pytest.raises(WebSocketDisconnect) as ended,
    ):
        live.receive_json()
    assert ended.value.reason.startswith("no model")
    assert len(ended.value.reason.encode()) <= 123  # more is no valid message


def test_an_unknown_model(model: Path) -> None:
    with client(model).websocket_connect("/v1/live?model=x") as live, pytest.raises(WebSocketDisconnect) as ended:
        live.receive_json()
    assert "no model 'x'" in ended.value.reason
