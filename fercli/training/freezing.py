"""What a stage of the training leaves as it is in a model, and what it sets in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from fercli.errors import UsageError
from fercli.models.attention import BLOCKS
from fercli.recipes import Settings


@dataclass(frozen=True)
class FrozenPart:
    """What a stage holds still.

    Attributes:
        parameters: Names of the parameters that get no gradient.
        norms: Names of the batch norms that keep their running statistics, and so stay in evaluation mode.
    """

    parameters: frozenset[str]
    norms: frozenset[str]


def held_by(model: nn.Module, settings: Settings, backbone: tuple[str, ...]) -> FrozenPart:
    """Return what a stage holds still of a model.

    Args:
        model: The model.
        settings: The stage's; their `freeze`.
        backbone: What the names of the backbone's parameters begin with.

    Raises:
        UsageError: there is nothing to hold, or nothing would be left to train.
    """
    norms = {name for name, module in model.named_modules() if isinstance(module, _BatchNorm)}
    trainable = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    parameters: set[str] = set()
    still: set[str] = set()
    if "backbone" in settings.frozen:
        # Attention within a backbone is new where the backbone's weights are somebody's: it goes on learning.
        attention = tuple(f"{name}." for name, module in model.named_modules() if isinstance(module, BLOCKS))
        parameters |= {
            name for name in trainable if backbone and name.startswith(backbone) and not name.startswith(attention)
        }
        still |= {name for name in norms if backbone and f"{name}.weight".startswith(backbone)}
        if not parameters:
            raise UsageError("freeze: the model has no trainable backbone to hold")
    if "norms" in settings.frozen:
        if not norms:
            raise UsageError("freeze: the model has no batch norms to hold")
        parameters |= {name for name in trainable if name.rpartition(".")[0] in norms}
        still |= norms
    if parameters >= trainable:
        raise UsageError(f"freeze: with {settings.freeze} held, the model has nothing left to train")
    return FrozenPart(frozenset(parameters), frozenset(still))


def check_dropout(model: nn.Module, settings: Settings) -> None:
    """Refuse a dropout that no layer of the model would have.

    Raises:
        UsageError: the settings name one, and the model has no dropout layers.
    """
    if settings.dropout is not None and not any(isinstance(module, _DropoutNd) for module in model.modules()):
        raise UsageError("dropout: the model has no dropout layers; leave it out")


class FreezeSchedule:
    """A model as a training goes through its stages: what it has of its own, and what the stages make of it.

    Args:
        model: The model, whose parameters that need no gradient never get one.
        plan: The settings of all stages, checked at once: the last must not fail after hours of the first.
        backbone: What the names of the backbone's parameters begin with.

    Raises:
        UsageError: a stage cannot be had with this model.
    """

    def __init__(self, model: nn.Module, plan: Sequence[Settings], backbone: tuple[str, ...]) -> None:
        self._model, self._plan = model, plan
        self._trainable = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
        self._dropout = {n: module.p for n, module in model.named_modules() if isinstance(module, _DropoutNd)}
        self._held = [held_by(model, settings, backbone) for settings in plan]
        self._stage = 0
        for settings in plan:
            check_dropout(model, settings)

    def enter(self, stage: int) -> None:
        """Set what the stage (from 0) says: which parameters get a gradient, and the dropout."""
        self._stage = stage
        moving = self._trainable - self._held[stage].parameters
        for name, parameter in self._model.named_parameters():
            parameter.requires_grad_(name in moving)
        for name, own in self._dropout.items():
            module, wanted = self._model.get_submodule(name), self._plan[stage].dropout
            assert isinstance(module, _DropoutNd)
            module.p = own if wanted is None else wanted

    def train(self) -> None:
        """Put the model in training mode, but for the batch norms that the stage holds."""
        self._model.train()
        for name in self._held[self._stage].norms:
            self._model.get_submodule(name).eval()
