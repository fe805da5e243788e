"""Stages that train several runs, such as trials or folds: their options, and the jobs on a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import Field

from fercli.cluster import check_engine, check_shared, map_on_ray
from fercli.errors import UsageError
from fercli.models.devices import cluster_device
from fercli.stages.base import Cli
from fercli.stages.options import Engine, JobDevices, RayAddress
from fercli.stages.train_options import TrainOptions

T = TypeVar("T")
R = TypeVar("R")
Options = TypeVar("Options", bound="JobOptions")


class JobOptions(TrainOptions):
    """The options of a stage that trains several runs."""

    jobs: Annotated[
        int, Field(ge=1, le=256, description="Jobs at once, each in a process of its own."), Cli(in_key=False)
    ] = 1
    devices: JobDevices = "1"
    engine: Engine = "local"
    ray_address: RayAddress = None
    gpus: Annotated[
        float | None,
        Field(
            ge=0,
            le=64,
            description="With engine ray: GPUs of each job; 0.5: two share one (default: one if this machine has any).",
        ),
        Cli(metavar="N", in_key=False),
    ] = None

    def check_engine(self) -> None:
        """Check the options of the engine.

        Raises:
            UsageError: an option is for the other engine.
            FerError: Ray is not installed, or the cluster does not answer.
        """
        check_engine(self.engine, self.ray_address)
        if self.engine == "local" and self.gpus is not None:
            raise UsageError("--gpus: only with --engine ray; here --devices tells how many GPUs the jobs share")
        if self.engine == "ray" and self.devices != "1":
            raise UsageError(
                "--devices: only with --engine local; with ray use --jobs, and --gpus for the share of each"
            )


def job_options(config: Options) -> Options:
    """Return the options of one job, which may run on another machine.

    Raises:
        FerError: `gpus` is not given, and this machine has no such device.
    """
    _, device = cluster_device(config.device, config.gpus)
    weights = config.weights
    if weights is not None and os.path.exists(weights):
        weights = os.path.abspath(weights)
    own = {"jobs": 1, "devices": "1", "engine": "local", "device": device, "weights": weights}
    return config.model_copy(update=own)


def jobs_on_ray(
    config: JobOptions, make: Callable[[], Callable[[T], R]], items: Iterable[T], *, cores: int = 1
) -> Generator[R]:
    """Yield the result for each item, in order, as `map_on_ray` does, with the GPUs and jobs of the options."""
    gpus, _ = cluster_device(config.device, config.gpus)
    yield from map_on_ray(
        make, items, workers=config.jobs, address=config.ray_address, gpus=gpus, cores=cores, long=True
    )


def check_files(*paths: Path) -> None:
    """Check in a worker that the files of a training exist on its machine.

    Raises:
        DataError: one does not.
    """
    for path in paths:
        check_shared(path, "the data, weights and OUT")
