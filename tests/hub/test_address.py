"""Addresses of models on the hub."""

from __future__ import annotations

from pathlib import Path

import pytest

from fercli.errors import DataError, UsageError
from fercli.hub.address import (
    HubAddress,
    cached_address,
    is_address,
    named_by_address,
    parse_address,
    parse_repository,
)

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("hf://anna/faces", ("anna", "faces", "", "")),
        ("hf://anna/faces@main", ("anna", "faces", "main", "")),
        ("hf://anna/faces@v1.0", ("anna", "faces", "v1.0", "")),
        ("hf://anna/faces@refs/pr/3", ("anna", "faces", "refs/pr/3", "")),
        (f"hf://anna/faces@{COMMIT}", ("anna", "faces", COMMIT, "")),
        ("hf://anna/faces/rmn.safetensors", ("anna", "faces", "", "rmn.safetensors")),
        ("hf://anna/faces@main/rmn.safetensors", ("anna", "faces", "main", "rmn.safetensors")),
        ("hf://Anna_B/res-net.v2", ("Anna_B", "res-net.v2", "", "")),
    ],
)
def test_parts(text: str, parts: tuple[str, ...]) -> None:
    found = parse_address(text)
    assert (found.owner, found.name, found.revision, found.file) == parts
    assert str(found) == text
    assert parse_address(Path(text)) == found  # commands take them as paths, which have one slash less
    assert is_address(text)
    assert is_address(Path(text))


@pytest.mark.parametrize(
    "text",
    [
        "hf://", "hf://anna", "hf://anna/", "hf://../..", "hf://anna/..", "hf://anna/faces@", "hf://anna/faces@../x",
        "hf://anna/faces@a/../b", "hf://anna/fa ces", "hf://an na/faces", "hf://anna/faces@a b", "hf://anna/faces/a/b",
        "hf://anna/faces/..", "hf://anna/fa--ces", "hf://-anna/faces", "hf://anna/faces.git", "hf://anna/faces@a.lock",
        "hf://anna/faces@-x", "hf://anna/faces?x=1", "hf://anna/faces@x#y", "hf://anna/faces@\n", "hf://anna/faces\x1b",
        f"hf://anna/{'a' * 97}", "hf://anna/faces@main/.hidden.safetensors", "hf://user:pass@host/name@a:b",
    ],
)  # fmt: skip
def test_hostile_addresses_are_refused(text: str) -> None:
    for given in (text, Path(text)):
        with pytest.raises(UsageError, match=r"not an address on the hub; write hf://OWNER/NAME, or hf://OWNER/NAME@"):
            parse_address(given)


def test_other_paths_are_none() -> None:
    assert not any(map(is_address, ("run", "anna/faces", "/hf://anna/faces", "hf", "hf:x", "https://anna/faces")))


def test_repositories() -> None:
    assert parse_repository("anna/faces") == parse_repository("hf://anna/faces") == HubAddress("anna", "faces")
    for text in ("faces", "anna/faces@main", "anna/faces/x", "../faces", "anna/faces/x.safetensors"):
        with pytest.raises(UsageError, match="not the name of a repository; write OWNER/NAME"):
            parse_repository(text)


def test_short_forms() -> None:
    assert parse_address(f"hf://anna/faces@{COMMIT}").short == "anna/faces@01234567"
    assert parse_address("hf://anna/faces@main").short == "anna/faces@main"
    assert parse_address("hf://anna/faces").short == "anna/faces"
    assert parse_address("hf://anna/faces@main").at(COMMIT) == parse_address(f"hf://anna/faces@{COMMIT}")


def test_places_in_the_cache_have_an_address(tmp_path: Path) -> None:
    folder = tmp_path / "models--anna--my-faces" / "snapshots" / COMMIT
    assert str(cached_address(folder)) == f"hf://anna/my-faces@{COMMIT}"
    assert str(cached_address(folder / "x.safetensors")) == f"hf://anna/my-faces@{COMMIT}/x.safetensors"
    for other in (folder / "a" / "b", folder.parent, tmp_path, folder.with_name("main"), Path("run"), Path("/")):
        assert cached_address(other) is None
    with (
        pytest.raises(DataError, match=rf"^hf://anna/my-faces@{COMMIT}/model\.json: broken$"),
        named_by_address(folder),
    ):
        raise DataError(f"{folder / 'model.json'}: broken")
    with pytest.raises(DataError, match=r"^run/model\.json: broken$"), named_by_address(Path("run")):
        raise DataError("run/model.json: broken")
