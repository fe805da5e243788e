"""Penultimate features: the last layer maps them to the logits."""

import numpy as np
import pytest
import torch

from fercli.emotions import EMOTIONS
from fercli.errors import DataError
from fercli.models.checkpoints import Checkpoint, CheckpointMetadata
from fercli.models.features import predict_with_features
from tests.helpers.datasets import noise
from tests.helpers.models import Member, each_family


def checkpoint_of(member: Member, tmp_path: object) -> Checkpoint:
    torch.manual_seed(0)
    metadata = CheckpointMetadata(
        architecture=member.spec.name, emotions=list(EMOTIONS), preprocessing=member.preprocessing
    )
    return Checkpoint(tmp_path, metadata, member.build().eval(), "")  # type: ignore[arg-type]


@each_family
def test_features_do_not_depend_on_the_batch(member: Member, tmp_path: object) -> None:
    checkpoint = checkpoint_of(member, tmp_path)
    images = noise(1, 3, 24, 24)
    probabilities, features = predict_with_features(checkpoint, images, device=torch.device("cpu"))
    assert probabilities.shape == (3, 7)
    assert features.shape[0] == 3
    assert features.shape[1] > 7
    _, alone = predict_with_features(checkpoint, images, device=torch.device("cpu"), batch_size=1)
    np.testing.assert_allclose(features, alone, rtol=1e-3, atol=1e-4)


@each_family
def test_last_layer_maps_features_to_logits(member: Member, tmp_path: object) -> None:
    if member.spec.family in ("arbex", "patt_lite"):
        pytest.skip("its logits depend on more than the last layer")
    checkpoint = checkpoint_of(member, tmp_path)
    probabilities, features = predict_with_features(checkpoint, noise(2, 3, 24, 24), device=torch.device("cpu"))
    heads = [m for m in checkpoint.model.modules() if isinstance(m, torch.nn.Linear) and m.out_features == 7]
    logits = heads[-1](torch.from_numpy(features))
    np.testing.assert_allclose(logits.softmax(1).detach().numpy(), probabilities, rtol=1e-3, atol=1e-5)


def test_model_without_a_final_linear_layer_is_rejected(tmp_path: object) -> None:
    from tests.helpers.models import FAMILIES

    quick = next(member for member in FAMILIES if member.spec.family == "quick")
    checkpoint = checkpoint_of(quick, tmp_path)
    channels = quick.spec.channels
    model = torch.nn.Sequential(torch.nn.Conv2d(channels, 7, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    bare = Checkpoint(checkpoint.path, checkpoint.metadata, model, "")
    with pytest.raises(DataError, match="does not end in a fully connected layer"):
        predict_with_features(bare, noise(1, 2, 24, 24), device=torch.device("cpu"))
