"""Which weights are the model's, and which the detector's."""

from __future__ import annotations

from pathlib import Path

import pytest

from fercli.errors import UsageError
from fercli.pretrained import DEFAULT
from fercli.stages.predict.config import PredictConfig


def test_weights_without_a_model_are_the_detectors() -> None:
    config = PredictConfig.of(checkpoint="run", source="a.jpg", weights="yunet.onnx")
    assert config.detector_file == Path("yunet.onnx")
    assert PredictConfig.of(source="a.jpg", detector_weights="y.onnx").detector_file == Path("y.onnx")
    assert PredictConfig.of(source="a.jpg").detector_file is None
    with pytest.raises(UsageError, match="without --model these are the detector's, as --detector-weights; keep one"):
        PredictConfig.of(source="a.jpg", weights="a", detector_weights="b")


def test_weights_with_a_model_replace_the_checkpoint() -> None:
    config = PredictConfig.of(checkpoint="a.jpg", weights="rmn.pth", model="resmasking", detector_weights="y.onnx")
    assert (config.source, config.checkpoint, config.detector_file) == ("a.jpg", Path(DEFAULT), Path("y.onnx"))
    assert PredictConfig.of(checkpoint="a.jpg", weights="rmn.pth", model="resmasking").detector_file is None
    with pytest.raises(UsageError, match="replace the checkpoint; give only what to predict"):
        PredictConfig.of(checkpoint="run", source="a.jpg", weights="rmn.pth", model="resmasking")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "quick"}, "model: requires --weights FILE of the model; a checkpoint defines its own"),
        ({"reduced": True}, "reduced: requires --model and its --weights"),
        ({"weights": "x", "input_size": 48}, "input-size: requires --model and its --weights"),
        ({"weights": "hf://anna/rmn"}, "specify the architecture of hf://anna/rmn with --model"),
        ({"weights": "hf://anna/.."}, "hf://anna/..: not an address on the hub"),
    ],
)
def test_incomplete_descriptions_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as error:
        PredictConfig.of(source="a.jpg", **options)
    assert message in str(error.value)


def test_an_address_is_a_checkpoint_and_no_output(tmp_path: Path) -> None:
    assert PredictConfig.of(checkpoint="hf://anna/faces", source="a.jpg").checkpoint == Path("hf://anna/faces")
    with pytest.raises(UsageError, match="name what to predict"):
        PredictConfig.of(checkpoint="hf://anna/faces")
