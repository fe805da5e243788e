"""The errors of huggingface_hub as one line, and its absence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fercli.errors import DataError, FerError
from fercli.hub.address import parse_address
from fercli.hub.fetching import fetch_checkpoint
from fercli.hub.library import has_token, hub_errors, import_library
from tests.helpers.hub import TOKEN, StandIn, go_offline, stand_in

FACES = parse_address("hf://anna/faces")
FILES = {"model.json": b"{}", "model.safetensors": b"x", "artifact.json": b"{}"}


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(FerError, match=r"huggingface_hub is not installed; pip install 'fercli\[hub\]'"):
        fetch_checkpoint(FACES)


def test_unknown_and_private_repositories(hub: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"^hf://anna/faces: no such repository on http.*no access to it; check the n"):
        fetch_checkpoint(FACES)
    with stand_in(tmp_path / "other", monkeypatch, token="") as other:
        other.publish("anna/faces", FILES, private=True)
        assert not has_token()
        with pytest.raises(DataError, match="or it is private; check the name, or log in with hf auth login"):
            fetch_checkpoint(FACES)


def test_revisions_and_access(hub: StandIn) -> None:
    hub.publish("anna/faces", FILES)
    with pytest.raises(DataError, match=r"^hf://anna/faces@v9: no such branch, tag or commit 'v9'; check the name$"):
        fetch_checkpoint(parse_address("hf://anna/faces@v9"))
    hub.publish("anna/asked", FILES, gated=True)
    with pytest.raises(DataError, match=r"its owner grants access on request; ask for it at http.*/anna/asked, and"):
        fetch_checkpoint(parse_address("hf://anna/asked"))


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, "the hub does not accept the token of this login; log in with hf auth login"),
        (403, "the token of this login may not do this; log in with hf auth login, by a token that may write"),
        (418, r"cannot be written \(HTTP 418 stand-in says no\); repeat the call later, it resumes"),
    ],
)
def test_refusals(hub: StandIn, status: int, message: str) -> None:
    hub.failing["/api/whoami-v2"] = status
    with pytest.raises(FerError, match=f"^hf://anna/faces: {message}$") as error, hub_errors(FACES, "written"):
        import_library().HfApi().whoami()
    assert TOKEN not in str(error.value)


def test_an_unreachable_hub(monkeypatch: pytest.MonkeyPatch, hub: StandIn) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(FerError, match=r"^hf://anna/faces: http://127\.0\.0\.1:9 cannot be reached .*repeat the call$"):
        fetch_checkpoint(FACES)
    go_offline(monkeypatch)
    with pytest.raises(DataError, match="not in the cache, and the hub is offline; unset HF_HUB_OFFLINE"):
        fetch_checkpoint(FACES)


def test_other_errors_keep_their_text(hub: StandIn) -> None:
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    message = r"^hf://anna/faces: cannot be read \(disk full\); repeat the call, it resumes$"
    with pytest.raises(FerError, match=message), hub_errors(FACES, "read"):
        raise OSError(28, "disk full")
    assert not are_progress_bars_disabled()
    disable_progress_bars()
    with hub_errors(FACES, "read"):
        assert are_progress_bars_disabled()
    assert are_progress_bars_disabled()  # as the caller had set it
    enable_progress_bars()
    with pytest.raises(DataError, match=r"^kept$"), hub_errors(FACES, "read"):
        raise DataError("kept")


@pytest.mark.slow
def test_nothing_else_imports_huggingface_hub() -> None:
    code = "import fercli.models.checkpoints, fercli.cli.main, sys; print('huggingface_hub.hf_api' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
