"""Artifacts: opening valid ones, rejecting others, and writing small files atomically."""

import errno
import json
import os
from pathlib import Path

import pytest

from fercli.artifacts import (
    FORMAT,
    Artifact,
    artifact_input,
    input_of,
    is_artifact,
    key_of,
    link_or_copy,
    open_artifact,
    publish,
    temporary_path,
    write_text,
)
from fercli.errors import DataError
from tests.helpers.datasets import face, make_dataset, names


@pytest.fixture
def dataset(tmp_path: Path) -> Artifact:
    return make_dataset(tmp_path / "data", {"train/sad/1.png": face(1)})


def test_built_artifact_can_be_opened(dataset: Artifact) -> None:
    found = open_artifact(dataset.path, "pack", "dataset")
    assert found.manifest == dataset.manifest
    assert found.summary == found.manifest.summary == {}
    assert is_artifact(dataset.path)


def test_manifest_contents(dataset: Artifact) -> None:
    manifest = json.loads((dataset.path / "artifact.json").read_text())
    assert manifest["kind"] == "dataset"
    assert manifest["format"] == FORMAT
    assert manifest["emotions"] == ["sad"]
    assert manifest["counts"] == {"train": {"sad": 1}}
    assert {"fercli", "stage", "command", "options", "seed", "inputs", "key", "digest"} <= set(manifest)
    assert manifest["started"] <= manifest["ended"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a valid manifest"),
        (b"{", "not a valid manifest"),
        (b"[]", "not a valid manifest"),
        (b'{"kind": 3, "stage": "x"}', "not a valid manifest"),
        (b"\xff\xfe\x00", "not a valid manifest"),
        (b'{"kind": "run", "stage": "x", "ended": "yesterday"}', r"not a valid manifest \(ended: .*isoformat"),
        (b'{"kind": "run", "stage": "x", "counts": {"test": {"sad": -1}}}', r"\(counts.test.sad: .*greater than"),
        (b'{"kind": "run", "stage": "x", "counts": {"test": {"sad": 1e30}}}', r"\(counts.test.sad: "),
        (b'{"kind": "run", "stage": "x", "seed": 1' + b"0" * 5000 + b"}", r"not a valid manifest.{,300}$"),
        (b'{"kind": "run", "stage": "x", "summary": {"n": 1' + b"0" * 100 + b"}}", "too many digits"),
        (b'{"kind": "run", "stage": "x", "summary": {"a": [{"b": NaN}]}}', "not finite"),
        (b'{"kind": "run", "stage": "x", "summary": ' + b"[" * 9999 + b"]" * 9999 + b"}", "not a valid manifest"),
        (b'{"kind": "run", "stage": "x", "summary": {"a": "\\ud800"}}', "not a valid manifest"),
        (
            b'{"kind": "x", "stage": "x", "inputs": [{"name": "a", "kind": "a", "digest": "0", "path": "\\u0000"}]}',
            "inputs.0.path: not a file path",
        ),
        (
            b'{"kind": "dataset", "stage": "import", "format": 99, "fercli": "7.0"}',
            "by fercli 7.0 in format 99; update",
        ),
    ],
)
def test_invalid_or_future_manifest_is_rejected(dataset: Artifact, content: bytes, message: str) -> None:
    (dataset.path / "artifact.json").write_bytes(content)
    with pytest.raises(DataError, match=message):
        open_artifact(dataset.path)
    assert not is_artifact(dataset.path)


def test_unknown_manifest_fields_are_ignored(dataset: Artifact) -> None:
    file = dataset.path / "artifact.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "weather": "fine"}))
    assert open_artifact(dataset.path).manifest == dataset.manifest


def test_other_paths_are_rejected(tmp_path: Path, dataset: Artifact) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "odd" / "artifact.json").mkdir(parents=True)
    for name, message in (
        ("nothing", "no such path"),
        ("nothing\0", "no such path"),
        ("n" * 5000, "no such path"),
        ("file", "not a fercli pack"),
        ("folder", "not a fercli pack"),
        ("odd", "not a valid manifest"),
        ("data", "is a dataset; expected a pack"),
    ):
        with pytest.raises(DataError, match=message):
            open_artifact(tmp_path / name, "pack")


def test_key_depends_on_kind_stage_options_and_digests_only(tmp_path: Path) -> None:
    inputs = [input_of("source", tmp_path / "a", "raw", "1")]
    key = key_of("dataset", "import", {"seed": 0, "strict": False}, inputs)
    moved = [input_of("source", tmp_path / "b", "raw", "1")]
    assert key_of("dataset", "import", {"strict": False, "seed": 0}, moved) == key
    others = [
        ("pack", "import", {"seed": 0, "strict": False}, inputs),
        ("dataset", "clean", {"seed": 0, "strict": False}, inputs),
        ("dataset", "import", {"seed": 1, "strict": False}, inputs),
        ("dataset", "import", {"seed": 0, "strict": False}, [input_of("source", tmp_path / "a", "raw", "2")]),
    ]
    assert len({key, *(key_of(*other) for other in others)}) == 5


def test_artifact_as_input(dataset: Artifact) -> None:
    found = artifact_input("dataset", dataset)
    assert (found.kind, found.digest, found.path) == ("dataset", dataset.manifest.digest, str(dataset.path))


def test_write_text_is_atomic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    write_text(path, "old\r\n")
    assert path.read_bytes() == b"old\r\n"

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_text(path, "new")
    assert path.read_bytes() == b"old\r\n"


def test_link_or_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "a"
    source.write_bytes(b"1")
    (tmp_path / "named").symlink_to("a")
    link_or_copy(tmp_path / "named", tmp_path / "b")
    assert os.path.samefile(source, tmp_path / "b")
    assert not (tmp_path / "b").is_symlink()

    def refuse(code: int):
        def link(source: object, target: object) -> None:
            raise OSError(code, os.strerror(code))

        return link

    monkeypatch.setattr(os, "link", refuse(errno.EXDEV))
    link_or_copy(source, tmp_path / "c")
    assert not os.path.samefile(source, tmp_path / "c")
    assert (tmp_path / "c").read_bytes() == b"1"
    monkeypatch.setattr(os, "link", refuse(errno.ENOSPC))
    with pytest.raises(OSError, match="No space"):
        link_or_copy(source, tmp_path / "d")
    assert names(tmp_path) == ["a", "b", "c", "named"]


def test_temporary_files_are_unique_and_removed(tmp_path: Path) -> None:
    path = tmp_path / "film.MP4"
    with temporary_path(path) as one, temporary_path(path) as other:
        assert one != other
        assert {one.suffix, other.suffix} == {".mp4"}
        assert one.parent == tmp_path
        one.write_bytes(b"whole")
        publish(one, path)
    assert [file.name for file in tmp_path.iterdir()] == ["film.MP4"]
    assert path.read_bytes() == b"whole"


def test_published_file_has_default_permissions(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with temporary_path(tmp_path / "a") as temporary:
            publish(temporary, tmp_path / "a")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640
