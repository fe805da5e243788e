"""Weights by URL and SHA-256, from a local server: only complete files are kept."""

import hashlib
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import fercli.cli.weights
import fercli.weights
from fercli.errors import DataError, FerError, UsageError
from fercli.faces.detectors import DETECTORS
from fercli.progress import Progress
from fercli.weights import PUBLISHED, PublishedWeights, download, find_published, find_weights
from tests.helpers.cli import CliResult
from tests.helpers.datasets import noise

DATA = noise(0, 200_000).tobytes()


class Handler(BaseHTTPRequestHandler):
    """Serves the file complete, truncated, lengthened, modified, or not at all."""

    def do_GET(self) -> None:
        body = {"/whole": DATA, "/moved": DATA, "/cut": DATA, "/long": DATA * 3, "/changed": DATA[:-1] + b"x"}.get(
            self.path
        )
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/whole")
            self.end_headers()
            return
        if body is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.path == "/cut":
            self.wfile.write(body[:1000])
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
        else:
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{httpd.server_address[1]}"
    httpd.shutdown()
    httpd.server_close()


@pytest.fixture
def one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PublishedWeights:
    monkeypatch.setenv("FERCLI_CACHE", str(tmp_path / "cache"))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    return PublishedWeights("yunet", "w.onnx", len(DATA), hashlib.sha256(DATA).hexdigest(), "MIT", "somewhere", None)


def cached(tmp_path: Path) -> list[str]:
    folder = tmp_path / "cache" / "weights"
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


@pytest.mark.parametrize("path", ["/whole", "/moved"])
def test_verified_download_is_kept_and_not_repeated(
    one: PublishedWeights, server: str, path: str, tmp_path: Path
) -> None:
    class Counting(Progress):
        seen = 0

        def advance(self, count: int = 1, note: str = "") -> None:
            self.seen += count

    progress = Counting()
    path = download(replace(one, url=server + path), progress)
    assert path == one.path == tmp_path / "cache/weights/w.onnx"
    assert path.read_bytes() == DATA
    assert path.stat().st_mode & 0o777 == 0o644
    assert progress.seen == len(DATA)
    assert download(replace(one, url="http://127.0.0.1:1/never")) == path
    assert cached(tmp_path) == ["w.onnx"]


def test_file_url(one: PublishedWeights, tmp_path: Path) -> None:
    (tmp_path / "copy").write_bytes(DATA)
    assert download(replace(one, url=(tmp_path / "copy").as_uri())).read_bytes() == DATA
    with pytest.raises(FerError, match="cannot download"):
        download(replace(one, file="other.onnx", url=(tmp_path / "none").as_uri()))


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/changed", "its SHA-256 differs"),
        ("/long", "its SHA-256 differs"),
        ("/cut", r"incomplete, 1,000 of 200,000 bytes|IncompleteRead|reset"),
        ("/none", "HTTP 404 Not Found"),
    ],
)
def test_failed_download_leaves_nothing(
    one: PublishedWeights, server: str, path: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(FerError, match=message) as raised:
        download(replace(one, url=server + path))
    assert re.search(r"save the file as .*w\.onnx, or pass it with --weights FILE", str(raised.value))
    assert cached(tmp_path) == []


def test_download_without_network_gives_advice(one: PublishedWeights, tmp_path: Path) -> None:
    for url in ("http://127.0.0.1:1/w", "http://no.such.host.invalid/w"):
        with pytest.raises(
            FerError, match=r"cannot download .+ \(.+\); save the file as .*, or pass it with --weights FILE"
        ):
            download(replace(one, url=url))
    with pytest.raises(UsageError, match="cannot be downloaded; export it"):
        download(one)
    assert cached(tmp_path) == []


def test_wrong_file_is_replaced_by_get_and_rejected_otherwise(
    one: PublishedWeights, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fercli.weights, "PUBLISHED", (one,))
    one.path.parent.mkdir(parents=True)
    one.path.write_bytes(b"something else")
    with pytest.raises(DataError, match="not the published file"):
        find_weights("yunet")
    assert find_weights("yunet", one.path) == one.path  # a path given explicitly is the user's choice
    download(replace(one, url=f"{server}/whole"))
    assert find_weights("yunet") == one.path


@pytest.mark.slow
def test_unwritable_cache_is_a_one_line_error(one: PublishedWeights, tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"a file")
    with pytest.raises(FerError, match=r"w\.onnx: cannot be written"):
        download(replace(one, url="http://127.0.0.1:1/w"))


@pytest.mark.slow
def test_weights_of_every_detector_are_published() -> None:
    assert {spec.weights for spec in DETECTORS} - {None} == {one.name for one in PUBLISHED}
    for one in PUBLISHED:
        assert re.fullmatch("[0-9a-f]{64}", one.sha256)
        assert one.url is None or one.url.startswith("https://")
        assert one.size > 0
        assert one.licence
    with pytest.raises(UsageError, match="no weights 'yunt'; did you mean yunet"):
        find_published("yunt")


@pytest.mark.slow
def test_command_lists_and_downloads(
    fer: Callable[..., CliResult], one: PublishedWeights, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = (replace(one, url=f"{server}/whole"), replace(one, name="other", file="o.onnx"))
    monkeypatch.setattr(fercli.weights, "PUBLISHED", known)
    monkeypatch.setattr(fercli.cli.weights, "PUBLISHED", known)
    listed = fer("weights")
    assert listed.code == 0
    assert "not found; fer weights get yunet" in listed.out
    assert "MIT" in listed.out
    assert all(len(line) <= 80 for line in listed.out.splitlines())
    assert fer("weights", "get", "yunet").code == 0
    entries = json.loads(fer("weights", "--json").out)
    assert [entry["path"] for entry in entries] == [str(one.path), None]
    assert set(entries[0]) == {"name", "size", "licence", "source", "url", "sha256", "path"}
    for arguments, code, text in (
        (["get", "other"], 2, "cannot be downloaded; export it"),
        (["get", "yunt"], 2, "did you mean yunet"),
        (["get"], 2, "no NAME given; choose from yunet, other"),
        (["yunet"], 2, "no action 'yunet'"),
    ):
        result = fer("weights", *arguments)
        assert (result.code, len(result.lines)) == (code, 1)
        assert text in result.err
