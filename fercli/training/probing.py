"""Training of a probe: its head alone, on the cached features of its encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fercli.models.feature_cache import FrozenEncoder, cached_features
from fercli.models.probe import FeaturePreprocessing, Probe
from fercli.packs.features import FaceReader, FeatureDataset, with_features
from fercli.packs.loading import PackDataset
from fercli.progress import Progress
from fercli.recipes import PhaseSettings


@dataclass(frozen=True)
class HeadTraining:
    """What the training of a probe's head takes in place of the model and its faces.

    Attributes:
        model: The probe without its encoder.
        preprocessing: That of features.
        train: The features of the train split, with those of the mirrored faces if a phase flips them.
        validation: The features of the validation split.
        frozen: The encoder's tensors, under their names in the whole model.
    """

    model: Probe
    preprocessing: FeaturePreprocessing
    train: FeatureDataset
    validation: FeatureDataset
    frozen: dict[str, Tensor]


def head_training(
    model: Probe,
    encoder: FrozenEncoder,
    train: PackDataset,
    validation: PackDataset,
    phases: Sequence[PhaseSettings],
    device: torch.device,
    *,
    progress: Progress,
) -> HeadTraining:
    """Return the training of a probe's head; the features that the cache lacks are computed.

    Of several processes of a training one computes them, while the others wait for the cache.

    Args:
        model: The whole probe.
        encoder: Its encoder.
        train: The faces of the train split, on the CPU.
        validation: Those of the validation split.
        phases: The settings of each phase.
        device: Device to compute and train on.
        progress: Progress callback.
    """
    flips = any(settings.flip or settings.alternating_flip for settings in phases)
    faces, others = FaceReader(train), FaceReader(validation)
    views = [cached_features(encoder, faces, device, progress=progress)]
    if flips:
        views.append(cached_features(encoder, faces, device, mirrored=True, progress=progress))
    held = cached_features(encoder, others, device, progress=progress)
    return HeadTraining(
        model.without_encoder(),
        FeaturePreprocessing(**encoder.preprocessing.model_dump(), width=held.shape[1]),
        with_features(train, torch.stack(views, 1), device),
        with_features(validation, held[:, None], device),
        {f"encoder.{name}": tensor for name, tensor in model.encoder.state_dict().items()},
    )
