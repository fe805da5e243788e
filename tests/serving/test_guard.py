"""Who is answered: hosts, origins, tokens, and limits on bodies."""

from pathlib import Path

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from fercli.serving.guard import is_loopback
from tests.helpers.prediction import picture
from tests.helpers.serving import client, encoded

PATH = "/v1/models"


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:8000", "[::1]:8000", "LOCALHOST"])
def test_own_names(model: Path, host: str) -> None:
    assert client(model).get(PATH, headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "192.0.2.7", "", "localhost.evil.example", "[::1"]
)
def test_other_names(model: Path, host: str) -> None:
    answer = client(model).get(PATH, headers={"host": host})
    assert answer.status_code == 421
    assert "--allow-host" in answer.json()["detail"]


def test_a_given_name(model: Path) -> None:
    one = client(model, allow_host=("Faces.example.org",))
    assert one.get(PATH, headers={"host": "faces.example.org"}).status_code == 200


def test_any_address_where_others_may_ask(model: Path) -> None:
    one = client(model, host="0.0.0.0")
    assert one.get(PATH, headers={"host": "192.0.2.7:8000"}).status_code == 200
    assert one.get(PATH, headers={"host": "evil.example"}).status_code == 421


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://localhost:9999", "https://evil.example:80", "http://[", ""]
)
def test_other_origins(model: Path, origin: str) -> None:
    one = client(model)
    answer = one.post("/v1/predict", content=encoded(picture(20)), headers={"origin": origin})
    assert answer.status_code == 403
    with pytest.raises(WebSocketDisconnect), one.websocket_connect("/v1/live", headers={"origin": origin}):
        pass


def test_own_origin(model: Path) -> None:
    answer = client(model).post(
        "/v1/predict",
        content=encoded(picture(20)),
        headers={"origin": "http://localhost:8000", "host": "localhost:8000"},
    )
    assert answer.status_code == 200


def test_a_token(model: Path) -> None:
    one = client(model, token="secret")
    assert one.get(PATH).status_code == 401
    assert one.get(PATH, headers={"authorization": "Bearer wrong"}).status_code == 401
    assert one.get(PATH, headers={"authorization": "Bearer secret"}).status_code == 200
    assert one.get("/healthz").status_code == 200
    with pytest.raises(WebSocketDisconnect), one.websocket_connect("/v1/live"):
        pass


def test_the_address_with_the_token_opens_the_page(model: Path) -> None:
    one = client(model, token="secret")
    assert one.get("/?token=wrong").status_code == 401
    moved = one.get("/?token=secret", follow_redirects=False)
    assert (moved.status_code, moved.headers["location"]) == (303, "/")
    cookie = moved.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert one.get("/").status_code == 200  # by the cookie
    assert one.get(PATH).status_code == 200


@pytest.mark.parametrize("token", ["a b;c", "\u00e4", "\u20ac"])
def test_tokens_of_all_kinds_of_characters(model: Path, token: str) -> None:
    one = client(model, token=token)
    assert one.get("/", params={"token": token}).status_code == 200
    assert one.get(PATH).status_code == 200


def test_cookies_that_are_none(model: Path) -> None:
    assert client(model, token="secret").get(PATH, headers={"cookie": "a[=;;\x7f"}).status_code == 401


def test_every_answer_has_the_headers_of_a_safe_page(model: Path) -> None:
    one = client(model)
    for answer in (one.get("/"), one.get("/nothing"), one.get(PATH, headers={"host": "evil.example"})):
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("chunked", [False, True])
def test_bodies_beyond_the_limit(model: Path, chunked: bool) -> None:
    one = client(model, max_megabytes=0.01)
    body = bytes(20_000)
    answer = one.post("/v1/predict", content=(body[i : i + 999] for i in range(0, len(body), 999)) if chunked else body)
    assert (answer.status_code, answer.json()) == (413, {"detail": "too large; the limit is 0.01 MB"})
    assert answer.headers["connection"] == "close"


def test_lengths_that_are_none(model: Path) -> None:
    one: TestClient = client(model)
    assert one.post("/v1/predict", content=b"x", headers={"content-length": "-1"}).status_code in (400, 413)


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("a.b", False)],
)
def test_loopback(host: str, local: bool) -> None:
    assert is_loopback(host) is local
