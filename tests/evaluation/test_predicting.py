"""Prediction for evaluate and ensemble: emotions matched by name, gray and RGB faces, training images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from fercli.artifacts import Artifact
from fercli.errors import DataError
from fercli.evaluation.predicting import (
    match_emotions,
    predict_images,
    read_faces,
    training_digests,
    unseen_mask,
)
from fercli.models.checkpoints import load_checkpoint
from fercli.packs.file import read_split
from fercli.packs.opening import open_pack
from tests.helpers.models import make_run
from tests.helpers.packs import make_pack


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    folder = tmp_path_factory.mktemp("run")
    return make_run(folder / "run", make_pack(folder / "pack"))


def test_labels_are_matched_by_name(run: Artifact, tmp_path: Path) -> None:
    checkpoint = load_checkpoint(run.path)
    info = open_pack(make_pack(tmp_path / "pack", {"test": 3}, emotions=["neutral", "happy", "angry"]))
    assert match_emotions(checkpoint, info).tolist() == [6, 3, 0]
    unknown = open_pack(make_pack(tmp_path / "unknown", {"test": 3}, emotions=["contempt", "happy"]))
    with pytest.raises(
        DataError, match=r"run/best: does not know contempt, which the pack .*unknown contains; it knows angry"
    ):
        match_emotions(checkpoint, unknown)


@pytest.mark.parametrize("color", ["gray", "rgb"])
def test_predictions_and_progress_for_gray_and_rgb(color: str, run: Artifact, tmp_path: Path) -> None:
    info = open_pack(make_pack(tmp_path / "pack", {"test": 10, "train": 0}, color=color, side=20))
    done: list[int] = []
    found = predict_images(
        load_checkpoint(run.path),
        read_faces(info, "test").images,
        device=torch.device("cpu"),
        tta="none",
        batch_size=4,
        advance=done.append,
    )
    assert found.shape == (10, 7)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-5)
    assert done == [4, 4, 2]
    with pytest.raises(DataError, match="pack: the train split is empty"):
        read_faces(info, "train")


def test_non_finite_probabilities_are_rejected(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", make_pack(tmp_path / "pack"))
    checkpoint = load_checkpoint(run.path)
    with torch.no_grad():
        for parameter in checkpoint.model.parameters():
            parameter.fill_(3e38)  # finite, but sums of it are not
    with pytest.raises(DataError, match="run/best: its weights give NaN or infinite probabilities"):
        predict_images(checkpoint, np.full((2, 16, 16), 200, np.uint8), device=torch.device("cpu"))


def test_unseen_mask(run: Artifact, tmp_path: Path) -> None:
    faces = read_split(open_pack(make_pack(tmp_path / "pack")), "train")
    assert not unseen_mask(faces, [training_digests(load_checkpoint(run.path))]).any()
    assert unseen_mask(faces, []).all()
    lists = (faces.sha256[[0, 4]], faces.sha256[[4, 9]])
    assert np.flatnonzero(~unseen_mask(faces, lists)).tolist() == [0, 4, 9]
