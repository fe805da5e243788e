"""Freezing of parameters and batch norms, and dropout, phase by phase."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from fercli.errors import UsageError
from fercli.models.attention import BLOCKS
from fercli.recipes import PhaseSettings


@dataclass(frozen=True)
class FrozenPart:
    """What a phase freezes.

    Attributes:
        parameters: Names of the parameters without gradients.
        norms: Names of the batch norms that keep their running statistics, so stay in evaluation mode.
    """

    parameters: frozenset[str]
    norms: frozenset[str]


def frozen_by(model: nn.Module, settings: PhaseSettings, backbone: tuple[str, ...]) -> FrozenPart:
    """Return what a phase freezes in a model.

    Args:
        model: The model.
        settings: The settings of the phase, of which `freeze` is used.
        backbone: Prefixes of the names of the backbone's parameters.

    Raises:
        UsageError: the model has no such part, or nothing would be left to train.
    """
    norms = {name for name, module in model.named_modules() if isinstance(module, _BatchNorm)}
    trainable = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    parameters: set[str] = set()
    frozen_norms: set[str] = set()
    if "backbone" in settings.freeze:
        # Attention inside a pretrained backbone is newly initialised, so it keeps training.
        attention = tuple(f"{name}." for name, module in model.named_modules() if isinstance(module, BLOCKS))
        parameters |= {
            name for name in trainable if backbone and name.startswith(backbone) and not name.startswith(attention)
        }
        frozen_norms |= {name for name in norms if backbone and f"{name}.weight".startswith(backbone)}
        if not parameters:
            raise UsageError("freeze: the model has no trainable backbone to freeze")
    if "norms" in settings.freeze:
        if not norms:
            raise UsageError("freeze: the model has no batch norms to freeze")
        parameters |= {name for name in trainable if name.rpartition(".")[0] in norms}
        frozen_norms |= norms
    if parameters >= trainable:
        raise UsageError(f"freeze: with {' and '.join(sorted(settings.freeze))} frozen, nothing is left to train")
    return FrozenPart(frozenset(parameters), frozenset(frozen_norms))


def check_dropout(model: nn.Module, settings: PhaseSettings) -> None:
    """Check that the model has dropout layers if the settings give a dropout probability.

    Raises:
        UsageError: it has none.
    """
    if settings.dropout is not None and not any(isinstance(module, _DropoutNd) for module in model.modules()):
        raise UsageError("dropout: the model has no dropout layers; omit the option")


class FreezeSchedule:
    """Freezes and unfreezes the parts of a model phase by phase, and sets its dropout.

    Args:
        model: The model. Parameters that do not require gradients now never will.
        phases: The settings of all phases, all checked here, so that the last does not fail after hours of the first.
        backbone: Prefixes of the names of the backbone's parameters.

    Raises:
        UsageError: the model does not support a phase.
    """

    def __init__(self, model: nn.Module, phases: Sequence[PhaseSettings], backbone: tuple[str, ...]) -> None:
        self._model, self._phases = model, phases
        self._trainable = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
        self._dropout = {n: module.p for n, module in model.named_modules() if isinstance(module, _DropoutNd)}
        self._frozen = [frozen_by(model, settings, backbone) for settings in phases]
        self._phase = 0
        for settings in phases:
            check_dropout(model, settings)

    def enter(self, phase: int) -> None:
        """Apply a phase (from 0): set which parameters require gradients, and the dropout probability."""
        self._phase = phase
        trained = self._trainable - self._frozen[phase].parameters
        for name, parameter in self._model.named_parameters():
            parameter.requires_grad_(name in trained)
        for name, default in self._dropout.items():
            module, p = self._model.get_submodule(name), self._phases[phase].dropout
            assert isinstance(module, _DropoutNd)
            module.p = default if p is None else p

    def train(self) -> None:
        """Put the model in training mode, except for the batch norms that the phase freezes."""
        self._model.train()
        for name in self._frozen[self._phase].norms:
            self._model.get_submodule(name).eval()
