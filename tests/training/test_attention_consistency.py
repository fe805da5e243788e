from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fercli.errors import UsageError
from fercli.models.preprocessing import Preprocessing
from fercli.models.registry import create_model, find_model
from fercli.packs.loading import PackDataset, load_pack
from fercli.packs.opening import open_pack
from fercli.stages.train.config import TrainConfig
from fercli.training.attention_consistency import AttentionConsistency, consistency_loss
from fercli.training.loop import Trainer
from tests.helpers.packs import QUICK, make_pack

CPU = torch.device("cpu")
PREPROCESSING = Preprocessing.of(find_model("quick"), 16)


def trainer(faces: PackDataset, model: nn.Module | None = None, **options: Any) -> Trainer:
    config = TrainConfig.of(**{**QUICK, **options})
    torch.manual_seed(0)
    model = model or create_model("quick", 7, reduced=True)
    return Trainer(config.phases, model, PREPROCESSING, faces, 7, CPU, seed=config.seed)


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> PackDataset:
    return load_pack(open_pack(make_pack(tmp_path_factory.mktemp("p") / "p", {"train": 24})), "train", CPU)


def test_value_by_hand() -> None:
    maps = torch.tensor([[[[1.0, 2.0]], [[0.0, 0.0]]]])  # one face, two emotions, 1 x 2 pixels
    mirrored = torch.tensor([[[[2.0, 1.0]], [[3.0, 1.0]]]])
    assert float(consistency_loss(maps, mirrored)) == (0 + 0 + 1 + 9) / 4


class Mean(nn.Module):
    """A single convolution, its mean, and a linear layer."""

    def __init__(self, kernel: Tensor) -> None:
        super().__init__()
        self.convolution, self.linear = nn.Conv2d(1, 1, (1, 3), padding=(0, 1), bias=False), nn.Linear(1, 2, bias=False)
        self.convolution.weight.data.copy_(kernel.view(1, 1, 1, 3))
        self.linear.weight.data.copy_(torch.tensor([[1.0], [-2.0]]))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.linear(self.convolution(x).mean((2, 3)))
        return logits


def test_symmetric_models_agree_with_their_mirror_image() -> None:
    x = torch.randn(2, 1, 16, 16)
    symmetric, other = Mean(torch.tensor([1.0, 2.0, 1.0])), Mean(torch.tensor([1.0, 0.0, 0.0]))
    assert float(AttentionConsistency(symmetric, PREPROCESSING)(symmetric, x)[1]) == pytest.approx(0, abs=1e-10)
    logits, loss = AttentionConsistency(other, PREPROCESSING)(other, x)
    assert torch.equal(logits, other(x))
    # The map of the face is each pixel's left neighbour, that of its mirror image, flipped, its right one; times the
    # weights 1 and -2 of the two emotions.
    padded = nn.functional.pad(x, (1, 1))
    difference = (padded[..., :-2] - padded[..., 2:]).square().mean()
    assert float(loss) == pytest.approx(float(difference) * (1 + 4) / 2, rel=1e-5)


def test_gradient_reaches_the_features_only() -> None:
    model, x = Mean(torch.tensor([1.0, 0.0, 0.0])), torch.randn(2, 1, 16, 16)
    AttentionConsistency(model, PREPROCESSING)(model, x)[1].backward()  # type: ignore[no-untyped-call]
    assert model.convolution.weight.grad is not None
    assert model.convolution.weight.grad.abs().sum() > 0
    assert model.linear.weight.grad is None


def test_loss_of_the_loop_has_its_weight(faces: PackDataset) -> None:
    x, targets = torch.randn(8, 1, 16, 16), torch.arange(8) % 7
    plain, one = trainer(faces), trainer(faces, attention_consistency=5.0)
    for each in (plain, one):
        each.model.eval()
    logits, loss = one.loss(x, targets)
    expected_logits, expected = plain.loss(x, targets)
    assert torch.equal(logits, expected_logits)
    inconsistency = AttentionConsistency(one.model, PREPROCESSING)(one.model, x)[1]
    assert float(inconsistency) > 0
    torch.testing.assert_close(loss, expected + 5 * inconsistency)


def test_off_is_the_plain_training(faces: PackDataset) -> None:
    ended = []
    for weight in (None, 0.0, 5.0):
        one = trainer(faces, **{} if weight is None else {"attention_consistency": weight})
        one.train_epoch(lambda count, note: None)
        ended.append(torch.cat([p.detach().flatten() for p in one.model.parameters()]))
    assert torch.equal(ended[0], ended[1])
    assert not torch.equal(ended[0], ended[2])


@pytest.mark.parametrize("options", [{"attention_consistency": 5.0}, {"phase": "epochs=1,attention-consistency=5"}])
def test_unsuitable_models_are_refused_before_the_first_phase(faces: PackDataset, options: dict[str, Any]) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(256, 7))
    with pytest.raises(UsageError, match=r"^attention-consistency: needs a model that ends in a feature map"):
        trainer(faces, model, **options)
