"""Lineage: back to the source, with changed and missing inputs."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from fercli.artifacts import Artifact, Input, artifact_input, input_of, open_artifact
from fercli.artifacts.building import build
from fercli.artifacts.digests import digest_file, digest_json
from fercli.artifacts.lineage import ancestors


def make(out: Path, kind: str, inputs: list[Input], digest: str = "") -> Artifact:
    with build(out, kind, "test", options={}, inputs=inputs) as builder:
        builder.finish(digest=digest or f"digest of {out.name}")
    return builder.artifact


@pytest.fixture
def chain(tmp_path: Path) -> Artifact:
    """raw -> data -> cleaned -> pack; (run, pack) -> evaluation."""
    data = make(tmp_path / "data", "dataset", [input_of("source", tmp_path / "fer2013.csv", "raw", "0")])
    cleaned = make(tmp_path / "cleaned", "dataset", [artifact_input("dataset", data)])
    pack = make(tmp_path / "pack", "pack", [artifact_input("dataset", cleaned)])
    run = make(tmp_path / "run", "run", [artifact_input("pack", pack)])
    return make(tmp_path / "evaluation", "evaluation", [artifact_input("run", run), artifact_input("pack", pack)])


def summary_of(artifact: Artifact) -> list[tuple[int, str, str]]:
    return [(a.depth, a.name, a.state) for a in ancestors(artifact)]


COMPLETE = [
    (1, "run", "there"),
    (2, "pack", "there"),
    (3, "cleaned", "there"),
    (4, "data", "there"),
    (5, "fer2013.csv", "raw"),
    (1, "pack", "there"),
]


def test_lineage_back_to_the_source(chain: Artifact) -> None:
    assert summary_of(chain) == COMPLETE
    kinds = ["run", "pack", "dataset", "dataset", None, "pack"]
    assert [a.manifest.kind if a.manifest else None for a in ancestors(chain)] == kinds
    assert [a.repeated for a in ancestors(chain)] == [False] * 5 + [True]


def test_unchanged_dataset_does_not_end_the_lineage(tmp_path: Path) -> None:
    source = [input_of("source", tmp_path / "photos", "raw", "0")]
    faces = make(tmp_path / "faces", "dataset", source, digest="same")
    cleaned = make(tmp_path / "cleaned", "dataset", [artifact_input("dataset", faces)], digest="same")
    balanced = make(tmp_path / "balanced", "dataset", [artifact_input("dataset", cleaned)], digest="same")
    pack = make(tmp_path / "pack", "pack", [artifact_input("dataset", balanced)])
    assert summary_of(pack) == [
        (1, "balanced", "there"),
        (2, "cleaned", "there"),
        (3, "faces", "there"),
        (4, "photos", "raw"),
    ]


def test_every_member_leads_to_its_pack(chain: Artifact, tmp_path: Path) -> None:
    pack = open_artifact(tmp_path / "pack")
    for name in ("run-1", "run-2"):
        (tmp_path / name).mkdir()
        make(tmp_path / name / "best", "checkpoint", [artifact_input("pack", pack)])
    last = make(tmp_path / "run-2" / "snapshot-010", "checkpoint", [artifact_input("pack", pack)])
    members = [open_artifact(tmp_path / "run-1" / "best"), open_artifact(tmp_path / "run-2" / "best"), last]
    ensemble = make(tmp_path / "ensemble", "evaluation", [artifact_input("checkpoint", one) for one in members])
    found = [(a.depth, a.name, a.repeated) for a in ancestors(ensemble)]
    assert found == [
        (1, "run-1", False),
        (2, "pack", False),
        (3, "cleaned", False),
        (4, "data", False),
        (5, "fer2013.csv", False),
        (1, "run-2", False),
        (2, "pack", True),
        (1, "run-2/snapshot-010", False),
        (2, "pack", True),
    ]


def test_weights_lead_to_their_run_and_prompts_to_their_plan(chain: Artifact, tmp_path: Path) -> None:
    pack = open_artifact(tmp_path / "pack")
    best = tmp_path / "before" / "best"
    best.parent.mkdir()
    make(best, "checkpoint", [artifact_input("pack", pack)])
    weights, prompts = best / "model.safetensors", tmp_path / "plan" / "prompts.jsonl"
    make(prompts.parent, "plan", [])
    weights.write_text("weights")
    prompts.write_text("prompts")
    foreign = tmp_path / "foreign.pt"
    foreign.write_text("weights")
    known = digest_json([digest_file(weights), []])  # combined with the checkpoint's emotions, here none
    inputs = [
        input_of("weights", weights, "weights", known),
        input_of("prompts", prompts, "prompts", digest_file(prompts)),
        input_of("detector", foreign, "weights", digest_file(foreign)),
        input_of("judge", best, "checkpoint", "digest of best"),
        input_of("generator", tmp_path / "diffusion", "generator", "revision 1"),
    ]
    artifact = make(tmp_path / "made", "dataset", inputs)
    found = [(a.depth, a.kind, a.name, a.role, a.state) for a in ancestors(artifact)]
    assert found == [
        (1, "checkpoint", "before", "weights", "there"),
        (2, "pack", "pack", "", "there"),
        (3, "dataset", "cleaned", "", "there"),
        (4, "dataset", "data", "", "there"),
        (5, "raw", "fer2013.csv", "", "raw"),
        (1, "plan", "plan", "", "there"),
        (1, "weights", "foreign.pt", "detector", "raw"),
        (1, "checkpoint", "before", "judge", "there"),
        (2, "pack", "pack", "", "there"),
        (1, "generator", "diffusion", "", "raw"),
    ]
    weights.write_text("others")
    prompts.write_text("edited")
    assert [a.state for a in ancestors(artifact) if a.depth == 1] == ["changed", "changed", "raw", "there", "raw"]
    shutil.rmtree(best.parent)
    assert next((a.name, a.state) for a in ancestors(artifact)) == ("before", "gone")


def test_artifacts_can_be_moved_together(chain: Artifact, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for name in ("data", "cleaned", "pack", "run", "evaluation"):
        shutil.move(tmp_path / name, moved / name)
    found = ancestors(open_artifact(moved / "evaluation"))
    assert summary_of(open_artifact(moved / "evaluation")) == COMPLETE
    assert found[0].path == moved / "run"


def test_missing_or_changed_input_ends_the_lineage(chain: Artifact, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "data")
    assert summary_of(chain)[-2] == (4, "data", "gone")
    file = tmp_path / "pack" / "artifact.json"
    manifest: dict[str, Any] = json.loads(file.read_text())
    file.write_text(json.dumps({**manifest, "digest": "another"}))
    assert summary_of(chain) == [(1, "run", "there"), (2, "pack", "changed"), (1, "pack", "changed")]
    file.write_text("{")
    assert summary_of(chain)[-1] == (1, "pack", "gone")


def test_cyclic_lineage_ends(chain: Artifact, tmp_path: Path) -> None:
    file = tmp_path / "data" / "artifact.json"
    manifest = json.loads(file.read_text())
    manifest["inputs"] = [{"name": "run", "path": "../run", "kind": "run", "digest": "digest of run"}]
    file.write_text(json.dumps(manifest))
    assert summary_of(chain) == [*COMPLETE[:4], (5, "run", "there"), COMPLETE[-1]]


def test_artifact_without_inputs(tmp_path: Path) -> None:
    assert ancestors(make(tmp_path / "alone", "photographs", [])) == []
