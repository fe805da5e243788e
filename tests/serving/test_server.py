"""Connections: slow, broken and many."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from fercli.serving.engine import ServedModel
from tests.helpers.prediction import picture
from tests.helpers.serving import DETECTOR, encoded, running

PICTURE = encoded(picture(20))


def connect(url: str) -> socket.socket:
    return socket.create_connection((urlsplit(url).hostname or "", urlsplit(url).port or 0), timeout=30)


@pytest.mark.slow
@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"])
def test_a_head_that_does_not_arrive(model: Path, sent: bytes) -> None:
    with running(model, timeout=1) as url, connect(url) as slow:
        slow.sendall(sent)
        assert slow.recv(100) == b""


@pytest.mark.slow
def test_a_body_that_does_not_arrive(model: Path) -> None:
    with running(model, timeout=1) as url, connect(url) as slow:
        slow.sendall(b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nabc")
        answer = b""
        while part := slow.recv(4096):  # to the end: the connection is closed
            answer += part
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"did not arrive within 1 s" in answer


@pytest.mark.slow
def test_a_client_that_does_not_read(model: Path) -> None:
    requests = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100_000
    with running(model, timeout=1) as url, connect(url) as deaf, pytest.raises(ConnectionError):
        deaf.sendall(requests)


@pytest.mark.slow
def test_pings_whose_answers_are_not_read(model: Path) -> None:
    pings = (b"\x89\xfd" + bytes(4) + b"x" * 125) * 100_000
    with running(model) as url, connect(url) as deaf:
        deaf.sendall(
            b"GET /v1/live HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        assert b" 101 " in deaf.recv(4096)
        with pytest.raises(ConnectionError):
            deaf.sendall(pings * 5)


@pytest.mark.slow
def test_a_camera_outlives_the_time_of_a_head(model: Path) -> None:
    from websockets.sync.client import connect as connect_socket

    with running(model, timeout=2) as url, connect_socket(url.replace("http", "ws") + "v1/live") as live:
        for number in range(4):
            time.sleep(1)
            live.send(bytes(8) + PICTURE)
            assert json.loads(live.recv())["faces"], number


def test_clients_that_leave(model: Path) -> None:
    with running(model) as url:
        for sent in (b"", b"GET", b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nabc"):
            with connect(url) as leaving:
                leaving.sendall(sent)
        assert httpx.post(f"{url}v1/predict", content=PICTURE).status_code == 200


def test_more_requests_than_places(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = ServedModel.recognise
    monkeypatch.setattr(
        ServedModel, "recognise", lambda *given, **options: (time.sleep(0.2), original(*given, **options))[1]
    )

    async def ask(url: str) -> list[httpx.Response]:
        async with httpx.AsyncClient(timeout=60) as one:
            return await asyncio.gather(*(one.post(f"{url}v1/predict", content=PICTURE) for _ in range(12)))

    with running(model, max_requests=3, workers=1) as url:
        answers = asyncio.run(ask(url))
        assert httpx.post(f"{url}v1/predict", content=PICTURE).status_code == 200
    codes = sorted(answer.status_code for answer in answers)
    assert codes.count(200) == 3
    assert codes[3:] == [429] * 9
    assert all(answer.headers["retry-after"] == "1" for answer in answers if answer.status_code == 429)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_ends_by_a_signal(model: Path, number: signal.Signals) -> None:
    arguments = ["serve", str(model), "--port", "0", "--json", "--detector", DETECTOR]
    started = subprocess.Popen(
        [sys.executable, "-m", "fercli", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    assert started.stdout is not None
    lines = [started.stdout.readline()]
    while lines[-1].rstrip() != "}":
        lines.append(started.stdout.readline())
        assert lines[-1], started.stderr and started.stderr.read()
    url = json.loads("".join(lines))["url"]
    assert httpx.get(f"{url}healthz").status_code == 200
    started.send_signal(number)
    out, err = started.communicate(timeout=60)
    assert (started.returncode, out, "Traceback" in err) == (0, "", False)
