"""Published weights as a checkpoint, with classifier rows in fercli's order."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from fercli.artifacts.digests import digest_file
from fercli.emotions import CONTEMPT, EMOTIONS
from fercli.errors import DataError, UsageError
from fercli.models.published import SELECTION, load_published
from fercli.models.registry import create_model


def publish(file: Path, classes: int = 7, model: str = "quick") -> tuple[Path, dict[str, torch.Tensor]]:
    torch.manual_seed(3)
    state = create_model(model, classes).state_dict()
    save_file(state, file)
    return file, state


def test_assumptions_are_reported(tmp_path: Path) -> None:
    file, state = publish(tmp_path / "x.safetensors")
    found, notes = load_published(file, "quick", {})
    assert (found.path, found.digest) == (file, digest_file(file))
    assert (found.metadata.emotions, found.metadata.selection, found.metadata.epoch) == (list(EMOTIONS), SELECTION, 0)
    assert notes[0].startswith("x.safetensors: the order of its emotions is unknown and assumed to be angry, disgust, ")
    assert all(torch.equal(tensor, state[name]) for name, tensor in found.model.state_dict().items())
    assert not found.model.training


def test_rows_follow_the_given_order(tmp_path: Path) -> None:
    file, state = publish(tmp_path / "x.safetensors", classes=8)
    order = [CONTEMPT, *EMOTIONS[::-1]]
    found, _ = load_published(file, "quick", {}, order=order, input_size=32)
    assert found.metadata.emotions == [*EMOTIONS, CONTEMPT]
    assert found.metadata.preprocessing.input_size == 32
    faces = torch.rand(3, 1, 32, 32)
    theirs = create_model("quick", 8)
    theirs.load_state_dict(state)
    with torch.inference_mode():
        ours, expected = found.model(faces), theirs.eval()(faces)
    torch.testing.assert_close(ours, expected[:, [order.index(emotion) for emotion in found.metadata.emotions]])


def test_only_num_batches_tracked_may_be_missing(tmp_path: Path) -> None:
    file, state = publish(tmp_path / "x.safetensors")
    save_file({name: tensor for name, tensor in state.items() if not name.endswith("tracked")}, file)
    assert load_published(file, "quick", {})[0].metadata.architecture == "quick"
    save_file({name: tensor for name, tensor in state.items() if name != "stem.0.weight"}, file)
    with pytest.raises(DataError, match=r"not the weights of quick \(1 missing, such as stem\.0\.weight\)"):
        load_published(file, "quick", {})
    save_file({**state, "more": torch.zeros(1)}, file)
    with pytest.raises(DataError, match=r"not the weights of quick \(1 unknown, such as more\)"):
        load_published(file, "quick", {})


def test_unsuitable_weights_are_rejected(tmp_path: Path) -> None:
    file, state = publish(tmp_path / "x.safetensors", classes=5)
    with pytest.raises(DataError, match="does not match quick with 5 classes"):
        load_published(file, "quick", {})
    with pytest.raises(UsageError, match=r"names 7 emotions, but the classifier in .* has 5"):
        load_published(file, "quick", {}, order=EMOTIONS)
    with pytest.raises(UsageError, match="is a folder; pass a run or a checkpoint as CHECKPOINT"):
        load_published(tmp_path, "quick", {})
    with pytest.raises(UsageError, match="no model 'quack'"):
        load_published(file, "quack", {})
    with pytest.raises(DataError, match="no such weights file"):
        load_published(tmp_path / "none.pt", "quick", {})
    file, state = publish(file)
    state["stem.1.running_var"][3] = -1
    save_file(state, file)
    with pytest.raises(DataError, match=r"stem\.1\.running_var contains negative variances"):
        load_published(file, "quick", {})
