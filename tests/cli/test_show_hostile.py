"""`fer show` on manipulated or corrupt manifests and indexes: exit code 0, or 1 with a one-line error."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fercli
from fercli.artifacts import Artifact, open_artifact
from fercli.artifacts.digests import digest_file
from fercli.cli.show_list import artifacts_in, print_table, rows_of
from fercli.datasets.index import COLUMNS, read_rows
from fercli.errors import FerError
from fercli.verification import verify
from tests.helpers.cli import CliResult
from tests.helpers.datasets import face, make_dataset

Fer = Callable[..., CliResult]
MANY_EXAMPLES = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

hostile_text = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["", "[bold]", "[/bold]", "[/]", "\x1b[2J", "../../x", "/dev/null", "a\0b", "\u202e", "x" * 5000]),
    st.sampled_from(["2026-13-45", "0001-01-01T00:00:00", "9999-12-31T23:59:59+23:59", "run", "pack", "test", "nan"]),
)
hostile_value = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        hostile_text,
        st.integers(-(10**20), 10**20),
        st.floats(),
        st.sampled_from([0, -1, 1, 2**63, 10**400, 1e308, -0.0]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(hostile_text, inner, max_size=3)),
    max_leaves=6,
)

SUMMARY = {
    "split": "test",
    "n": 3,
    "accuracy": 0.5,
    "accuracy_interval": [0.2, 0.8],
    "macro_f1": 0.4,
    "balanced_accuracy": 0.5,
    "roc_auc": 0.5,
    "tta": "none",
    "selection": "best",
    "method": "mean",
    "model": "quick",
    "snapshots": [],
    "best_epoch": 1,
    "epochs": 2,
    "validation": {"n": 3, "accuracy": 0.5, "accuracy_interval": [0.2, 0.8], "macro_f1": 0.4},
    "per_class": {"sad": {"precision": 0.1, "recall": None, "specificity": 1.0, "f1": None, "support": 2}},
    "members": [{"checkpoint": "run-0", "architecture": "quick", "weight": 0.5, "accuracy": 0.5, "selected": True}],
    "file": "model.onnx",
    "parity": [{"faces": "drawn faces", "largest": 1e-6, "agreement": 1.0}],
    "cells": [{"checkpoint": "run-0", "pack": "pack", "n": 2, "accuracy": 0.5, "accuracy_interval": [0.1, 0.9]}],
    "without_leaks": {"n": 2, "accuracy": 0.5, "accuracy_interval": [0.1, 0.9]},
}
KINDS = (
    "run",
    "evaluation",
    "checkpoint",
    "pack",
    "dataset",
    "photographs",
    "explanation",
    "comparison",
    "crossvalidation",
    "matrix",
    "export",
    "study",
    "plan",
    "report",
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    images = {f"{split}/sad/0.png": face(k, 16) for k, split in enumerate(("train", "validation", "test"))}
    return make_dataset(tmp_path_factory.mktemp("hostile") / "data", images)


def manifest_of(dataset: Artifact, kind: str) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((dataset.path / "artifact.json").read_text())
    inputs = [{"name": name, "path": "../data", "kind": name, "digest": "0"} for name in ("pack", "weights", "prompts")]
    details = {"origin": {"model": "quick", "seeds": [1], "pack": "pack"}}
    return {**manifest, "kind": kind, "summary": SUMMARY, "seed": 1, "inputs": inputs, "details": details}


def paths_in(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path to every value inside a JSON value."""
    found = [path] if path else []
    if isinstance(value, dict):
        found += [one for key, inner in value.items() for one in paths_in(inner, (*path, key))]
    if isinstance(value, list):
        found += [one for key, inner in enumerate(value) for one in paths_in(inner, (*path, key))]
    return found


def replace_value(value: Any, path: tuple[Any, ...], new: Any) -> None:
    *parents, last = path
    for key in parents:
        value = value[key]
    value[last] = new


def assert_show_handles(folder: Path, fer: Fer) -> None:
    """Show, list and verify an artifact: only the documented exit codes and one-line errors."""
    for arguments in ((folder,), (folder, "--json"), (folder, "--verify"), (folder.parent, "--sort", "accuracy")):
        result = fer("show", *arguments)
        assert result.code in (0, 1), (arguments, result)
        assert "unexpected" not in result.err, result.err
        assert len([line for line in result.lines if line.startswith("fer show: ")]) == result.code
        assert "\x1b" not in result.out + result.err
    listed = json.loads(fer("show", folder.parent, "--json").out)
    assert [row["name"] for row in listed] == [folder.name]


