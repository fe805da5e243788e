"""Options of tune, checked before anything is read."""

from __future__ import annotations

from pathlib import Path

import pytest
from optuna.distributions import FloatDistribution

from fercli.errors import UsageError
from fercli.recipes.spaces import Range
from fercli.stages.tune.config import TuneConfig
from fercli.stages.tune.sampler import distribution_of


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("lr = [0.1, -1.0]", {}, r"space .*s\.toml: lr: input should be greater than 0"),
        ('optimizer = ["sdg"]', {}, "space .*: optimizer: "),
        ("model = ['quick']", {}, "no setting 'model'"),
        ("lr = {low = 0.1, high = 1.0}", {"search": "grid"}, "space: lr is a range, which has no grid"),
        (
            "epochs = {low = 1.0, high = 3.0}",
            {},
            r"space .*s\.toml: epochs: only whole numbers; write low, high and step",
        ),
        ("epochs = {low = 2, high = 4, step = 0.5}", {}, "epochs: only whole numbers"),
        ("lr = [0.1]", {"trials": 0}, "trials: "),
        ("lr = [0.1]", {"storage": ""}, "storage: string should have at least 1 character"),
        ("lr = [0.1]", {"jobs": 0}, "jobs: "),
    ],
)
def test_invalid(tmp_path: Path, text: str, options: dict[str, object], message: str) -> None:
    (tmp_path / "s.toml").write_text(text)
    with pytest.raises(UsageError, match=message):
        _ = TuneConfig.of(space=str(tmp_path / "s.toml"), **options).dimensions


def test_ranges_have_the_type_of_their_setting(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text("erasing = {low = 0, high = 1}\nepochs = {low = 1, high = 9}\nema = [0, 1e-1]")
    space = TuneConfig.of(space=str(tmp_path / "s.toml")).dimensions
    whole = {name: isinstance(one, Range) and one.whole for name, one in space.items()}
    assert whole == {"erasing": False, "epochs": True, "ema": False}  # any probability, but no half epochs
    assert isinstance(distribution_of(space["erasing"]), FloatDistribution)


def test_trials_and_key(tmp_path: Path) -> None:
    file = tmp_path / "s.toml"
    file.write_text("lr = [0.1, 0.2]\nepochs = [1, 2, 3]")
    config = TuneConfig.of(space=str(file), search="grid")
    assert config.num_trials() == 6
    assert config.options() == config.options()
    assert TuneConfig.of(space=str(file), search="grid", trials=4).num_trials() == 4
    assert TuneConfig.of(space=str(file), search="grid", trials=40).num_trials() == 6
    assert TuneConfig.of(space=str(file)).num_trials() == 50
    assert config.options() == TuneConfig.of(space=str(file), search="grid", trials=4, jobs=3).options()
    file.write_text("lr = [0.1]\nepochs = [1, 2, 3]")
    assert config.options() != TuneConfig.of(space=str(file), search="grid").options()
    assert config.num_trials() == 6  # as read before the file changed


def test_noise_is_one_rate(tmp_path: Path) -> None:
    assert "noise" not in TuneConfig.of(noise=0).options()
    assert TuneConfig.of(noise=0.2).options()["noise"] == 0.2
    for noise in (1, -0.1, "0.1,0.2", ""):
        with pytest.raises(UsageError, match=r"^tune: noise: input should be "):
            TuneConfig.of(noise=noise)


def test_trial_options_keep_the_shared_ones() -> None:
    config = TuneConfig.of(model="resnet50", epochs=7, weight_decay=0.5, seed=3)
    options = config.trial_options({"lr": 0.5, "epochs": 2})
    assert (options.model, options.lr, options.epochs, options.weight_decay, options.seed) == (
        "resnet50",
        0.5,
        2,
        0.5,
        3,
    )
    assert type(options).__name__ == "TrainOptions"
