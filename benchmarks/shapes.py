"""Training speed of small networks by shape, type and batch: what a CPU can train in a given time.

    python benchmarks/shapes.py [--seconds 4]

A step is forward, backward and the optimiser (Muon) on random grey faces in channels-last memory, without augmentation.
Prints parameters, multiplications of one face of 32 px, and images/s; and the time of Muon's step alone, in float32 and
bfloat16.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from time import perf_counter

import torch
import torch.nn.functional as F
from torch import nn

from fercli.models.quick import Quick, QuickVgg
from fercli.models.small import Small
from fercli.training.optim.muon import Muon

CLASSES = 7
SHAPES: dict[str, Callable[[], nn.Module]] = {
    "quick": lambda: Quick(CLASSES),
    "quick-vgg": lambda: QuickVgg(CLASSES),
    "small": lambda: Small(CLASSES),
    "small, stem 32, 64-192-256": lambda: Small(CLASSES, stem=32, widths=(64, 192, 256)),
    "small, stem 32, 64-128-256-256": lambda: Small(CLASSES, stem=32, widths=(64, 128, 256, 256)),
}
TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def multiplications(model: nn.Module, side: int) -> float:
    """Return the multiplications of the convolutions for one face, in millions."""
    total = 0

    def count(layer: nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal total
        total += output[0].numel() * layer.weight[0].numel()

    handles = [m.register_forward_hook(count) for m in model.modules() if isinstance(m, nn.Conv2d)]
    with torch.inference_mode():
        model.eval()(torch.zeros(1, 1, side, side))
    for handle in handles:
        handle.remove()
    model.train()
    return total / 1e6


def speed(create: Callable[[], nn.Module], side: int, batch: int, dtype: torch.dtype, seconds: float) -> float:
    """Return the images per second of training steps."""
    model = create().to(memory_format=torch.channels_last)
    optimizer = Muon(model, 0.01, 0.6, 5e-4, dtype)
    faces = torch.randn(batch, 1, side, side).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, CLASSES, (batch,))

    def step() -> None:
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            logits = model(faces)
        F.cross_entropy(logits.float(), labels).backward()
        optimizer.step()
        optimizer.zero_grad()

    for _ in range(2):
        step()
    began, steps = perf_counter(), 0
    while perf_counter() - began < seconds:
        step()
        steps += 1
    return steps * batch / (perf_counter() - began)


def muon_time(create: Callable[[], nn.Module], dtype: torch.dtype, repeats: int = 20) -> float:
    """Return the milliseconds of one step of Muon."""
    model = create()
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    optimizer = Muon(model, 0.01, 0.6, 5e-4, dtype)
    optimizer.step()
    began = perf_counter()
    for _ in range(repeats):
        optimizer.step()
    return 1000 * (perf_counter() - began) / repeats


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4.0)
    given = parser.parse_args()
    print("| shape | parameters | 10^6 multiplications | type | 32 px, 128 | 32 px, 256 | 44 px, 256 | Muon, ms |")
    print("|---|---|---|---|---|---|---|---|")
    for name, create in SHAPES.items():
        model = create()
        size, cost = sum(p.numel() for p in model.parameters()), multiplications(model, 32)
        for kind, dtype in TYPES.items():
            rates = [speed(create, *shape, dtype, given.seconds) for shape in ((32, 128), (32, 256), (44, 256))]
            cells = " | ".join(f"{rate:,.0f}" for rate in rates)
            time = muon_time(create, dtype)
            print(f"| {name} | {size / 1e6:.2f} M | {cost:.0f} | {kind} | {cells} | {time:.1f} |", flush=True)


if __name__ == "__main__":
    main()
