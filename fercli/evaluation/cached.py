"""Predictions for faces that a probe's encoder may have seen already, by the cache of features."""

from __future__ import annotations

from collections.abc import Callable

import torch

from fercli.evaluation.predicting import Floats, predict_images
from fercli.images import Pixels
from fercli.models.checkpoints import Checkpoint
from fercli.models.feature_cache import FrozenEncoder, cached_features
from fercli.models.inference import predict
from fercli.models.probe import FeaturePreprocessing, Probe


def predict_cached(
    checkpoint: Checkpoint, faces: Pixels, *, device: torch.device, advance: Callable[[int], None] | None = None
) -> Floats:
    """Return what `predict_images` does; the encoder of a probe computes only the features that the cache lacks.

    Args:
        checkpoint: The checkpoint.
        faces: uint8 (N, H, W) or (N, H, W, 3).
        device: Device to compute on.
        advance: Progress callback, called with the number of faces of each batch.
    """
    model, metadata = checkpoint.model, checkpoint.metadata
    if not isinstance(model, Probe):
        return predict_images(checkpoint, faces, device=device, advance=advance)
    encoder = FrozenEncoder(metadata.architecture, model.encoder, metadata.preprocessing)
    features = cached_features(encoder, torch.from_numpy(faces), device)
    found: Floats = predict(
        model.without_encoder(),
        features[:, None],
        FeaturePreprocessing(**metadata.preprocessing.model_dump(), width=features.shape[1]),
        device=device,
        temperature=metadata.temperature,
        advance=advance,
    ).numpy()
    return found
