"""Where a trial's values come from: a function of the search's seed and the trial's number.

So no point of a grid is taken twice, however many workers there are, and a random search does not depend on them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from fercli.recipes.spaces import Choice, Dimension, Space, Value, grid_points

STARTUP = 10
"""Random trials before TPE."""


class NumberedSampler(BaseSampler):
    """Fixed values by trial number; the others by random search or TPE, seeded for each trial by its number.

    Args:
        fixed: Returns the fixed values of a trial.
        tpe: Whether to use TPE, after `STARTUP` random trials.
        seed: Seed of the search.
    """

    def __init__(self, fixed: Callable[[int], Mapping[str, Value]], *, tpe: bool, seed: int) -> None:
        self._fixed, self._tpe, self._seed = fixed, tpe, seed
        self._number = -1
        self._inner: BaseSampler = RandomSampler(0)

    def _sampler(self, trial: FrozenTrial) -> BaseSampler:
        if trial.number != self._number:
            seed = int(np.random.SeedSequence([self._seed, trial.number]).generate_state(1)[0])
            tpe = self._tpe and trial.number >= STARTUP
            self._inner = TPESampler(n_startup_trials=STARTUP, seed=seed) if tpe else RandomSampler(seed)
            self._number = trial.number
        return self._inner

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the inner sampler's search space."""
        return self._sampler(trial).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the inner sampler's values."""
        return self._sampler(trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return the fixed value, or the inner sampler's."""
        fixed = self._fixed(trial.number)
        if param_name in fixed:
            return fixed[param_name]
        return self._sampler(trial).sample_independent(study, trial, param_name, param_distribution)


def grid_order(space: Space, seed: int) -> Callable[[int], Mapping[str, Value]]:
    """Return the points of a grid by trial number: each once, in an order shuffled by the seed.

    Trials beyond the grid, which are not run, have its last point.
    """
    points = list(grid_points(space))
    order = np.random.default_rng(seed).permutation(len(points))
    return lambda number: points[order[min(number, len(points) - 1)]]


def distribution_of(dimension: Dimension) -> BaseDistribution:
    """Return Optuna's distribution of a dimension."""
    if isinstance(dimension, Choice):
        return CategoricalDistribution(dimension.values)
    if dimension.whole:
        return IntDistribution(int(dimension.low), int(dimension.high), dimension.log, int(dimension.step or 1))
    return FloatDistribution(float(dimension.low), float(dimension.high), dimension.log, dimension.step)
