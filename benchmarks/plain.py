"""The plain way that fercli is measured against: what a user writes after a day with torchvision's documentation.

ImageFolder on PNG files, a DataLoader with two workers, torchvision's transforms one face at a time, float32, the
model as it comes, `loss.item()` each step.
"""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Subset
from torchvision import datasets, transforms

from fercli.models.preprocessing import Preprocessing
from fercli.recipes import Settings


def loader(
    folder: Path, preprocessing: Preprocessing, batch_size: int, settings: Settings | None, images: int
) -> DataLoader[tuple[torch.Tensor, torch.Tensor]]:
    """Return a DataLoader over a split's folder; `settings` are the augmentations (None: evaluation)."""
    gray = len(preprocessing.mean) == 1
    steps: list[object] = [transforms.Grayscale(1 if gray else 3)]
    if settings is not None:
        steps += [
            transforms.RandomHorizontalFlip(settings.flip),
            transforms.RandomAffine(
                settings.rotation,
                translate=(settings.shift, settings.shift),
                scale=(1 - settings.scale, 1 + settings.scale),
                interpolation=transforms.InterpolationMode.BILINEAR,
            ),
            transforms.ColorJitter(settings.brightness, settings.contrast),
        ]
    steps += [
        transforms.Resize(preprocessing.input_size),
        transforms.ToTensor(),
        transforms.Normalize(preprocessing.mean, preprocessing.std),
    ]
    data = datasets.ImageFolder(str(folder), transforms.Compose(steps))
    chosen = torch.randperm(len(data))[:images].tolist()
    return DataLoader(Subset(data, chosen), batch_size, shuffle=settings is not None, num_workers=2, drop_last=True)


def train(model: nn.Module, batches: DataLoader[tuple[torch.Tensor, torch.Tensor]], device: str) -> float:
    """Train one epoch; return the images per second."""
    model.to(device).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    seen, total, started = 0, 0.0, perf_counter()
    for images, labels in batches:
        images, labels = images.to(device), labels.to(device)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        total += loss.item()
        seen += len(labels)
    return seen / (perf_counter() - started)


@torch.no_grad()
def evaluate(model: nn.Module, batches: DataLoader[tuple[torch.Tensor, torch.Tensor]], device: str) -> float:
    """Evaluate; return the images per second."""
    model.to(device).eval()
    seen, right, started = 0, 0, perf_counter()
    for images, labels in batches:
        right += int((model(images.to(device)).argmax(1).cpu() == labels).sum())
        seen += len(labels)
    return seen / (perf_counter() - started)
