"""Two more outputs beside the logits of the emotions."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fercli.emotions import EMOTIONS
from fercli.errors import UsageError
from fercli.models.affect import check_separable, emotion_model, split_outputs
from fercli.models.checkpoints import METADATA, CheckpointMetadata, load_checkpoint, save_checkpoint
from fercli.models.inference import predict_at, predict_both
from fercli.models.preprocessing import Preprocessing
from fercli.models.registry import create_model, find_model
from fercli.models.spec import ModelSpec

SPEC = find_model("quick")
OPTIONS = SPEC.check_options({})
CPU = torch.device("cpu")
PREPROCESSING = Preprocessing.of(SPEC, 16)


@pytest.fixture
def both() -> nn.Module:
    torch.manual_seed(0)
    return create_model("quick", 9).eval()


def test_outputs_are_split_into_logits_and_values_in_range() -> None:
    logits, affect = split_outputs(torch.tensor([[1.0, 2.0, 0.0, -3.0]]), 2)
    assert logits.tolist() == [[1.0, 2.0]]
    assert affect.tolist() == [[0.0, -0.75]]
    assert split_outputs(torch.zeros(3, 2), 2)[1].shape == (3, 0)


def test_model_of_the_emotions_has_the_first_outputs(both: nn.Module) -> None:
    x = torch.randn(4, 1, 16, 16)
    alone = emotion_model(SPEC, OPTIONS, both.state_dict(), 7)
    torch.testing.assert_close(alone(x), both(x)[:, :7])


def test_check_keeps_the_mode_and_the_random_numbers(both: nn.Module) -> None:
    both.train()
    state = torch.get_rng_state()
    check_separable(both, SPEC, OPTIONS, 7, 16)
    assert both.training
    assert torch.equal(torch.get_rng_state(), state)


class Normalised(nn.Module):
    """Returns the logarithms of a distribution over all outputs."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(64, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x.flatten(1)).log_softmax(1)


def test_outputs_that_depend_on_each_other_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = ModelSpec(name="normalised", build=lambda classes: Normalised(classes), mean=(0.5,), std=(0.5,))

    def build(name: str, classes: int, **options: Any) -> nn.Module:
        return Normalised(classes)

    monkeypatch.setattr("fercli.models.registry.create_model", build)
    monkeypatch.setattr("fercli.models.affect.create_model", build)
    with pytest.raises(UsageError, match="model normalised cannot predict valence and arousal"):
        check_separable(Normalised(9), spec, {}, 7, 8)


def test_checkpoint_has_both_models(tmp_path: Path, both: nn.Module) -> None:
    metadata = CheckpointMetadata(
        architecture="quick", emotions=list(EMOTIONS), preprocessing=PREPROCESSING, affect=True
    )
    save_checkpoint(tmp_path / "best", both.state_dict(), metadata, "train")
    found = load_checkpoint(tmp_path / "best")
    assert found.both is not None
    assert found.metadata.outputs == [*EMOTIONS, "valence", "arousal"]
    faces = torch.randint(0, 256, (5, 1, 16, 16), dtype=torch.uint8)
    options: dict[str, Any] = {"device": CPU, "tta": "flip"}
    probabilities, affect = predict_both(found.both, faces, PREPROCESSING, (1.0,), 7, **options)
    torch.testing.assert_close(probabilities, predict_at(found.model, faces, PREPROCESSING, (1.0,), **options))
    views = [both(PREPROCESSING.normalise(view)) for view in (faces / 255, (faces / 255).flip(3))]
    expected = sum(F.softsign(view[:, 7:]) for view in views) / 2
    torch.testing.assert_close(affect, expected.detach(), atol=1e-4, rtol=1e-4)


def test_metadata_of_other_checkpoints_is_as_before(tmp_path: Path) -> None:
    metadata = CheckpointMetadata(architecture="quick", emotions=list(EMOTIONS), preprocessing=PREPROCESSING)
    save_checkpoint(tmp_path / "best", create_model("quick", 7).state_dict(), metadata, "train")
    assert "affect" not in (tmp_path / "best" / METADATA).read_text()
    assert load_checkpoint(tmp_path / "best").both is None
