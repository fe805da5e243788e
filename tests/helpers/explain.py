"""A checkpoint with random weights for the tests of explain."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from fercli.emotions import EMOTIONS
from fercli.models.checkpoints import CheckpointMetadata, save_checkpoint
from fercli.models.preprocessing import Preprocessing
from fercli.models.registry import create_model, find_model


def make_checkpoint(folder: Path, emotions: Sequence[str] = EMOTIONS, seed: int = 0, scale: float = 20) -> Path:
    """Write a quick model with random weights, scaled so that predictions differ between faces."""
    torch.manual_seed(seed)
    model = create_model("quick", len(emotions))
    with torch.no_grad():
        model.classifier.weight.mul_(scale)
    metadata = CheckpointMetadata(
        architecture="quick", emotions=list(emotions), preprocessing=Preprocessing.of(find_model("quick"), 16), epoch=1
    )
    save_checkpoint(folder, model.state_dict(), metadata, "train")
    return folder
