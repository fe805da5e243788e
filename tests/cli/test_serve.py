"""`fer serve`: what it prints, and what it refuses before it serves."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.helpers.cli import CliResult

pytest.importorskip("uvicorn")


class Ended:
    """A server that ends at once."""

    url, models = "http://127.0.0.1:8000/", ("ferplus",)

    def run(self) -> None:
        """Do nothing."""


@pytest.mark.parametrize(
    ("options", "printed"),
    [
        ((), "serving ferplus at http://127.0.0.1:8000/ (Ctrl-C ends)\n"),
        (("--quiet",), "http://127.0.0.1:8000/\n"),
        (("--json",), {"url": "http://127.0.0.1:8000/", "models": ["ferplus"]}),
    ],
)
def test_the_address_is_printed(
    fer: Callable[..., CliResult], monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], printed: object
) -> None:
    monkeypatch.setattr("fercli.serving.stage.serve", lambda config, progress: Ended())
    done = fer("serve", *options)
    assert done.code == 0
    assert (json.loads(done.out) if "--json" in options else done.out) == printed


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("no-such-run",), 1, "no-such-run"),
        (("--port", "70000"), 2, "port"),
        (("--max-faces", "0"), 2, "max-faces"),
        (("--allow-host", "http://a"), 2, "expected a host name"),
        (("--detector", "nothing"), 2, "no detector 'nothing'"),
        (("--host", "192.0.2.1", "--port", "0", "--detector", "haar"), 1, "--host 192.0.2.1"),
    ],
)
def test_what_cannot_be_served(
    fer: Callable[..., CliResult], arguments: tuple[str, ...], code: int, message: str
) -> None:
    done = fer("serve", *arguments)
    assert (done.code, done.out, done.err.count("\n")) == (code, "", 1), done.err
    assert message in done.err
