"""Weight analysis: which features the fully connected layers at a model's end weigh most (Gedeon 1997).

P_ij = |w_ij| / sum over the inputs i of |w_ij| is the share of input i in neuron j, and Q_i = sum_j P_ij sum_k P_jk P_k
its share in an output, chained through the layers. EmotionNet's equation 1 prints the first sum over j; Gedeon
normalises over a neuron's inputs, as is done here, so that the Q_i of one output add up to 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from fercli.errors import DataError
from fercli.explanation.gradcam import frozen

Shares = npt.NDArray[np.float64]


def contributions(weights: list[Shares]) -> Shares:
    """Return Q: the share of each input in each output, (outputs, inputs); each row adds up to 1.

    Args:
        weights: Of each layer, (outputs, inputs), in the order of the forward pass. A neuron whose weights are all zero
            weighs its inputs alike.

    Raises:
        DataError: a weight is no finite number.
    """
    total: Shares | None = None
    for weight in weights:
        size = np.abs(np.asarray(weight, np.float64))
        if not np.isfinite(size).all():
            raise DataError("the fully connected layers hold weights that are no numbers; train the model anew")
        sums = size.sum(1, keepdims=True)
        share = np.where(sums > 0, size / np.where(sums > 0, sums, 1), 1 / size.shape[1])
        total = share if total is None else share @ total
    assert total is not None, "there is no layer"
    return total


@dataclass(frozen=True)
class _Call:
    """One run of a linear layer: its name, itself, and the nodes of the graph where it was read and written."""

    name: str
    layer: nn.Linear
    read: Any
    wrote: Any


def final_layers(model: nn.Module, faces: Tensor) -> list[tuple[str, nn.Linear]]:
    """Return the chain of fully connected layers that ends in the logits, in the order of the forward pass.

    Between two of them there may be what works on each value by itself (activations, dropout, normalisation). A layer
    within an attention block, whose output multiplies something else, is no part of the chain. It is found by running
    the model once and following the graph of its gradients backwards from the logits.

    Args:
        model: From (B, channels, H, W) to logits (B, classes).
        faces: Any (B, channels, H, W).

    Raises:
        DataError: the logits do not come from a fully connected layer.
    """
    calls: list[_Call] = []
    names = {module: name for name, module in model.named_modules()}

    def record(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(layer, nn.Linear)
        # The node, not the tensor: an activation in place gives the tensor another.
        calls.append(_Call(names[layer], layer, inputs[0].grad_fn, output.grad_fn))

    handles = [m.register_forward_hook(record) for m in model.modules() if isinstance(m, nn.Linear)]
    try:
        with frozen(model), torch.enable_grad():
            logits = model(faces.detach().requires_grad_())
    finally:
        for handle in handles:
            handle.remove()
    chain: list[_Call] = []
    node = logits.grad_fn
    while (call := _came_from(node, calls)) is not None:
        if chain and call.layer.out_features != chain[0].layer.in_features:
            break
        chain.insert(0, call)
        node = call.read
    if not chain or chain[-1].layer.out_features != logits.shape[1]:
        raise DataError("the model does not end in a fully connected layer, so there are no weights to analyse")
    return [(call.name, call.layer) for call in chain]


def _came_from(node: Any, calls: list[_Call]) -> _Call | None:
    """Return the layer that a node's values come from by a single way; None where ways meet or there is none."""
    while node is not None:
        for call in calls:
            if call.wrote is node:
                return call
        # With all parameters frozen, a node of two ways joins two things that both depend on the face.
        before = [following for following, _ in node.next_functions if following is not None]
        node = before[0] if len(before) == 1 else None
    return None
