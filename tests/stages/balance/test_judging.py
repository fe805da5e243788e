"""Judging generated images by a checkpoint: agreement, Fréchet distance and its reference."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import fercli
from fercli.artifacts import Artifact, open_artifact
from fercli.datasets.index import Row, read_index
from fercli.errors import DataError
from fercli.images import encode_png, pixel_digest, read_image
from fercli.metrics.frechet import frechet_distance
from fercli.metrics.intervals import wilson_interval
from fercli.models.checkpoints import load_checkpoint
from fercli.models.features import predict_with_features
from fercli.stages.balance.context import BalanceContext
from fercli.stages.balance.methods import registry as methods
from fercli.stages.balance.methods.registry import Method
from tests.helpers.cli import CliResult
from tests.helpers.datasets import encoded, face, make_dataset
from tests.helpers.models import make_run
from tests.helpers.packs import make_pack

EMOTIONS = ["happy", "sad"]


def fill(context: BalanceContext) -> list[Row]:
    """A method that creates the planned images."""
    rows = []
    for split, emotion, need in context.plan.classes():
        for k in range(need.generate):
            path, pixels = f"{split}/{emotion}/generated-{k}.png", face(1000 + 50 * len(emotion) + k, 16)
            (context.builder.folder / path).write_bytes(encode_png(pixels))
            rows.append(Row(path, split, emotion, sha256=pixel_digest(pixels), origin="generated"))
    return rows


@pytest.fixture(autouse=True)
def _test_method(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fercli.stages.balance.stage.balance_figure", lambda plan, title, **_: encoded(face(0)))
    monkeypatch.setitem(methods.METHODS, "drawn", Method("drawn", "for tests", "generate", __name__))


@pytest.fixture
def run(tmp_path: Path) -> Artifact:
    return make_run(tmp_path / "run", make_pack(tmp_path / "pack", emotions=EMOTIONS), EMOTIONS)


@pytest.fixture
def faces(tmp_path: Path) -> Artifact:
    images = {f"train/{e}/{k}.png": face(100 * len(e) + k, 16) for e in EMOTIONS for k in range(12)}
    images |= {f"validation/{e}/{k}.png": face(77 * len(e) + k, 16) for e in EMOTIONS for k in range(5)}
    return make_dataset(tmp_path / "faces", images)


OPTIONS: dict[str, Any] = {"method": "drawn", "policy": 30, "device": "cpu"}


@pytest.mark.slow
def test_judgement_matches_the_checkpoints_predictions(faces: Artifact, run: Artifact, tmp_path: Path) -> None:
    done = fercli.balance(faces.path, tmp_path / "out", judge=run.path, **OPTIONS)
    judgement = json.loads((done.path / "judgement.json").read_text())
    assert judgement == done.summary["judgement"]
    checkpoint = load_checkpoint(run.path)
    rows = read_index(done)

    def predict(split: str, emotion: str, origin: str) -> tuple[np.ndarray, np.ndarray]:
        selected = [r for r in rows if (r.split, r.emotion, r.origin) == (split, emotion, origin)]
        images = np.stack([read_image(done.path / row.path) for row in selected])
        chances, features = predict_with_features(checkpoint, images, device=torch.device("cpu"))
        return chances.argmax(1), features

    total_agreed = 0
    for label, emotion in enumerate(EMOTIONS):
        one = judgement["classes"][emotion]
        predicted, features = predict("train", emotion, "generated")
        _, real = predict("train", emotion, "real")
        agreed = int((predicted == label).sum())
        total_agreed += agreed
        assert (one["generated"]["agreed"], one["generated"]["n"]) == (agreed, 18)
        assert one["generated"]["interval"] == pytest.approx(list(wilson_interval(agreed, 18)))
        assert one["validation"]["n"] == 5
        assert one["frechet"]["distance"] == pytest.approx(frechet_distance(features, real), rel=1e-4)
        order = np.random.default_rng([0, 12]).permutation(12)  # at most half of the 12
        of_real = frechet_distance(real[order[:6]], real[order[6:]])
        assert one["frechet"]["of_real"] == pytest.approx(of_real, rel=1e-4)
        assert one["frechet"]["few"] is True
        assert (one["frechet"]["generated"], one["frechet"]["real"]) == (18, 12)
    assert (judgement["agreement"]["agreed"], judgement["agreement"]["n"]) == (total_agreed, 36)
    assert read_image(done.path / "generated.png").shape[1] > 1000
    assert [i.name for i in done.manifest.inputs] == ["dataset", "judge"]


@pytest.mark.slow
def test_output_fits_80_columns(
    fer: Callable[..., CliResult], faces: Artifact, run: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    result = fer("balance", faces.path, tmp_path / "out", "--method", "drawn", "--policy", 30, "--judge", run.path)
    assert result.code == 0
    *lines, last = result.out.splitlines()
    assert last == f"dataset {tmp_path / 'out'}"
    text = "\n".join(line for line in lines if str(run.path) not in line)
    assert max(map(len, text.splitlines())) <= 80
    assert "95 % interval" in text
    assert "* fewer images than features: a rough estimate" in text
    assert "from fewer images than features" in result.err


@pytest.mark.slow
def test_images_of_an_earlier_call_are_judged(faces: Artifact, run: Artifact, tmp_path: Path) -> None:
    once = fercli.balance(faces.path, tmp_path / "once", **OPTIONS)
    judged = fercli.balance(once.path, tmp_path / "judged", judge=run.path, policy=1, device="cpu")
    assert judged.summary["judgement"]["agreement"]["n"] == 36
    assert (judged.path / "train/sad/0.png").stat().st_ino == (faces.path / "train/sad/0.png").stat().st_ino
    other = make_run(tmp_path / "other", open_artifact(tmp_path / "pack"), EMOTIONS, seed=1)
    assert not fercli.balance(once.path, tmp_path / "again", judge=other.path, policy=1, device="cpu").up_to_date


def test_no_judgement_without_generated_images(faces: Artifact, run: Artifact, tmp_path: Path) -> None:
    done = fercli.balance(faces.path, tmp_path / "out", judge=run.path, policy=13, device="cpu")
    assert "judgement" not in done.summary
    assert not (done.path / "judgement.json").exists()


def test_unsuitable_judge_fails_before_generation(
    faces: Artifact, run: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    monkeypatch.setattr(f"{__name__}.fill", lambda context: calls.append(1) or [])
    with pytest.raises(DataError, match="no such path"):
        fercli.balance(faces.path, tmp_path / "out", judge=tmp_path / "none", **OPTIONS)
    angry = make_run(tmp_path / "angry", make_pack(tmp_path / "p", emotions=["angry", "sad"]), ["angry", "sad"])
    with pytest.raises(DataError, match="does not know happy, which is generated; it knows angry, sad"):
        fercli.balance(faces.path, tmp_path / "out", judge=angry.path, **OPTIONS)
    weights = run.path / "best" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:50])
    with pytest.raises(DataError, match="not a valid safetensors file"):
        fercli.balance(faces.path, tmp_path / "out", judge=run.path, **OPTIONS)
    assert not calls
    assert not (tmp_path / "out").exists()
