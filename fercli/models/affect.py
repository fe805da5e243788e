"""Models that also predict valence and arousal: two more outputs of the last layer.

A model that is built for two more classes has a second linear head on the features that go into its classifier. The
logits of the emotions are the first outputs; x / (1 + |x|) of the last two is valence and arousal, in -1..1, as they
are annotated. (On drawn faces the hyperbolic tangent saturated at the learning rates of the recipes, and did not
recover; without either, the squared error of the first steps was large enough to ruin the emotions.)

Without its parts for these two, it is the model of the emotions alone. That is what everything but evaluate and predict
uses, so that logits are (B, emotions) everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fercli.datasets.affect import AFFECT
from fercli.errors import UsageError
from fercli.models.registry import create_model, emotion_axes
from fercli.models.spec import ModelSpec, Options

_TOLERANCE = 1e-3
"""Maximum difference of logits, relative to the largest: sums over other shapes are rounded differently."""


def split_outputs(outputs: Tensor, emotions: int) -> tuple[Tensor, Tensor]:
    """Return the logits of the emotions, (…, emotions), and valence and arousal, (…, 2), of outputs (…, emotions + 2).

    Without the two more outputs, the second is (…, 0).
    """
    return outputs[..., :emotions], F.softsign(outputs[..., emotions:])


def emotion_model(spec: ModelSpec, options: Options, state: Mapping[str, Tensor], emotions: int) -> nn.Module:
    """Return the model of the emotions alone, in evaluation mode.

    Args:
        spec: The model's spec.
        options: The model's options.
        state: The state_dict of the model with two more outputs.
        emotions: Number of emotions.
    """
    axes = emotion_axes(spec, options)
    parts = {name: t.narrow(axes[name], 0, emotions) if name in axes else t for name, t in state.items()}
    model = create_model(spec.name, emotions, **options)
    model.load_state_dict(parts)
    return model.eval()


def check_separable(model: nn.Module, spec: ModelSpec, options: Options, emotions: int, side: int) -> None:
    """Check that a model's logits of the emotions do not depend on the two more outputs.

    Args:
        model: Built with `options` for two more classes, on the CPU; its mode is restored.
        spec: The model's spec.
        options: The model's options.
        emotions: Number of emotions.
        side: Input size, pixels.

    Raises:
        UsageError: they do, as where the model itself normalises its outputs to a distribution.
    """
    faces = torch.randn(2, spec.channels, side, side, generator=torch.Generator().manual_seed(0))
    modes = [(module, module.training) for module in model.modules()]
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        alone = emotion_model(spec, options, model.state_dict(), emotions)(faces)
        outputs = model.eval()(faces)
    for module, training in modes:
        module.training = training
    whole = outputs[:, :emotions]
    separable = outputs.shape[1] == emotions + len(AFFECT) and whole.shape == alone.shape
    if not separable or float((whole - alone).abs().max()) > _TOLERANCE * float(alone.abs().max()):
        raise UsageError(
            f"targets both: model {spec.name} cannot predict valence and arousal, since its outputs depend on each "
            "other; use another model, or train on the emotions alone"
        )
