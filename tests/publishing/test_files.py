"""The files of a model as they are published."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from fercli.errors import DataError
from fercli.hub.uploading import Upload
from fercli.publishing.files import check_paths, open_source
from tests.helpers.models import make_run
from tests.helpers.packs import make_pack


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run", make_pack(tmp_path / "pack")).path


def test_paths_of_this_machine_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/anna")
    monkeypatch.chdir(tmp_path)
    check_paths([Upload("a", b"/home/annabel/x and /home/anna"), Upload("b", b"run/best")])
    for data in (b"see /home/anna/x", f"{os.getcwd()}/x".encode()):
        with pytest.raises(DataError, match=r"^README\.md: contains the path of a folder of this machine; leave"):
            check_paths([Upload("README.md", data)])
    (tmp_path / "model.onnx").write_bytes(b"\0/home/anna/run\0")
    with pytest.raises(DataError, match="export the model again"):
        check_paths([Upload("model.onnx", tmp_path / "model.onnx")])
    check_paths([Upload("model.safetensors", b"/home/anna/")])  # numbers


def test_a_modified_checkpoint_is_refused(run: Path) -> None:
    assert open_source(run).artifact.path == run / "best"
    assert open_source(run / "last").made.path == run
    file = run / "best" / "model.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "temperature": 2.0}))
    with pytest.raises(DataError, match=r"best: was modified after it was written; train the model again"):
        open_source(run)
