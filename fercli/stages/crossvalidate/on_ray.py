"""Folds on the workers of a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial

from fercli.errors import FerError, reworded
from fercli.progress import SILENT
from fercli.stages.crossvalidate.fold import Fold, Plan, run_fold
from fercli.stages.train_jobs import check_files, job_options, jobs_on_ray


def folds_on_ray(plan: Plan, folds: Sequence[Fold]) -> Generator[Fold]:
    """Run folds of a plan on a cluster; yield them in order once they are finished.

    Raises:
        FerError: a fold failed (the message names it), or Ray did.
    """
    every = plan.folds()
    numbers = [every.index(fold) for fold in folds]
    # With absolute paths: a worker has another working directory.
    dataset = replace(plan.dataset, path=plan.dataset.path.absolute())
    anywhere = replace(plan, folder=plan.folder.absolute(), dataset=dataset, config=job_options(plan.config))
    make = partial(_worker, anywhere)
    with closing(jobs_on_ray(plan.config, make, numbers, cores=plan.threads or 1)) as finished:
        for number in finished:
            yield every[number]


def _worker(plan: Plan) -> Callable[[int], int]:
    """Return a worker's function: it runs the fold of a number, and returns the number."""
    check_files(plan.folder, plan.dataset.path)

    def run(number: int) -> int:
        fold = plan.folds()[number]
        try:
            run_fold(fold, SILENT)
        except FerError as error:
            raise reworded(error, f"{fold.title}: {error}") from error
        return number

    return run
