"""Training on several devices: processes on this machine, or those that torchrun started."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from fercli.artifacts import Artifact
from fercli.artifacts.building import ArtifactBuilder
from fercli.distributed.group import ALONE, Group, joined, local_device
from fercli.distributed.launching import run_on_devices
from fercli.environment import under_torchrun
from fercli.errors import UsageError
from fercli.progress import Progress
from fercli.stages.train.config import TrainConfig
from fercli.stages.train_epochs import train_epochs


@contextmanager
def torchrun_group(config: TrainConfig) -> Iterator[tuple[Group, TrainConfig]]:
    """Join the processes that torchrun started, if it started this one, while the block runs.

    Yields:
        The group, and the options with this process's device.

    Raises:
        UsageError: the options give a number of devices, or a device that not every process can have.
    """
    if not under_torchrun():
        yield ALONE, config
        return
    if config.devices != "1":
        raise UsageError("devices: under torchrun, --nproc-per-node sets the number; omit the option")
    device = local_device(config.device)
    with joined(device) as group:
        yield group, config.model_copy(update={"device": str(device)})


def train_on_devices(
    config: TrainConfig,
    pack: Artifact,
    count: int,
    progress: Progress,
    after_epoch: Callable[[Mapping[str, float]], None],
) -> Callable[[ArtifactBuilder], dict[str, Any]]:
    """Return a function for `train_run` that trains in processes, one per device."""

    def run(builder: ArtifactBuilder) -> dict[str, Any]:
        task = {"config": config, "pack": pack, "folder": builder.folder, "manifest": builder.manifest}
        fields: dict[str, Any] = run_on_devices(f"{__name__}:train_one_device", task, count, progress, after_epoch)
        return fields

    return run


def train_one_device(
    task: Mapping[str, Any], progress: Progress, after_epoch: Callable[[Mapping[str, float]], None]
) -> dict[str, Any]:
    """Train in the process of one device (`run_on_devices`)."""
    device = local_device(task["config"].device)
    with joined(device) as group:
        return train_epochs(**task, progress=progress, after_epoch=after_epoch, group=group, device=device)
