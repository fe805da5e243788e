"""The values of trials: functions of seed and number."""

from __future__ import annotations

import optuna
import pytest

from fercli.recipes.spaces import Choice, Range
from fercli.stages.tune.sampler import NumberedSampler, distribution_of, grid_order

SPACE = {"a": Choice((1, 2, 3)), "b": Choice(("x", "y"))}


def run(sampler: NumberedSampler, trials: int) -> list[dict[str, object]]:
    study = optuna.create_study(sampler=sampler)

    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        return (x - 0.3) ** 2 + (trial.suggest_categorical("c", ("p", "q")) == "q")

    study.optimize(objective, trials)
    return [trial.params for trial in study.trials]


def test_grid_order_has_each_point_once() -> None:
    order = grid_order(SPACE, 0)
    found = [tuple(order(number).values()) for number in range(6)]
    assert len(set(found)) == 6
    assert order(6) == order(5)
    assert [tuple(grid_order(SPACE, 0)(n).values()) for n in range(6)] == found
    assert [tuple(grid_order(SPACE, 1)(n).values()) for n in range(6)] != found


@pytest.mark.parametrize("tpe", [False, True])
def test_equal_seeds_give_equal_trials(tpe: bool) -> None:
    first = run(NumberedSampler(lambda _: {}, tpe=tpe, seed=0), 16)
    assert run(NumberedSampler(lambda _: {}, tpe=tpe, seed=0), 16) == first
    assert run(NumberedSampler(lambda _: {}, tpe=tpe, seed=1), 16) != first
    assert len({str(point) for point in first}) == 16


def test_tpe_learns() -> None:
    late = run(NumberedSampler(lambda _: {}, tpe=True, seed=0), 60)[30:]
    assert sum(point["c"] == "p" for point in late) > 20
    assert sum(abs(float(str(point["x"])) - 0.3) < 0.2 for point in late) > 15


def test_fixed_values() -> None:
    found = run(NumberedSampler(lambda number: {} if number else {"x": 0.125}, tpe=False, seed=0), 2)
    assert found[0]["x"] == 0.125
    assert found[1]["x"] != 0.125


def test_distributions() -> None:
    assert distribution_of(Range(1, 8)) == optuna.distributions.IntDistribution(1, 8)
    assert distribution_of(Range(1, 9, step=4)) == optuna.distributions.IntDistribution(1, 9, step=4)
    assert distribution_of(Range(0.1, 1.0, log=True)) == optuna.distributions.FloatDistribution(0.1, 1.0, log=True)
    assert distribution_of(Choice((1, "a"))) == optuna.distributions.CategoricalDistribution((1, "a"))
