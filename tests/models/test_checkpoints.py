"""Checkpoints: round trips, and files from untrusted sources."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from fercli.artifacts import input_of
from fercli.artifacts.building import build
from fercli.errors import DataError
from fercli.models.checkpoints import (
    CheckpointMetadata,
    checkpoint_folder,
    load_checkpoint,
    save_checkpoint,
)
from fercli.models.preprocessing import Preprocessing
from fercli.models.registry import create_model, find_model
from fercli.models.soundness import check_weights

EMOTIONS = ["happy", "angry", "contempt"]
PREPROCESSING = Preprocessing.of(find_model("quick"), 32)


def metadata(**fields: Any) -> CheckpointMetadata:
    return CheckpointMetadata(
        **{"architecture": "quick", "emotions": EMOTIONS, "preprocessing": PREPROCESSING, "epoch": 4, **fields}
    )


def weights(classes: int = 3, seed: int = 0) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return create_model("quick", classes).state_dict()


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "checkpoint", weights(), metadata(), "train")
    return tmp_path / "checkpoint"


def change_metadata(checkpoint: Path, **fields: Any) -> None:
    file = checkpoint / "model.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **fields}))


# --- round trips ---


def test_round_trip(checkpoint: Path) -> None:
    found = load_checkpoint(checkpoint)
    assert found.path == checkpoint
    assert found.metadata == metadata()
    assert not found.model.training
    state = weights()
    assert all(torch.equal(state[name], tensor) for name, tensor in found.model.state_dict().items())
    assert found.model(torch.zeros(2, 1, 32, 32)).shape == (2, 3)


def test_digest_covers_weights_and_metadata(tmp_path: Path) -> None:
    digests = [
        save_checkpoint(tmp_path / str(i), weights(seed=seed), metadata(emotions=emotions), "train")
        for i, (seed, emotions) in enumerate([(0, EMOTIONS), (0, EMOTIONS), (1, EMOTIONS), (0, EMOTIONS[::-1])])
    ]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3
    assert load_checkpoint(tmp_path / "0").digest == digests[0]
    assert json.loads((tmp_path / "0" / "artifact.json").read_text())["digest"] == digests[0]


def test_saving_again_replaces_files(checkpoint: Path) -> None:
    save_checkpoint(checkpoint, weights(seed=9), metadata(epoch=5), "train")
    assert load_checkpoint(checkpoint).metadata.epoch == 5
    assert sorted(p.name for p in checkpoint.iterdir()) == ["artifact.json", "model.json", "model.safetensors"]


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_files_have_default_mode(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        save_checkpoint(tmp_path / "checkpoint", weights(), metadata(), "train")
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "checkpoint").iterdir()} == {0o666 & ~mask}


def test_inputs_with_undecodable_names_are_in_the_manifest(tmp_path: Path) -> None:
    pack = input_of("pack", Path(os.fsdecode(b"p\xff")), "pack", "1")
    save_checkpoint(tmp_path / "checkpoint", weights(), metadata(), "train", [pack])
    manifest = json.loads((tmp_path / "checkpoint" / "artifact.json").read_text("utf-8"))
    assert manifest["inputs"][0]["path"].endswith("p\\xff")


def test_reduced_is_written_as_yes_or_no(tmp_path: Path) -> None:
    state = create_model("quick", 3, reduced=True).state_dict()
    save_checkpoint(tmp_path / "checkpoint", state, metadata(options={"reduced": True}), "train")
    for name in ("model.json", "artifact.json"):
        assert json.loads((tmp_path / "checkpoint" / name).read_text())["options"] == {"reduced": "yes"}
    assert load_checkpoint(tmp_path / "checkpoint").metadata.options == {"reduced": True}


def test_run_loads_its_best_checkpoint(tmp_path: Path) -> None:
    with build(tmp_path / "run", "run", "train", options={}, inputs=[]) as builder:
        save_checkpoint(builder.folder / "best", weights(seed=1), metadata(epoch=2), "train")
        save_checkpoint(builder.folder / "last", weights(seed=2), metadata(epoch=9), "train")
        builder.finish(digest="0")
    found = load_checkpoint(tmp_path / "run")
    assert found.path == tmp_path / "run" / "best"
    assert found.metadata.epoch == 2
    assert load_checkpoint(tmp_path / "run" / "last").metadata.epoch == 9


# --- other inputs ---


def test_other_paths_are_rejected(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such path"):
        load_checkpoint(tmp_path / "nothing")
    with pytest.raises(DataError, match=r"is a file; a checkpoint is a folder .* fer train --weights FILE"):
        checkpoint_folder(checkpoint / "model.safetensors")
    with build(tmp_path / "pack", "pack", "pack", options={}, inputs=[]) as builder:
        builder.finish(digest="0")
    with pytest.raises(DataError, match="is a pack; expected a checkpoint or run"):
        load_checkpoint(tmp_path / "pack")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="not a fercli checkpoint or run"):
        load_checkpoint(tmp_path / "empty")


@pytest.mark.parametrize("name", ["model.safetensors", "model.json"])
def test_missing_files_are_named(checkpoint: Path, name: str) -> None:
    (checkpoint / name).unlink()
    with pytest.raises(DataError, match=name.replace(".", r"\.")):
        load_checkpoint(checkpoint)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"architecture": "resnet81"}, "no model 'resnet81'"),
        ({"architecture": 5}, "not valid checkpoint metadata"),
        ({"emotions": "happy"}, "not valid"),
        ({"emotions": []}, "not valid"),
        ({"emotions": ["happy", "happy", "angry"]}, "not valid"),
        ({"emotions": [*EMOTIONS, "sad"]}, r"classifier\.weight is \(3, \d+\), not \(4, "),
        ({"options": {"attention_at": "layer1"}}, "model quick has no option 'attention-at'"),
        ({"options": {"classes": "9"}}, "model quick has no option 'classes'"),
        ({"options": {"name": "resnet18"}}, "model quick has no option 'name'"),
        ({"options": {"reduced": "maybe"}}, "no reduced 'maybe'; there are no, yes"),
        ({"options": {"reduced": []}}, "not valid"),
        ({"options": {"attention": True}}, "no attention 'True'"),
        ({"preprocessing": {"input_size": 32, "mean": [0.5], "std": [0.0]}}, "not valid"),
        ({"preprocessing": {"input_size": 10**9, "mean": [0.5], "std": [0.2]}}, "not valid"),
        ({"preprocessing": {"input_size": 32, "mean": [0.5] * 3, "std": [0.2] * 3}}, "quick expects 1 channels, not 3"),
    ],
)
def test_wrong_metadata_is_rejected(checkpoint: Path, fields: dict[str, Any], message: str) -> None:
    change_metadata(checkpoint, **fields)
    with pytest.raises(DataError, match=r"model\.(json|safetensors): .*" + message):
        load_checkpoint(checkpoint)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'"x"', b"\xff\xfe", b"null"])
def test_broken_metadata_is_rejected(checkpoint: Path, text: bytes) -> None:
    (checkpoint / "model.json").write_bytes(text)
    with pytest.raises(DataError, match=r"model\.json: not valid checkpoint metadata"):
        load_checkpoint(checkpoint)


def test_weights_of_another_architecture_are_rejected(checkpoint: Path) -> None:
    save_file({"conv1.weight": torch.zeros(3, 3), "conv1.bias": torch.zeros(3)}, checkpoint / "model.safetensors")
    with pytest.raises(
        DataError, match=r"not the weights of quick \(\d+ missing, such as stem.*2 unknown, such as conv1"
    ):
        load_checkpoint(checkpoint)


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_truncated_weights_are_rejected(checkpoint: Path, keep: int) -> None:
    file = checkpoint / "model.safetensors"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"model\.safetensors: not a valid safetensors file"):
        load_checkpoint(checkpoint)


# --- invalid weights ---


def put(value: float) -> Any:
    return lambda tensor: tensor.index_put_((torch.tensor(0),), torch.tensor(value))


WRONG: dict[str, tuple[str, Any, str]] = {
    "NaN": ("classifier.weight", put(float("nan")), "contains NaN"),
    "infinite": ("classifier.bias", put(float("-inf")), "contains infinite values"),
    "NaN in a mean": ("stem.1.running_mean", put(float("nan")), "contains NaN"),
    "variance below zero": ("stem.1.running_var", put(-1e-3), "contains negative variances"),
    "complex": ("classifier.weight", lambda t: t.to(torch.complex64), "is complex"),
    "whole numbers": ("classifier.weight", lambda t: t.to(torch.int8), "is int8, not float32"),
    "no count": ("stem.1.num_batches_tracked", lambda t: t + float("nan"), "contains NaN"),
    "too large": ("classifier.bias", lambda t: t.double() + 1e300, "contains infinite values"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_invalid_weights_are_rejected(checkpoint: Path, kind: str) -> None:
    name, break_it, why = WRONG[kind]
    state = weights()
    state[name] = break_it(state[name].clone())
    save_file(state, checkpoint / "model.safetensors")
    with pytest.raises(DataError, match=rf"model\.safetensors: invalid weights: {re.escape(name)} {why}"):
        load_checkpoint(checkpoint)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_accepted(checkpoint: Path, dtype: torch.dtype) -> None:
    state = {name: t.to(dtype) if t.is_floating_point() else t for name, t in weights().items()}
    save_file(state, checkpoint / "model.safetensors")
    assert next(load_checkpoint(checkpoint).model.parameters()).dtype == torch.float32


def test_file_without_tensors_is_rejected(checkpoint: Path) -> None:
    save_file({}, checkpoint / "model.safetensors")
    with pytest.raises(DataError, match=r"model\.safetensors: contains no weights"):
        load_checkpoint(checkpoint)


def test_sparse_weights_are_rejected() -> None:
    own = {"a": torch.eye(3)}
    with pytest.raises(DataError, match="a is not a plain tensor"):
        check_weights({"a": torch.eye(3).to_sparse()}, own, "x.pt")
    with pytest.raises(DataError, match=r"x\.pt: contains no weights"):
        check_weights({}, own, "x.pt")
    check_weights({"a": torch.eye(3), "another's": torch.full((2,), float("nan"))}, own, "x.pt")