@pytest.mark.slow
@given(data=st.data())
@MANY_EXAMPLES
def test_manifest_with_other_values(
    data: st.DataObject, dataset: Artifact, fer: Fer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    manifest = manifest_of(dataset, data.draw(st.sampled_from(KINDS)))
    manifest = json.loads(json.dumps(manifest))
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(paths_in(manifest)))
        replace_value(manifest, path, data.draw(hostile_value))
    folder = tmp_path_factory.mktemp("changed") / "artifact"
    folder.mkdir()
    (folder / "artifact.json").write_text(json.dumps(manifest))
    assert_show_handles(folder, fer)


@pytest.mark.slow
@given(data=st.data())
@MANY_EXAMPLES
def test_manifest_with_other_bytes(
    data: st.DataObject, dataset: Artifact, fer: Fer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    text = bytearray(json.dumps(manifest_of(dataset, data.draw(st.sampled_from(KINDS)))).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        new = data.draw(
            st.one_of(st.binary(max_size=4), st.sampled_from([b"[" * 3000, b"9" * 5000, b"null", b"-1", b"NaN"]))
        )
        text[start : start + data.draw(st.integers(0, 4))] = new
    folder = tmp_path_factory.mktemp("changed") / "artifact"
    folder.mkdir()
    (folder / "artifact.json").write_bytes(text)
    assert_show_handles(folder, fer)


def run_readers(folder: Path) -> None:
    """Verify, pack and clean a dataset; each succeeds or raises a FerError."""
    for stage in (
        lambda: verify(open_artifact(folder)),
        lambda: fercli.pack(folder, folder.parent / "pack"),
        lambda: fercli.clean(folder, folder.parent / "cleaned", workers=0),
    ):
        with suppress(FerError):  # one line by construction
            stage()


@pytest.mark.slow
@given(data=st.data())
@settings(MANY_EXAMPLES, max_examples=40)
def test_index_with_other_bytes(
    data: st.DataObject, dataset: Artifact, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The manifest's digest is adapted, as an attacker could."""
    folder = tmp_path_factory.mktemp("changed") / "data"
    folder.mkdir()
    text = bytearray((dataset.path / "index.csv").read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        odd = st.sampled_from(
            [b'"', b"\n", b",", b"\xff", b"..", b"/", b"\0", b"-1", b"1e999", b"9" * 5000, b"\r\n,\n"]
        )
        text[start : start + data.draw(st.integers(0, 6))] = data.draw(st.one_of(st.binary(max_size=3), odd))
    write_dataset(folder, dataset, bytes(text))
    run_readers(folder)


@pytest.mark.slow
@given(column=st.sampled_from(COLUMNS), value=hostile_text)
@settings(MANY_EXAMPLES, max_examples=40)
def test_index_with_another_cell(
    column: str, value: str, dataset: Artifact, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = list(csv.DictReader(io.StringIO((dataset.path / "index.csv").read_text(encoding="utf-8"))))
    rows[0][column] = value
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    folder = tmp_path_factory.mktemp("changed") / "data"
    folder.mkdir()
    write_dataset(folder, dataset, text.getvalue().encode("utf-8", "surrogatepass"))
    run_readers(folder)


def write_dataset(folder: Path, dataset: Artifact, index: bytes) -> None:
    """Write a dataset with another index, and adapt the digest in its manifest."""
    for split in ("train", "validation", "test"):
        (folder / split).symlink_to(dataset.path / split)
    (folder / "index.csv").write_bytes(index)
    manifest = json.loads((dataset.path / "artifact.json").read_text())
    manifest["digest"] = digest_file(folder / "index.csv")
    (folder / "artifact.json").write_text(json.dumps(manifest))


def test_broken_artifacts_do_not_hide_others(dataset: Artifact, tmp_path: Path) -> None:
    for name, content in (("a", b"{"), ("b", (dataset.path / "artifact.json").read_bytes()), ("c", b"\xff" * 99)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "artifact.json").write_bytes(content)
    (tmp_path / "d" / "artifact.json").mkdir(parents=True)
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "artifact.json").symlink_to("artifact.json")  # a link to itself
    rows = rows_of(artifacts_in(tmp_path))
    assert [(row["name"], row["error"] is None) for row in rows] == [
        ("b", True),
        ("a", False),
        ("c", False),
        ("d", False),
        ("e", False),
    ]
    print_table(rows)


def test_index_that_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(FerError, match="cannot be read as an index"):
        read_rows(tmp_path)
