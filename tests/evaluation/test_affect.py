"""The annotations of evaluated faces, found by split and path."""

from pathlib import Path

import numpy as np

from fercli.evaluation.affect import AffectPredictions, annotated_affect
from fercli.evaluation.predicting import ALL, read_faces
from fercli.packs.file import PackSplit
from fercli.packs.opening import open_pack
from tests.helpers.packs import affect_of_labels, make_pack

NAN = float("nan")
COUNTS = {"train": 10, "validation": 5, "test": 3}


def test_annotations_follow_the_faces(tmp_path: Path) -> None:
    affect = {split: affect_of_labels(np.arange(COUNTS[split]) % 7) for split in ("train", "test")}
    info = open_pack(make_pack(tmp_path / "pack", COUNTS, affect=affect))
    faces = read_faces(info, ALL)
    expected = np.concatenate([affect["train"], np.full((5, 2), np.nan), affect["test"]])
    assert np.array_equal(annotated_affect(info, faces, list(COUNTS)), expected, equal_nan=True)
    kept = [16, 2, 12, 1]
    assert faces.splits is not None
    some = PackSplit(
        faces.images[kept], faces.labels[kept], [faces.paths[k] for k in kept], faces.sha256[kept],
        splits=[faces.splits[k] for k in kept],
    )  # fmt: skip
    assert np.array_equal(annotated_affect(info, some, list(COUNTS)), expected[kept], equal_nan=True)
    assert np.isnan(annotated_affect(info, read_faces(info, "validation"), ["validation"])).all()


def test_metrics_are_over_annotated_faces() -> None:
    predicted = np.array([[0.5, 0], [-0.5, 0.25], [1, 1]], np.float32)
    annotated = np.array([[0.5, 0], [-0.5, 0.5], [NAN, NAN]], np.float32)
    one = AffectPredictions(predicted, annotated)
    found = one.summary()
    assert found is not None
    assert found.n == 2
    assert found.valence.ccc == 1
    assert found.valence.rmse == 0
    assert found.arousal.rmse == np.sqrt(0.0625 / 2)
    assert found.mean_ccc == (1 + (found.arousal.ccc or 0)) / 2
    assert one.cells(1) == ["-0.500000", "0.250000", "-0.500000", "0.500000"]
    assert one.cells(2) == ["1.000000", "1.000000", "", ""]
    assert AffectPredictions(predicted, np.full((3, 2), np.nan, np.float32)).summary() is None


def test_undefined_metrics_are_none() -> None:
    values = np.array([[0.5, 0.5]], np.float32)
    found = AffectPredictions(values, values).summary()
    assert found is not None
    assert found.valence.ccc is None
    assert found.valence.ccc_interval is None
    assert found.mean_ccc is None
    assert found.valence.rmse == 0
