"""Prediction and TTA views, compared with loops."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fercli.models.inference import predict, views
from fercli.models.preprocessing import Preprocessing

CPU = torch.device("cpu")
PREPROCESSING = Preprocessing(input_size=14, mean=(0.4,), std=(0.3,))


class Net(nn.Module):
    """A small network with batch norm and dropout, which behave differently in training."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Flatten())
        self.head = nn.Linear(4 * 12 * 12, 3)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.body(x)) * 3
        return logits


def random_faces(count: int = 9, side: int = 20) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 1, side, side), dtype=torch.uint8, generator=generator)


@torch.no_grad()
def reference(model: nn.Module, faces: Tensor, tta: str) -> Tensor:
    """Predict one face and one view at a time."""
    model.eval()
    rows = []
    for face in faces:
        pixels = face[None].float() / 255
        if tta == "ten-crop":
            pixels = F.interpolate(pixels, (16, 16), mode="bilinear", antialias=True)  # 14 * 8 / 7
            places = [(0, 0), (0, 2), (2, 0), (2, 2), (1, 1)]
            crops = [pixels[:, :, top : top + 14, left : left + 14] for top, left in places]
        else:
            crops = [F.interpolate(pixels, (14, 14), mode="bilinear", antialias=True)]
        if tta != "none":
            crops += [torch.flip(crop, [3]) for crop in crops]
        found = torch.zeros(3)
        for crop in crops:
            found += F.softmax(model((crop - 0.4) / 0.3)[0], 0)
        rows.append(found / len(crops))
    return torch.stack(rows)


@pytest.mark.parametrize("tta", ["none", "flip", "ten-crop"])
def test_predictions_match_a_loop(tta: str) -> None:
    model, faces = Net(), random_faces()
    found = predict(model, faces, PREPROCESSING, device=CPU, tta=tta, batch_size=4)
    torch.testing.assert_close(found, reference(model, faces, tta), rtol=0, atol=1e-6)
    assert found.dtype == torch.float32


def test_tta_modes_differ() -> None:
    model, faces = Net(), random_faces()
    none, flip, ten = (predict(model, faces, PREPROCESSING, device=CPU, tta=t) for t in ("none", "flip", "ten-crop"))
    assert (none - flip).abs().max() > 0.001
    assert (flip - ten).abs().max() > 0.001


@pytest.mark.parametrize(("tta", "count"), [("none", 1), ("flip", 2), ("ten-crop", 10)])
def test_number_and_size_of_views(tta: str, count: int) -> None:
    found = list(views(random_faces().float(), PREPROCESSING, tta))
    assert [tuple(view.shape) for view in found] == [(9, 1, 14, 14)] * count
    for face, mirrored in zip(found[::2], found[1::2], strict=False):
        assert torch.equal(face.flip(3), mirrored)


@pytest.mark.parametrize("tta", ["none", "ten-crop"])
def test_batch_size_does_not_affect_results(tta: str) -> None:
    model, faces = Net(), random_faces()
    whole = predict(model, faces, PREPROCESSING, device=CPU, tta=tta, batch_size=100)
    for batch_size in (1, 2, 8, 9):
        part = predict(model, faces, PREPROCESSING, device=CPU, tta=tta, batch_size=batch_size)
        torch.testing.assert_close(part, whole, rtol=0, atol=1e-6)


@pytest.mark.parametrize("training", [True, False])
def test_mode_and_statistics_are_preserved(training: bool) -> None:
    model = Net().train(training)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    predict(model, random_faces(), PREPROCESSING, device=CPU)
    assert model.training is training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_progress_counts_faces() -> None:
    counts: list[int] = []
    predict(Net(), random_faces(), PREPROCESSING, device=CPU, batch_size=4, tta="flip", advance=counts.append)
    assert counts == [4, 4, 1]
