"""Predictions by cached features are those of the whole model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from fercli.evaluation.cached import predict_cached
from fercli.evaluation.predicting import predict_images
from fercli.models.checkpoints import load_checkpoint
from tests.helpers.models import make_run
from tests.helpers.packs import draw_faces, make_pack

CPU = torch.device("cpu")


@pytest.mark.parametrize("model", ["quick", "probe/test_vit"])
def test_predictions_are_those_of_the_whole_model(model: str, tmp_path: Path) -> None:
    pack = make_pack(tmp_path / "pack")
    run = make_run(tmp_path / "run", pack, model=model, side=32)
    checkpoint = load_checkpoint(run.path)
    faces = draw_faces(np.arange(9) % 7, seed=4)
    expected = predict_images(checkpoint, faces, device=CPU)
    done: list[int] = []
    np.testing.assert_allclose(predict_cached(checkpoint, faces, device=CPU, advance=done.append), expected, atol=1e-5)
    assert sum(done) == 9
    assert np.ptp(expected, 0).max() > 1e-3
