"""Training of a head on cached features, against training of the whole model with its encoder frozen."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from fercli.models.feature_cache import FrozenEncoder
from fercli.models.preprocessing import Preprocessing
from fercli.models.probe import Probe
from fercli.models.registry import create_model, find_model
from fercli.packs.loading import PackDataset, load_pack
from fercli.packs.opening import open_pack
from fercli.progress import SILENT
from fercli.stages.train.config import TrainConfig
from fercli.training.augment import choose_view
from fercli.training.loop import Trainer
from fercli.training.probing import head_training
from fercli.training.validation import validate
from tests.helpers.packs import make_pack

CPU = torch.device("cpu")
NAME, SIDE = "probe/test_vit", 32
PREPROCESSING = Preprocessing.of(find_model(NAME), SIDE)


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> tuple[PackDataset, PackDataset]:
    # Faces have the input size, so that the loop mirrors them exactly and does not resample.
    info = open_pack(make_pack(tmp_path_factory.mktemp("p") / "p", {"train": 24, "validation": 14}, side=SIDE))
    return load_pack(info, "train", CPU), load_pack(info, "validation", CPU)


def probe() -> Probe:
    torch.manual_seed(3)
    model = create_model(NAME, 7)
    assert isinstance(model, Probe)
    return model


@pytest.mark.parametrize("options", [{}, {"flip": 0.0}, {"alternating_flip": True, "optimizer": "sgd", "sam": 0.05}])
def test_head_learns_what_the_whole_model_would(splits: Any, options: dict[str, Any]) -> None:
    train, validation = splits
    phases = TrainConfig.of(model=NAME, batch_size=8, epochs=3, lr=0.01, **options).phases
    whole = probe()
    frozen = [phase.model_copy(update={"freeze": frozenset({"backbone"})}) for phase in phases]
    plain = Trainer(frozen, whole, PREPROCESSING, train, 7, CPU, seed=5, backbone=("encoder.",))
    model = probe()
    own = head_training(
        model, FrozenEncoder(NAME, model.encoder, PREPROCESSING), train, validation, phases, CPU, progress=SILENT
    )
    head = Trainer(phases, own.model, own.preprocessing, own.train, 7, CPU, seed=5, augment=choose_view)
    for _ in range(3):
        one, other = (trainer.train_epoch(lambda *_: None) for trainer in (plain, head))
        assert other["train_loss"] == pytest.approx(one["train_loss"], abs=1e-4)
        expected = validate(plain.eval_model, validation, PREPROCESSING, 7)
        found = validate(head.eval_model, own.validation, own.preprocessing, 7)
        assert found["validation_loss"] == pytest.approx(expected["validation_loss"], abs=1e-4)
    state = {**own.frozen, **head.eval_model.state_dict()}
    assert set(state) == set(whole.state_dict())
    for name, tensor in whole.state_dict().items():
        torch.testing.assert_close(state[name], tensor, rtol=0, atol=1e-4)
    assert own.train.images.shape[1] == (1 if options.get("flip") == 0 else 2)
