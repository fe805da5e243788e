"""Lineage: back to the source, with what has changed or gone told apart."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from fercli.artifacts import Artifact, Input, artifact_input, input_of, open_artifact
from fercli.building import build
from fercli.lineage import ancestors


def make(out: Path, kind: str, inputs: list[Input], digest: str = "") -> Artifact:
    with build(out, kind, "test", options={}, inputs=inputs) as job:
        job.finish(digest=digest or f"digest of {out.name}")
    return job.artifact


@pytest.fixture
def chain(tmp_path: Path) -> Artifact:
    """raw -> data -> cleaned -> pack; (run, pack) -> evaluation."""
    data = make(tmp_path / "data", "dataset", [input_of("source", tmp_path / "fer2013.csv", "raw", "0")])
    cleaned = make(tmp_path / "cleaned", "dataset", [artifact_input("dataset", data)])
    pack = make(tmp_path / "pack", "pack", [artifact_input("dataset", cleaned)])
    run = make(tmp_path / "run", "run", [artifact_input("pack", pack)])
    return make(tmp_path / "evaluation", "evaluation", [artifact_input("run", run), artifact_input("pack", pack)])


def told(artifact: Artifact) -> list[tuple[int, str, str]]:
    return [(a.depth, a.path.name, a.state) for a in ancestors(artifact)]


WHOLE = [
    (1, "run", "there"),
    (2, "pack", "there"),
    (3, "cleaned", "there"),
    (4, "data", "there"),
    (5, "fer2013.csv", "raw"),
]


def test_back_to_the_source_each_once(chain: Artifact) -> None:
    assert told(chain) == WHOLE
    assert [a.manifest.kind if a.manifest else None for a in ancestors(chain)] == [
        "run",
        "pack",
        "dataset",
        "dataset",
        None,
    ]


def test_all_may_move_together(chain: Artifact, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for name in ("data", "cleaned", "pack", "run", "evaluation"):
        shutil.move(tmp_path / name, moved / name)
    found = ancestors(open_artifact(moved / "evaluation"))
    assert told(open_artifact(moved / "evaluation")) == WHOLE
    assert found[0].path == moved / "run"


def test_what_is_gone_or_changed_ends_the_line(chain: Artifact, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "data")
    assert told(chain)[-1] == (4, "data", "gone")
    file = tmp_path / "pack" / "artifact.json"
    manifest: dict[str, Any] = json.loads(file.read_text())
    file.write_text(json.dumps({**manifest, "digest": "another"}))
    assert told(chain) == [(1, "run", "there"), (2, "pack", "changed")]
    file.write_text("{")
    assert told(chain)[-1] == (2, "pack", "gone")


def test_a_line_that_loops_ends(chain: Artifact, tmp_path: Path) -> None:
    file = tmp_path / "data" / "artifact.json"
    manifest = json.loads(file.read_text())
    manifest["inputs"] = [{"name": "run", "path": "../run", "kind": "run", "digest": "digest of run"}]
    file.write_text(json.dumps(manifest))
    assert told(chain) == WHOLE[:4]


def test_an_artifact_without_inputs(tmp_path: Path) -> None:
    assert ancestors(make(tmp_path / "alone", "photographs", [])) == []
