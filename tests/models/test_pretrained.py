"""Weights to start from: what fits is taken, emotions by their names, and it is said what was not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from fercli.artifacts.digests import digest_file
from fercli.emotions import EMOTIONS
from fercli.errors import DataError, UsageError
from fercli.models.checkpoints import CheckpointMetadata, save_checkpoint
from fercli.models.preprocessing import Preprocessing
from fercli.models.pretrained import (
    emotion_axes,
    load_matching,
    load_pretrained,
    order_of,
    weights_digest,
    weights_file,
)
from fercli.models.registry import create_model, find_model

SPEC = find_model("quick")
OPTIONS = SPEC.check_options({})


def weights(classes: int = 7, seed: int = 0) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return create_model("quick", classes).state_dict()


def checkpoint(folder: Path, emotions: list[str]) -> str:
    metadata = CheckpointMetadata(architecture="quick", emotions=emotions, preprocessing=Preprocessing.of(SPEC))
    save_checkpoint(folder, weights(len(emotions), seed=5), metadata, "train")
    return str(folder)


def fresh() -> nn.Module:
    torch.manual_seed(1)
    return create_model("quick", 7)


def test_other_classes_without_names_leave_the_classifier_as_it_was() -> None:
    model = fresh()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    given = {**weights(3, seed=5), "unknown.weight": torch.zeros(1)}
    taken = load_matching(model, given)
    assert taken.new == ["classifier.weight", "classifier.bias"]
    assert taken.unused == ["classifier.weight", "classifier.bias", "unknown.weight"]
    assert sorted([*taken.loaded, *taken.new]) == sorted(before)
    after = model.state_dict()
    assert all(torch.equal(after[name], given[name]) for name in taken.loaded)
    assert all(torch.equal(after[name], before[name]) for name in taken.new)


def test_anothers_weights_give_nothing() -> None:
    model = fresh()
    taken = load_matching(model, {"a": torch.zeros(1), "classifier.bias": torch.zeros(3)})
    assert taken.loaded == []
    assert taken.new == list(model.state_dict())


def test_a_checkpoint_of_the_same_emotions_is_taken_whole(tmp_path: Path) -> None:
    model = fresh()
    taken = load_pretrained(model, SPEC, checkpoint(tmp_path / "c", list(EMOTIONS)), EMOTIONS, OPTIONS)
    assert (taken.by_emotion, taken.new, taken.unused) == ([], [], [])
    given = weights(seed=5)
    assert all(torch.equal(tensor, given[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize(
    "known", [[*EMOTIONS[::-1]], [*EMOTIONS, "contempt"], ["contempt", "happy", "sad"]], ids=["order", "more", "fewer"]
)
def test_emotions_travel_by_name(tmp_path: Path, known: list[str]) -> None:
    model = fresh()
    before = model.classifier.weight.detach().clone(), model.classifier.bias.detach().clone()
    taken = load_pretrained(model, SPEC, checkpoint(tmp_path / "c", known), EMOTIONS, OPTIONS)
    assert taken.by_emotion == ["classifier.weight", "classifier.bias"]
    assert taken.emotions == [emotion for emotion in EMOTIONS if emotion in known]
    given = weights(len(known), seed=5)
    for row, emotion in enumerate(EMOTIONS):
        weight, bias = (
            (given["classifier.weight"][known.index(emotion)], given["classifier.bias"][known.index(emotion)])
            if emotion in known
            else (before[0][row], before[1][row])
        )
        assert torch.equal(model.classifier.weight[row], weight)
        assert torch.equal(model.classifier.bias[row], bias)
    assert torch.equal(model.state_dict()["stem.0.weight"], given["stem.0.weight"])
    assert "classifier.weight, classifier.bias by emotion (" in str(taken)


def test_the_card_beside_a_checkpoints_file_counts(tmp_path: Path) -> None:
    known = [*EMOTIONS[::-1]]
    file = Path(checkpoint(tmp_path / "c", known)) / "model.safetensors"
    model = fresh()
    assert load_pretrained(model, SPEC, str(file), EMOTIONS, OPTIONS).by_emotion == [
        "classifier.weight",
        "classifier.bias",
    ]
    assert torch.equal(model.classifier.weight, weights(seed=5)["classifier.weight"].flip(0))
    alone = tmp_path / "alone.safetensors"
    shutil.copy(file, alone)
    digests = [weights_digest(file), weights_digest(alone)]
    checkpoint(tmp_path / "c", list(EMOTIONS))  # the same tensors, and the emotions in another order
    assert weights_digest(file) not in digests
    assert digests[1] == digest_file(alone)


def test_no_emotion_in_common_leaves_the_classifier_as_it_was(tmp_path: Path) -> None:
    model = fresh()
    before = model.classifier.weight.detach().clone()
    taken = load_pretrained(model, SPEC, checkpoint(tmp_path / "c", ["contempt", "bored"]), EMOTIONS, OPTIONS)
    assert taken.new == ["classifier.weight", "classifier.bias"]
    assert torch.equal(model.classifier.weight, before)


def test_files_are_taken_by_name_and_shape(tmp_path: Path) -> None:
    torch.save({"state_dict": weights(seed=5)}, tmp_path / "x.pth")
    save_file(weights(seed=5), tmp_path / "x.safetensors")
    for file in ("x.pth", "x.safetensors"):
        model = fresh()
        taken = load_pretrained(model, SPEC, str(tmp_path / file), EMOTIONS, OPTIONS)
        assert taken.new == []
        assert torch.equal(model.classifier.weight, weights(seed=5)["classifier.weight"])


def test_wrong_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing.pt: no such weights file"):
        weights_file(str(tmp_path / "nothing.pt"))
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors")
    with pytest.raises(DataError, match=r"--weights .*a.safetensors: no tensor fits quick"):
        load_pretrained(fresh(), SPEC, str(tmp_path / "a.safetensors"), EMOTIONS, OPTIONS)


def test_an_order_that_is_not_known_is_told(tmp_path: Path) -> None:
    save_file(weights(seed=5), tmp_path / "x.safetensors")
    taken = load_pretrained(fresh(), SPEC, str(tmp_path / "x.safetensors"), EMOTIONS, OPTIONS)
    assert "the order of its emotions is unknown and assumed to be the model's (angry, disgust, fear, " in str(taken)
    backbone = {name: tensor for name, tensor in weights(seed=5).items() if not name.startswith("classifier.")}
    save_file(backbone, tmp_path / "backbone.safetensors")
    assert "order" not in str(load_pretrained(fresh(), SPEC, str(tmp_path / "backbone.safetensors"), EMOTIONS, OPTIONS))


def test_an_order_that_is_said_is_taken(tmp_path: Path) -> None:
    save_file(weights(seed=5), tmp_path / "x.safetensors")
    model = fresh()
    taken = load_pretrained(model, SPEC, str(tmp_path / "x.safetensors"), EMOTIONS, OPTIONS, EMOTIONS[::-1])
    assert taken.by_emotion == ["classifier.weight", "classifier.bias"]
    assert torch.equal(model.classifier.weight, weights(seed=5)["classifier.weight"].flip(0))
    assert "order of its emotions, as said: neutral, surprise, sad, " in str(taken)


def test_a_said_order_goes_over_the_authors(tmp_path: Path) -> None:
    spec = find_model("resemotenet")
    given = {"res_block1.conv1.weight": torch.zeros(1)}
    assert order_of(spec, tmp_path / "x.pth", given, 7).emotions == spec.authors_emotions
    assert order_of(spec, tmp_path / "x.pth", given, 7, EMOTIONS).emotions == EMOTIONS
    assert order_of(spec, tmp_path / "x.pth", given, 8).emotions is None  # theirs has seven
    assert order_of(spec, tmp_path / "x.pth", {"blocks.0.conv1.weight": torch.zeros(1)}, 7).emotions is None


def test_an_order_that_cannot_be_is_refused(tmp_path: Path) -> None:
    save_file(weights(seed=5), tmp_path / "x.safetensors")
    with pytest.raises(
        UsageError, match=r"weights-emotions: names 8 emotions, but the classifier in .*x\.safetensors has"
    ):
        load_pretrained(fresh(), SPEC, str(tmp_path / "x.safetensors"), EMOTIONS, OPTIONS, [*EMOTIONS, "contempt"])
    known = checkpoint(tmp_path / "c", list(EMOTIONS))
    assert load_pretrained(fresh(), SPEC, known, EMOTIONS, OPTIONS, EMOTIONS).new == []
    with pytest.raises(
        UsageError, match=r"weights-emotions: the metadata of .* gives the order, angry, disgust, .*omit"
    ):
        load_pretrained(fresh(), SPEC, known, EMOTIONS, OPTIONS, EMOTIONS[::-1])


def test_weights_that_cannot_be_right_are_refused(tmp_path: Path) -> None:
    broken = weights(seed=5)
    broken["stem.0.weight"][0] = float("nan")
    save_file(broken, tmp_path / "x.safetensors")
    with pytest.raises(DataError, match=r"x\.safetensors: invalid weights: stem\.0\.weight contains NaN"):
        load_pretrained(fresh(), SPEC, str(tmp_path / "x.safetensors"), EMOTIONS, OPTIONS)


def test_axes_of_the_emotions() -> None:
    assert emotion_axes(SPEC, OPTIONS) == {"classifier.weight": 0, "classifier.bias": 0}


def test_the_line_for_people_is_short() -> None:
    model = fresh()
    line = str(load_matching(model, {"stem.0.weight": model.state_dict()["stem.0.weight"], "more": torch.zeros(1)}))
    assert line.startswith("loaded 1 tensors; new: stem.1.weight, stem.1.bias, ")
    assert line.endswith(" more; not used: 1")
