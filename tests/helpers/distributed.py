"""What the processes of tests of several devices do."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F

from fercli.distributed.batch_norm import synchronising
from fercli.distributed.group import joined
from fercli.errors import DataError
from fercli.progress import Progress

CPU = torch.device("cpu")
Notify = Callable[[Any], None]


def exchange(task: Mapping[str, Any], progress: Progress, notify: Notify) -> Any:
    """Exchange values in every way there is; return what this process got."""
    with joined(CPU) as group:
        progress.log(f"rank {group.rank}")
        with progress.task("working", 2):
            progress.advance(2, "note")
        notify({"rank": group.rank})
        count = task["count"]
        rows = torch.arange(count).float()[group.slice(count), None]
        tensor = torch.full((2,), float(group.rank))
        group.broadcast_([tensor])
        return {
            "size": group.size,
            "broadcast": group.broadcast(f"from {group.rank}"),
            "overwritten": tensor.tolist(),
            "sum": group.sum_(torch.tensor(float(group.rank + 1))).item(),
            "rows": group.gather_rows(rows, count).flatten().tolist(),
            "threads": os.environ["OMP_NUM_THREADS"],
        }


def go_wrong(task: Mapping[str, Any], progress: Progress, notify: Notify) -> Any:
    """Fail in one of the processes, in one of several ways; the others wait for it."""
    with joined(CPU) as group:
        progress.log(f"pid {os.getpid()}")
        group.sum_(torch.zeros(1))  # so that the line has been sent
        if group.rank == task["rank"]:
            if task["how"] == "error":
                raise DataError("a broken pack")
            if task["how"] == "unexpected":
                raise ZeroDivisionError("by zero")
            if task["how"] == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(600)
        group.sum_(torch.zeros(1))
        return None


def normalise(task: Mapping[str, Any], progress: Progress, notify: Notify) -> Any:
    """Normalise this process's share of a batch and compute gradients; return all of them, by rank."""
    with joined(CPU) as group:
        x = torch.tensor(task["x"])
        share = slice(0, task["split"]) if group.rank == 0 else slice(task["split"], None)
        part = x[share].clone().requires_grad_()
        weight, bias = (torch.tensor(task[name]).requires_grad_() for name in ("weight", "bias"))
        mean, var = torch.zeros(x.shape[1]), torch.ones(x.shape[1])
        with synchronising(CPU):
            y = F.batch_norm(part, mean, var, weight, bias, training=True, momentum=0.2)
            fixed = F.batch_norm(part, mean, var, weight, bias)  # not in training: as ever
        (y * torch.tensor(task["factors"])[share]).sum().backward()
        assert part.grad is not None
        assert weight.grad is not None
        assert bias.grad is not None
        padded = torch.zeros(2, *x.shape)
        padded[0, share], padded[1, share] = y.detach(), part.grad
        return {
            "both": group.sum_(padded).tolist(),
            "weight": group.sum_(weight.grad).tolist(),
            "bias": group.sum_(bias.grad).tolist(),
            "running": [mean.tolist(), var.tolist()],
            "fixed": bool(torch.equal(fixed, F.batch_norm(part, mean, var, weight, bias))),
        }
