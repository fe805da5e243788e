"""Pretrained weights: loading what fits, matching emotions by name, and reporting the rest."""

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
    load_matching,
    load_pretrained,
    order_of,
    weights_digest,
    weights_file,
)
from fercli.models.registry import create_model, emotion_axes, find_model

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


def test_classifier_of_other_shape_is_not_loaded() -> None:
    model = fresh()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    given = {**weights(3, seed=5), "unknown.weight": torch.zeros(1)}
    report = load_matching(model, given)
    assert report.new == ["classifier.weight", "classifier.bias"]
    assert report.unused == ["classifier.weight", "classifier.bias", "unknown.weight"]
    assert sorted([*report.loaded, *report.new]) == sorted(before)
    after = model.state_dict()
    assert all(torch.equal(after[name], given[name]) for name in report.loaded)
    assert all(torch.equal(after[name], before[name]) for name in report.new)


def test_unrelated_weights_load_nothing() -> None:
    model = fresh()
    report = load_matching(model, {"a": torch.zeros(1), "classifier.bias": torch.zeros(3)})
    assert report.loaded == []
    assert report.new == list(model.state_dict())


def test_checkpoint_with_the_same_emotions_is_loaded_completely(tmp_path: Path) -> None:
    model = fresh()
    report = load_pretrained(model, SPEC, checkpoint(tmp_path / "c", list(EMOTIONS)), EMOTIONS, OPTIONS)
    assert (report.by_emotion, report.new, report.unused) == ([], [], [])
    given = weights(seed=5)
    assert all(torch.equal(tensor, given[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize(
    "known", [[*EMOTIONS[::-1]], [*EMOTIONS, "contempt"], ["contempt", "happy", "sad"]], ids=["order", "more", "fewer"]
)
def test_emotions_are_matched_by_name(tmp_path: Path, known: list[str]) -> None:
    model = fresh()
    before = model.classifier.weight.detach().clone(), model.classifier.bias.detach().clone()
    report = load_pretrained(model, SPEC, checkpoint(tmp_path / "c", known), EMOTIONS, OPTIONS)
    assert report.by_emotion == ["classifier.weight", "classifier.bias"]
    assert report.emotions == [emotion for emotion in EMOTIONS if emotion in known]
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
    assert "classifier.weight, classifier.bias by emotion (" in str(report)


def test_metadata_next_to_the_weights_gives_the_order(tmp_path: Path) -> None:
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
    checkpoint(tmp_path / "c", list(EMOTIONS))  # the same tensors with another order of emotions
    assert weights_digest(file) not in digests
    assert digests[1] == digest_file(alone)


def test_classifier_without_shared_emotions_is_not_loaded(tmp_path: Path) -> None:
    model = fresh()
    before = model.classifier.weight.detach().clone()
    report = load_pretrained(model, SPEC, checkpoint(tmp_path / "c", ["contempt", "bored"]), EMOTIONS, OPTIONS)
    assert report.new == ["classifier.weight", "classifier.bias"]
    assert torch.equal(model.classifier.weight, before)


def test_files_are_loaded_by_name_and_shape(tmp_path: Path) -> None:
    torch.save({"state_dict": weights(seed=5)}, tmp_path / "x.pth")
    save_file(weights(seed=5), tmp_path / "x.safetensors")
    for file in ("x.pth", "x.safetensors"):
        model = fresh()
        report = load_pretrained(model, SPEC, str(tmp_path / file), EMOTIONS, OPTIONS)
        assert report.new == []
        assert torch.equal(model.classifier.weight, weights(seed=5)["classifier.weight"])


def test_wrong_files_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing.pt: no such weights file"):
        weights_file(str(tmp_path / "nothing.pt"))
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors")
    with pytest.raises(DataError, match=r"--weights .*a.safetensors: no tensor fits quick"):
        load_pretrained(fresh(), SPEC, str(tmp_path / "a.safetensors"), EMOTIONS, OPTIONS)


def test_unknown_order_is_reported(tmp_path: Path) -> None:
    save_file(weights(seed=5), tmp_path / "x.safetensors")
    report = load_pretrained(fresh(), SPEC, str(tmp_path / "x.safetensors"), EMOTIONS, OPTIONS)
    assert "the order of its emotions is unknown and assumed to be the model's (angry, disgust, fear, " in str(report)
    backbone = {name: tensor for name, tensor in weights(seed=5).items() if not name.startswith("classifier.")}
    save_file(backbone, tmp_path / "backbone.safetensors")
    assert "order" not in str(load_pretrained(fresh(), SPEC, str(tmp_path / "backbone.safetensors"), EMOTIONS, OPTIONS))


def test_given_order_is_used(tmp_path: Path) -> None:
    save_file(weights(seed=5), tmp_path / "x.safetensors")
    model = fresh()
    report = load_pretrained(model, SPEC, str(tmp_path / "x.safetensors"), EMOTIONS, OPTIONS, EMOTIONS[::-1])
    assert report.by_emotion == ["classifier.weight", "classifier.bias"]
    assert torch.equal(model.classifier.weight, weights(seed=5)["classifier.weight"].flip(0))
    assert "order of its emotions, as given: neutral, surprise, sad, " in str(report)


def test_given_order_overrides_the_authors(tmp_path: Path) -> None:
    spec = find_model("resemotenet")
    given = {"res_block1.conv1.weight": torch.zeros(1)}
    assert order_of(spec, tmp_path / "x.pth", given, 7).emotions == spec.authors_emotions
    assert order_of(spec, tmp_path / "x.pth", given, 7, EMOTIONS).emotions == EMOTIONS
    assert order_of(spec, tmp_path / "x.pth", given, 8).emotions is None  # their classifier has seven
    assert order_of(spec, tmp_path / "x.pth", {"blocks.0.conv1.weight": torch.zeros(1)}, 7).emotions is None


def test_inconsistent_order_is_rejected(tmp_path: Path) -> None:
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


def test_invalid_weights_are_rejected(tmp_path: Path) -> None:
    broken = weights(seed=5)
    broken["stem.0.weight"][0] = float("nan")
    save_file(broken, tmp_path / "x.safetensors")
    with pytest.raises(DataError, match=r"x\.safetensors: invalid weights: stem\.0\.weight contains NaN"):
        load_pretrained(fresh(), SPEC, str(tmp_path / "x.safetensors"), EMOTIONS, OPTIONS)


def test_emotion_axes() -> None:
    assert emotion_axes(SPEC, OPTIONS) == {"classifier.weight": 0, "classifier.bias": 0}


def test_log_line_is_short() -> None:
    model = fresh()
    line = str(load_matching(model, {"stem.0.weight": model.state_dict()["stem.0.weight"], "more": torch.zeros(1)}))
    assert line.startswith("loaded 1 tensors; new: stem.1.weight, stem.1.bias, ")
    assert line.endswith(" more; not used: 1")
