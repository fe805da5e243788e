"""Devices and precisions."""

from __future__ import annotations

import torch

from fercli.errors import FerError, UsageError


def find_device(name: str) -> torch.device:
    """Return the device that `auto`, `cpu`, `mps`, `cuda` or `cuda:N` refers to on this machine.

    Raises:
        FerError: this machine has no such device.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            raise FerError(
                f"--device {name}: this machine has {count or 'no'} CUDA device{'s' * (count > 1)}; try auto"
            )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise FerError("--device mps: this machine has no MPS device; try auto")
    return device


def count_devices(device: str, devices: str) -> int:
    """Return how many devices `devices`, a number or `all`, refers to on this machine.

    On the CPU, where all cores are one device, each of several devices is a process with a share of the cores.

    Raises:
        UsageError: several were asked for, and `device` names one.
        FerError: this machine has fewer.
    """
    if devices == "1":
        return 1
    found = find_device(device)
    if found.type == "cuda" and found.index is None:
        count = torch.cuda.device_count()
        if devices != "all" and int(devices) > count:
            raise FerError(f"--devices {devices}: this machine has {count} CUDA device{'s' * (count > 1)}")
        return count if devices == "all" else int(devices)
    if devices == "all":
        return 1
    if found.type != "cpu":
        raise UsageError(f"devices: {devices} devices cannot all be {device}; set device to cuda or cpu")
    return int(devices)


def nth_device(device: str, devices: str, number: int) -> str:
    """Return the device of the `number`-th of several jobs, which take turns at `devices` CUDA devices.

    Raises:
        FerError: as `count_devices`.
    """
    count = count_devices(device, devices)
    return f"cuda:{number % count}" if count > 1 and find_device(device).type == "cuda" else device


def cluster_device(device: str, gpus: float | None = None) -> tuple[float, str]:
    """Return how many GPUs each worker of a cluster gets, and the device that it computes on.

    Args:
        device: The device wanted, on this machine.
        gpus: GPUs of a worker, whole or a share; None: one if `device` is a CUDA device, otherwise none.

    Raises:
        FerError: as `find_device`.
    """
    if gpus is None:
        gpus = 1.0 if find_device(device).type == "cuda" else 0.0
    return gpus, "cuda" if gpus else "cpu"  # the cluster assigns the GPUs


def describe_device(device: torch.device, count: int) -> str:
    """Return how a manifest names the devices of a training.

    >>> describe_device(torch.device("cpu"), 1), describe_device(torch.device("cuda", 0), 4)
    ('cpu', 'cuda x 4')
    """
    return str(device) if count == 1 else f"{device.type} x {count}"


def fast_bfloat16(device: torch.device) -> bool:
    """Return whether bfloat16 is faster than float32 on a device.

    True for GPUs since Ampere and CPUs with bfloat16 instructions; without them oneDNN emulates it, three times slower
    than float32.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        checks = (getattr(torch.cpu, n, None) for n in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
        return any(check is not None and check() for check in checks)
    return False


def fast_float16(device: torch.device) -> bool:
    """Return whether float16 is faster than float32 on a device, and bfloat16 is not available instead.

    True for GPUs whose tensor cores only support float16: Volta and Turing, such as the V100 and the T4.
    """
    return device.type == "cuda" and torch.cuda.get_device_capability(device)[0] == 7 and not fast_bfloat16(device)


def training_type(precision: str, device: torch.device) -> torch.dtype:
    """Return the type for training: the one that `precision` names, or for `auto` the fastest on the device.

    The candidates preserve the results: float32, bfloat16, or float16 with a scaled loss.
    """
    if precision == "auto":
        precision = "bfloat16" if fast_bfloat16(device) else "float16" if fast_float16(device) else "float32"
    found: torch.dtype = getattr(torch, precision)
    return found


def type_name(dtype: torch.dtype) -> str:
    """Return a type's name as used by `--precision`."""
    return str(dtype).removeprefix("torch.")
