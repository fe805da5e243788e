"""Starting the server: addresses, tokens, and what cannot start."""

import socket
import sys
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

import httpx
import pytest

from fercli.errors import DataError, FerError, UsageError
from fercli.serving.config import ServeConfig
from fercli.serving.stage import TOKEN, serve
from tests.helpers.serving import DETECTOR, running


def config(model: Path, **options: object) -> ServeConfig:
    return ServeConfig.of(checkpoints=(model,), detector=DETECTOR, port=0, **options)


def test_it_answers(model: Path) -> None:
    with running(model) as url, urlopen(f"{url}healthz") as answer:
        assert answer.read() == b'{"status":"ok"}'
    with pytest.raises(URLError, match="refused"):
        urlopen(url)


def test_other_machines_need_a_token(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN, raising=False)
    assert "token" not in serve(config(model)).url
    made = [serve(config(model, host="0.0.0.0")).url for _ in range(2)]
    assert made[0].partition("token=")[2] != made[1].partition("token=")[2]
    monkeypatch.setenv(TOKEN, "mine")
    assert serve(config(model)).url.endswith("/?token=mine")


def test_a_proxy_needs_a_token(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN, raising=False)
    assert "/?token=" in serve(config(model, allow_host=("faces.example.org",))).url


def test_the_printed_address_is_answered(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN, "a b&c=\u00e4")
    with running(model, host="0.0.0.0") as url:
        name = urlsplit(url)
        assert name.hostname == socket.gethostname().lower()
        reached = httpx.get(
            f"http://127.0.0.1:{name.port}/?{name.query}", headers={"host": name.netloc}, follow_redirects=False
        )
        assert reached.status_code == 303
        page = httpx.get(
            f"http://127.0.0.1:{name.port}/",
            headers={"host": name.netloc, "cookie": reached.headers["set-cookie"].partition(";")[0]},
        )
    assert (page.status_code, "<h1>fercli</h1>" in page.text) == (200, True)


def test_addresses(model: Path) -> None:
    assert serve(config(model, host="::1")).url.startswith("http://[::1]:")
    with pytest.raises(FerError, match=r"--host no\.such\.invalid: no such address"):
        serve(config(model, host="no.such.invalid"))
    with pytest.raises(FerError, match=r"--host a\.\.b: no such address"):
        serve(config(model, host="a..b"))
    with pytest.raises(FerError, match=r"--host 192\.0\.2\.1 --port 0: Cannot assign requested address"):
        serve(config(model, host="192.0.2.1"))


def test_a_port_that_is_taken(model: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(FerError, match=f"--port {port}: Address already in use; choose another, or --port 0"):
            serve(config(model).model_copy(update={"port": port}))


def test_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing"):
        serve(config(tmp_path / "nothing"))


def test_without_the_extra(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fercli.serving.app", None)
    with pytest.raises(FerError, match=r"pip install 'fercli\[serve\]'"):
        serve(config(model))


@pytest.mark.parametrize(
    "options",
    [
        {"port": 70_000},
        {"max_megabytes": 0},
        {"max_faces": 0},
        {"timeout": float("nan")},
        {"allow_host": ("http://a",)},
        {"allow_host": ("",)},
        {"host": ""},
        {"checkpoints": ()},
    ],
)
def test_invalid_options(model: Path, options: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="serve: "):
        ServeConfig.of(**{"checkpoints": (model,), **options})
