"""RangerAdaBelief: AdaBelief with RAdam's rectification and Lookahead.

AdaBelief divides the mean of the gradients by their deviation from it (Zhuang et al. 2020, algorithm 2). Until
the variance of that estimate is bounded, the step is the mean itself (Liu et al. 2020, "On the variance of the
adaptive learning rate and beyond", algorithm 2). Every few steps the slow weights move part of the way to the current
ones (Zhang et al. 2019, "Lookahead optimizer: k steps forward, 1 step back", algorithm 1). It follows its
authors' package ranger-adabelief, version 0.1.0, including its defaults, and so also centralises gradients (Yong et al.
2020, "Gradient centralization").
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

THRESHOLD = 5
"""The length of the equivalent simple moving average above which the rectified step is taken."""


class RangerAdaBelief(torch.optim.Optimizer):
    """Rectified AdaBelief with Lookahead.

    With g the gradient, m and s the two moving averages, theta the weights and t the step, from 1:

        m = b1 m + (1 - b1) g
        s = b2 s + (1 - b2) (g - m)^2
        rho = rho_max - 2 t b2^t / (1 - b2^t),  rho_max = 2 / (1 - b2) - 1
        rho > 5:  s = s + eps,  u = m / (sqrt(s) + eps),  r = sqrt((1 - b2^t) (rho - 4) (rho - 2) rho_max
                                                                   / ((rho_max - 4) (rho_max - 2) rho))
        else:     u = m,  r = 1
        theta = theta - lr r / (1 - b1^t) (u + decay theta)
        every k steps:  slow = slow + alpha (theta - slow),  theta = slow

    Two bugs of the package are not reproduced: while rho is too small it adds the decay to m itself, and it centralises
    rows of a single value, which then never learn.

    Args:
        params: Parameters or parameter groups.
        lr: Learning rate.
        betas: b1 and b2.
        eps: Added to s, for numerical stability.
        weight_decay: Decoupled weight decay.
        k: Steps between two Lookahead updates.
        alpha: Step size of Lookahead.
        centralise: Subtract the mean from the gradient of each row of a weight (output channel, neuron).
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = 1e-3,
        *,
        betas: tuple[float, float] = (0.95, 0.999),
        eps: float = 1e-5,
        weight_decay: float = 0.0,
        k: int = 6,
        alpha: float = 0.5,
        centralise: bool = True,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "k": k, "alpha": alpha}
        super().__init__(params, {**defaults, "centralise": centralise})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Perform one optimisation step."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            by_step: dict[int, list[Tensor]] = defaultdict(list)
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state.update(step=0, mean=torch.zeros_like(p), belief=torch.zeros_like(p), slow=p.clone())
                state["step"] += 1
                by_step[state["step"]].append(p)  # a single list, unless some weights lacked a gradient in some steps
            for step, params in by_step.items():
                self._move(params, step, group)
        return loss

    def _move(self, params: list[Tensor], step: int, group: dict[str, Any]) -> None:
        """Update weights that are at the same step."""
        (beta1, beta2), eps, states = group["betas"], group["eps"], [self.state[p] for p in params]
        means, beliefs, slow = ([state[name] for state in states] for name in ("mean", "belief", "slow"))
        grads: list[Tensor] = [
            _centralised(p.grad) if group["centralise"] else p.grad for p in params if p.grad is not None
        ]
        torch._foreach_lerp_(means, grads, 1 - beta1)
        deviations = torch._foreach_sub(grads, means)
        torch._foreach_mul_(beliefs, beta2)
        torch._foreach_addcmul_(beliefs, deviations, deviations, 1 - beta2)
        factor = rectification(step, beta2)
        moves: Sequence[Tensor] = means
        if factor is not None:
            torch._foreach_add_(beliefs, eps)
            spreads = torch._foreach_sqrt(beliefs)
            torch._foreach_add_(spreads, eps)
            moves = torch._foreach_div(means, spreads)
        if group["weight_decay"]:
            moves = torch._foreach_add(list(moves), params, alpha=group["weight_decay"])
        size = group["lr"] * (1.0 if factor is None else factor) / (1 - beta1**step)
        torch._foreach_add_(params, list(moves), alpha=-size)
        if step % group["k"] == 0:
            torch._foreach_lerp_(slow, params, group["alpha"])
            torch._foreach_copy_(params, slow)


def rectification(step: int, beta2: float) -> float | None:
    """Return RAdam's r at a step, from 1; None while the variance is unbounded."""
    power = beta2**step
    longest = 2 / (1 - beta2) - 1
    length = longest - 2 * step * power / (1 - power)
    if length <= THRESHOLD:
        return None
    share = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
    return math.sqrt((1 - power) * share)


def _centralised(grad: Tensor) -> Tensor:
    """Return a gradient less the mean of each of its rows."""
    if grad.ndim < 2 or grad[0].numel() < 2:
        return grad
    return grad - grad.mean(tuple(range(1, grad.ndim)), keepdim=True)
