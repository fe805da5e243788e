"""Muon: SGD with momentum whose update matrix is orthogonalised.

Jordan et al. 2024 ("Muon: an optimizer for hidden layers in neural networks"), adapted to convolutions before batch
norm: each weight is also kept at a fixed norm, since its norm does not affect the network's output but would affect how
far a step rotates it. benchmarks/RESULTS.md has its effect on a short training.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic iteration: steep at zero, so that few iterations suffice; singular values end at about 0.7 to 1.2."""
ITERATIONS = 3


def orthogonalise(matrix: Tensor, iterations: int = ITERATIONS) -> Tensor:
    """Bring the singular values of a matrix close to 1 and keep its singular vectors, by Newton-Schulz iteration.

    Args:
        matrix: (M, N) float32 or bfloat16, the type of the computation and the result.
        iterations: Number of iterations; small singular values need more.

    Returns:
        Approximately U V^T of the matrix's singular value decomposition, (M, N).
    """
    a, b, c = COEFFICIENTS
    x = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = x / (x.norm() + 1e-7)
    for _ in range(iterations):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    result: Tensor = x if matrix.shape[0] <= matrix.shape[1] else x.T
    return result


class Muon(torch.optim.Optimizer):
    """Muon for convolutions, SGD with Nesterov's momentum for everything else.

    Args:
        model: The model whose trainable parameters are optimised; weights with four dimensions and more than one input
            and output channel are convolutions. (With one output channel it is an attention map, whose norm matters:
            no batch norm rescales it.)
        lr: Learning rate.
        momentum: Momentum of the convolutions.
        weight_decay: Of the other matrices; the convolutions have a fixed norm instead, biases and norm layers none.
        dtype: Type of the orthogonalisation: bfloat16 takes half the time of float32, and its errors of about 1 % are
            far smaller than the spread of the singular values that it leaves.
    """

    SGD_MOMENTUM = 0.9

    def __init__(
        self, model: nn.Module, lr: float, momentum: float, weight_decay: float, dtype: torch.dtype = torch.float32
    ) -> None:
        self._dtype = dtype
        trainable = [p for p in model.parameters() if p.requires_grad]
        convolutions = [p for p in trainable if p.ndim == 4 and min(p.shape[:2]) > 1]
        known = {id(p) for p in convolutions}
        others = [p for p in trainable if id(p) not in known]
        groups: list[dict[str, Any]] = [
            {"params": convolutions, "orthogonal": True, "momentum": momentum, "weight_decay": 0.0},
            {"params": [p for p in others if p.ndim > 1], "orthogonal": False, "weight_decay": weight_decay},
            {"params": [p for p in others if p.ndim <= 1], "orthogonal": False, "weight_decay": 0.0},
        ]
        super().__init__([g for g in groups if g["params"]], {"lr": lr, "momentum": self.SGD_MOMENTUM})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Perform one optimisation step."""
        loss = closure() if closure is not None else None
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            for p in params:
                if "momentum" not in self.state[p]:
                    self.state[p]["momentum"] = torch.zeros_like(p)
            if not params:
                continue
            buffers = [self.state[p]["momentum"] for p in params]
            steps = torch._foreach_add([p.grad for p in params], params, alpha=group["weight_decay"])
            torch._foreach_mul_(buffers, group["momentum"])
            torch._foreach_add_(buffers, steps)
            torch._foreach_add_(steps, buffers, alpha=group["momentum"])  # Nesterov's look ahead
            if group["orthogonal"]:
                for p, step in zip(params, steps, strict=True):
                    p.mul_(len(p) ** 0.5 / p.norm().clamp(min=1e-7))
                    step.copy_(orthogonalise(step.flatten(1).to(self._dtype)).view_as(step))
            torch._foreach_add_(params, steps, alpha=-group["lr"])
        return loss
