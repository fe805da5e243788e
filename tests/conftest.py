"""Fixtures of all tests: a separate cache, and `fer` run in this process."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fercli.cli.main import main
from tests.helpers.cli import CliResult
from tests.helpers.hub import StandIn, stand_in

# In the background of a shell, Ctrl-C is ignored, which the tests and their subprocesses would inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)
# pytest-xdist passes the width of its terminal to workers, whose output goes to none.
os.environ.pop("COLUMNS", None)


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FERCLI_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("DEEPFACE_HOME", str(tmp_path_factory.mktemp("deepface")))
        yield


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """A stand-in for the hub on loopback, with a login and an empty cache."""
    with stand_in(tmp_path / "home", monkeypatch) as hub:
        yield hub


@pytest.fixture
def fer(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., CliResult]]:
    """Run `fer` with arguments in this process."""

    def call(*arguments: str | Path) -> CliResult:
        monkeypatch.setattr(sys, "argv", ["fer", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as exited:
            main()
        code = exited.value.code
        return CliResult(code if isinstance(code, int) else int(code is not None), *capsys.readouterr())

    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)}
    yield call
    for number, handler in handlers.items():
        signal.signal(number, handler)
