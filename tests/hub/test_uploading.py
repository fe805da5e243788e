"""Comparing files with the hub's, and the visibility of a repository."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from fercli.errors import DataError
from fercli.hub.address import parse_address
from fercli.hub.uploading import Remote, Upload, check_visibility, read_remote, upload
from tests.helpers.hub import StandIn

FACES = parse_address("hf://anna/faces")


def test_digests_are_those_of_the_hub(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"hello\n")
    for one in (Upload("x", b"hello\n"), Upload("x", tmp_path / "x")):
        # git hash-object gives the second
        assert one.digests() == (hashlib.sha256(b"hello\n").hexdigest(), "ce013625030ba8dba906f756967f9e9ca394464a")
        assert one.size == 6


def test_states(hub: StandIn) -> None:
    assert read_remote(FACES) == Remote(None, "", {})
    commit = hub.publish("anna/faces", {"a.json": b"a", "w.safetensors": b"w"}, private=True)
    remote = read_remote(FACES)
    assert (remote.exists, remote.private, remote.commit, remote.branch) == (True, True, commit, True)
    files = [Upload("a.json", b"a"), Upload("w.safetensors", b"w"), Upload("a.json", b"b"), Upload("c", b"c")]
    assert [remote.state_of(one) for one in files] == ["unchanged", "unchanged", "changed", "new"]
    other = read_remote(parse_address("hf://anna/faces@other"))
    assert (other.branch, other.commit, other.digests) == (False, commit, remote.digests)


def test_a_repository_that_somebody_made_public_meanwhile_is_left_alone(hub: StandIn) -> None:
    before = read_remote(FACES)
    hub.publish("anna/faces", {"a": b"a"})
    with pytest.raises(DataError, match=r"^anna/faces: is public; push to it with --public"):
        upload(FACES, [Upload("secret", b"s")], before, public=False, message="x")
    assert hub.uploads() == []


def test_visibility_has_to_be_asked_for() -> None:
    for private in (True, False, None):
        check_visibility(FACES, Remote(private, "", {}), public=not private) if private is not None else None
    check_visibility(FACES, Remote(None, "", {}), public=True)
    check_visibility(FACES, Remote(None, "", {}), public=False)
    with pytest.raises(DataError, match="is private; push without --public"):
        check_visibility(FACES, Remote(True, "", {}), public=True)
