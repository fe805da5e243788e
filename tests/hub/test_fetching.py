"""Downloads from the hub: by branch, tag and commit, of allowed files alone, checked."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from fercli.errors import DataError, FerError
from fercli.hub.address import parse_address
from fercli.hub.fetching import fetch_checkpoint, fetch_weights
from tests.helpers.hub import StandIn, go_offline

FILES = {"model.json": b"{}", "model.safetensors": b"weights" * 99, "artifact.json": b"[]"}


def fetch(address: str) -> Path:
    return fetch_checkpoint(parse_address(address))


def test_branches_tags_and_commits(hub: StandIn) -> None:
    first = hub.publish("anna/faces", FILES)
    hub.repositories["anna/faces"].refs["v1"] = first
    second = hub.publish("anna/faces", {"model.safetensors": b"other"})
    assert fetch("hf://anna/faces").name == second
    assert fetch("hf://anna/faces@v1").name == first
    assert fetch(f"hf://anna/faces@{first}").name == first
    assert (fetch("hf://anna/faces@main") / "model.safetensors").read_bytes() == b"other"
    hub.publish("anna/faces", {"model.safetensors": b"third"})
    assert (fetch("hf://anna/faces") / "model.safetensors").read_bytes() == b"third"
    assert (fetch("hf://anna/faces@v1") / "model.safetensors").read_bytes() == FILES["model.safetensors"]


def test_only_allowed_files_are_read(hub: StandIn) -> None:
    foreign = {"pytorch_model.bin": b"pickle", "code.py": b"evil", "README.md": b"# hi", "sub/model.json": b"x"}
    digests = {"training_sha256.safetensors": b"d", "training_sha256.npy": b"n"}
    hub.publish("anna/faces", {**FILES, **foreign, **digests})
    assert {p.name for p in fetch("hf://anna/faces").rglob("*")} == {*FILES, "training_sha256.safetensors"}
    asked = "".join(hub.requests)
    assert not any(name in asked for name in (*foreign, "training_sha256.npy"))


def test_a_cached_commit_needs_no_network(hub: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = hub.publish("anna/faces", FILES)
    fetch("hf://anna/faces")
    hub.requests.clear()
    fetch(f"hf://anna/faces@{commit}")
    assert not [one for one in hub.requests if one.startswith("GET") and "resolve" in one]
    go_offline(monkeypatch)
    assert fetch("hf://anna/faces").name == fetch(f"hf://anna/faces@{commit}").name == commit
    with pytest.raises(DataError, match="not in the cache, and the hub is offline"):
        fetch("hf://anna/faces@v1")


def test_an_unreachable_hub_leaves_the_cache(hub: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = hub.publish("anna/faces", FILES)
    fetch("hf://anna/faces")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    assert fetch("hf://anna/faces").name == commit


def test_repositories_without_a_checkpoint(hub: StandIn) -> None:
    hub.publish("anna/pickle", {"pytorch_model.bin": b"x", "config.json": b"{}"})
    message = r"not a checkpoint that fer push published .*; pytorch_model\.bin can run code when loaded, and only"
    with pytest.raises(DataError, match=rf"^hf://anna/pickle: {message} \.safetensors files are read from the hub; if"):
        fetch("hf://anna/pickle")
    hub.publish("anna/weights", {"rmn.safetensors": b"x"})
    with pytest.raises(DataError, match="are used by --weights hf://anna/weights --model NAME"):
        fetch("hf://anna/weights")
    hub.publish("anna/onnx", {"model.onnx": b"x", "artifact.json": b"{}"})
    with pytest.raises(DataError, match=r"holds an exported model.*download model\.onnx and give the file"):
        fetch("hf://anna/onnx")
    hub.publish("anna/empty", {"README.md": b"x"})
    with pytest.raises(
        DataError, match=r"it has no model\.safetensors, model\.json, artifact\.json.*has no \.safetens"
    ):
        fetch("hf://anna/empty")
    with pytest.raises(DataError, match="names a file; for weights without metadata, use --weights with --model"):
        fetch("hf://anna/weights/rmn.safetensors")


def test_weights_of_a_known_architecture(hub: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    def weights(address: str) -> str:
        return fetch_weights(parse_address(address)).name

    hub.publish("anna/one", {"rmn.safetensors": b"x", "README.md": b"x"})
    hub.publish("anna/two", {"a.safetensors": b"a", "b.safetensors": b"b", "sub/c.safetensors": b"c"})
    hub.publish("anna/pickle", {"rmn.pth": b"x"})
    hub.publish("anna/faces", {**FILES, "training_sha256.safetensors": b"d"})
    assert weights("hf://anna/one") == "rmn.safetensors"
    assert weights("hf://anna/two/b.safetensors") == weights("hf://anna/two@main/b.safetensors") == "b.safetensors"
    assert weights("hf://anna/faces") == "model.safetensors"
    with pytest.raises(
        DataError, match=r"several files of weights, a\.safetensors, b\.safetensors; name one, as hf://"
    ):
        weights("hf://anna/two")
    for address in ("hf://anna/pickle", "hf://anna/pickle/rmn.pth"):
        with pytest.raises(DataError, match=r"rmn\.pth can run code when loaded"):
            weights(address)
    with pytest.raises(DataError, match=r"has no file d\.safetensors; it has a\.safetensors, b\.safetensors"):
        weights("hf://anna/two/d.safetensors")
    go_offline(monkeypatch)
    assert weights("hf://anna/one") == "rmn.safetensors"
    with pytest.raises(DataError, match="the hub is offline"):
        weights("hf://anna/none")


def test_damaged_downloads_are_found(hub: StandIn) -> None:
    hub.publish("anna/faces", FILES)
    hub.damaged.add("model.safetensors")
    with pytest.raises(
        DataError, match=r"model\.safetensors is damaged \(its digest is not the hub's\); remove /"
    ) as e:
        fetch("hf://anna/faces")
    blob = Path(str(e.value).partition("remove ")[2].partition(",")[0])
    assert blob.name == hashlib.sha256(FILES["model.safetensors"]).hexdigest()
    hub.damaged.clear()
    blob.unlink()
    assert (fetch("hf://anna/faces") / "model.safetensors").read_bytes() == FILES["model.safetensors"]
    small = Path(os.path.realpath(fetch("hf://anna/faces") / "model.json"))
    small.write_bytes(b"{ }")
    with pytest.raises(DataError, match=r"model\.json is damaged"):
        fetch("hf://anna/faces")


def test_a_broken_download_resumes(hub: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DOWNLOAD_TIMEOUT", 1)
    monkeypatch.setattr("time.sleep", lambda _: None)
    hub.publish("anna/faces", FILES)
    hub.broken.add("model.json")
    hub.broken.add("model.safetensors")
    with pytest.raises(FerError, match=r"^hf://anna/faces: "):
        fetch("hf://anna/faces")
    hub.broken.clear()
    assert (fetch("hf://anna/faces") / "model.safetensors").read_bytes() == FILES["model.safetensors"]
