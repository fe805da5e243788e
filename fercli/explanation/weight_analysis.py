"""Weight analysis: which features a model's final fully connected layers weight most (Gedeon 1997).

P_ij = |w_ij| / sum over the inputs i of |w_ij| is the share of input i in neuron j, and Q_i = sum_j P_ij sum_k P_jk P_k
its share in an output, chained through the layers. EmotionNet's equation 1 prints the first sum over j; Gedeon
normalises over a neuron's inputs, as does this module, so that the Q_i of an output add up to 1.
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
        weights: The weights of each layer, (outputs, inputs), in the order of the forward pass. If all weights of a
            neuron are zero, its inputs get equal shares.

    Raises:
        DataError: a weight is not finite.
    """
    total: Shares | None = None
    for weight in weights:
        size = np.abs(np.asarray(weight, np.float64))
        if not np.isfinite(size).all():
            raise DataError("the fully connected layers contain NaN or infinite weights; train the model again")
        sums = size.sum(1, keepdims=True)
        share = np.where(sums > 0, size / np.where(sums > 0, sums, 1), 1 / size.shape[1])
        total = share if total is None else share @ total
    assert total is not None, "there is no layer"
    return total


@dataclass(frozen=True)
class _Call:
    """One call of a linear layer: its name, the layer, and the autograd nodes of its input and output."""

    name: str
    layer: nn.Linear
    input_node: Any
    output_node: Any


def final_layers(model: nn.Module, faces: Tensor) -> list[tuple[str, nn.Linear]]:
    """Return the chain of fully connected layers that ends in the logits, in the order of the forward pass.

    Element-wise operations (activations, dropout, normalisation) may come in between. A layer in an attention block,
    whose output multiplies something else, is not part of the chain. The chain is found by running the model once and
    following the autograd graph back from the logits.

    Args:
        model: Maps (B, channels, H, W) to logits (B, classes).
        faces: Any (B, channels, H, W).

    Raises:
        DataError: the logits do not come from a fully connected layer.
    """
    calls: list[_Call] = []
    names = {module: name for name, module in model.named_modules()}

    def record(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(layer, nn.Linear)
        # The node, not the tensor: an in-place activation replaces the tensor's node.
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
    while (call := _producer(node, calls)) is not None:
        if chain and call.layer.out_features != chain[0].layer.in_features:
            break
        chain.insert(0, call)
        node = call.input_node
    if not chain or chain[-1].layer.out_features != logits.shape[1]:
        raise DataError("the model does not end in a fully connected layer, so there are no weights to analyse")
    return [(call.name, call.layer) for call in chain]


def _producer(node: Any, calls: list[_Call]) -> _Call | None:
    """Return the layer that a node's values come from along a single path; None if paths join or there is no layer."""
    while node is not None:
        for call in calls:
            if call.output_node is node:
                return call
        # With all parameters frozen, both inputs of a node with two depend on the face.
        inputs = [function for function, _ in node.next_functions if function is not None]
        node = inputs[0] if len(inputs) == 1 else None
    return None
