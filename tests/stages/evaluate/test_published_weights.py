"""`fer evaluate --weights FILE`: published weights are evaluated like a checkpoint of a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from fercli.artifacts import Artifact, open_artifact
from fercli.artifacts.digests import digest_file
from fercli.emotions import EMOTIONS
from fercli.errors import UsageError
from fercli.stages.evaluate.config import EvaluateConfig
from tests.helpers.cli import CliResult
from tests.helpers.models import make_run
from tests.helpers.packs import make_pack

Fer = Callable[..., CliResult]
SIZE = ("--model", "quick", "--input-size", "16", "--device", "cpu")


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return make_pack(tmp_path_factory.mktemp("pack") / "pack")


@pytest.fixture(scope="module")
def run(pack: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return make_run(tmp_path_factory.mktemp("run") / "run", pack)


def write_reordered(run: Artifact, file: Path, order: list[str]) -> Path:
    """Write the weights of a run without metadata, with the classifier rows in another order."""
    state = load_file(run.path / "best" / "model.safetensors")
    rows = torch.tensor([EMOTIONS.index(emotion) for emotion in order])
    for name in ("classifier.weight", "classifier.bias"):
        state[name] = state[name][rows]
    save_file(state, file)
    return file


@pytest.mark.slow
def test_metrics_equal_those_of_the_run(run: Artifact, pack: Artifact, tmp_path: Path, fer: Fer) -> None:
    order = ["happy", "surprise", "sad", "angry", "disgust", "fear", "neutral"]
    file = write_reordered(run, tmp_path / "theirs.safetensors", order)
    assert fer("evaluate", run.path, pack.path, tmp_path / "own", "--device", "cpu").code == 0
    arguments = ("--weights", file, "--weights-emotions", "Happy,surprise,sad,anger,disgust,fear,neutral")
    result = fer("evaluate", *arguments, *SIZE, pack.path, tmp_path / "theirs")
    assert result.code == 0, result.err
    assert "order of its emotions, as given: happy, surprise, sad, angry" in result.err
    own, theirs = open_artifact(tmp_path / "own"), open_artifact(tmp_path / "theirs")
    assert theirs.summary.pop("selection") == "published weights, selection unknown"
    own.summary.pop("selection")
    assert theirs.summary == own.summary
    assert (theirs.path / "predictions.csv").read_bytes() == (own.path / "predictions.csv").read_bytes()
    weights = theirs.manifest.inputs[0]
    assert (weights.kind, weights.digest) == ("weights", digest_file(file))
    assert theirs.manifest.options["weights_emotions"] == ",".join(order)
    page = (theirs.path / "report.html").read_text()
    assert "published weights, selection unknown" in page
    assert digest_file(file)[:12] in page


def test_options_for_published_weights_do_not_change_the_key() -> None:
    assert EvaluateConfig.of(checkpoint="run").options() == {"split": "test", "tta": "none", "without_leaks": False}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": "w.pt"}, "weights: specify their architecture with --model"),
        ({"model": "quick"}, "model: requires --weights FILE"),
        ({"reduced": True}, "reduced: requires --weights FILE"),
        ({"weights_emotions": "happy,sad,fear,angry,disgust,surprise,neutral"}, "weights-emotions: requires"),
        ({"weights": "w.pt", "model": "quick", "without_leaks": True}, "without-leaks: the training images"),
        (
            {"weights": "w.pt", "model": "quick", "checkpoint": "a", "pack": "b", "out": "c"},
            "weights: replace the checkpoint",
        ),
        ({"weights": "w.pt", "model": "quick", "weights_emotions": "happy,sad"}, "expected 7 or 8 emotions"),
        ({"weights": "w.pt", "model": "quick", "weights_emotions": "joy,happy,sad,sad,sad,sad,fear"}, "occurs twice"),
        ({"weights": "w.pt", "model": "quick", "weights_emotions": "happy,sad,fun"}, "'fun' is not an emotion; use"),
    ],
)
def test_incompatible_options_are_rejected(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        EvaluateConfig.of(**options)


def test_pack_and_out_move_to_the_first_arguments(tmp_path: Path) -> None:
    found = EvaluateConfig.of(checkpoint="pack", pack="out", weights="w.pt", model="quick")
    assert (found.checkpoint, found.pack, found.out) == (None, Path("pack"), Path("out"))
    found = EvaluateConfig.of(pack="pack", out="out", weights="w.pt", model="quick")
    assert (found.checkpoint, found.pack, found.out) == (None, Path("pack"), Path("out"))
