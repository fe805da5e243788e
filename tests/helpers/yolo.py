"""Small ultralytics models with known output: they detect each bright cell of 8 x 8 pixels as a face."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from fercli.faces.safe_ultralytics import safe_ultralytics

SIDE = 32
"""Side of the models' input: 4 x 4 cells."""
POINTS = ((2, 2), (6, 2), (4, 4), (2, 6), (6, 6))
"""The landmarks within a cell, in pixels."""


def need_ultralytics() -> None:
    """Skip if ultralytics is not installed; importing it to check would change other libraries."""
    if find_spec("ultralytics") is None:
        pytest.skip("ultralytics is not installed", allow_module_level=True)


def write_yolo(
    path: Path,
    *,
    names: tuple[str, ...] = ("face",),
    points: tuple[tuple[float, float], ...] = POINTS,
    **extra: Any,
) -> Path:
    """Write a `.pt` as saved by ultralytics: a pose model, or a detection model if there are no points.

    A cell's score is sigmoid(20 r - 10), where r is its mean red in 0..1; its box is the cell, its landmarks `points`.
    """
    import torch

    with safe_ultralytics():
        from ultralytics.nn.tasks import DetectionModel, PoseModel

        halves = [[-1, 1, "Conv", [8, 2, 2, 0]] for _ in range(3)]
        plan: dict[str, Any] = {"nc": len(names), "activation": "nn.Identity()", "backbone": halves}
        if points:
            plan |= {"kpt_shape": [len(points), 3], "head": [[[2], 1, "Pose", ["nc", "kpt_shape"]]]}
        else:
            plan |= {"head": [[[2], 1, "Detect", ["nc"]]]}
        model = (PoseModel if points else DetectionModel)(plan, ch=3, verbose=False)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight.fill_(1)
                module.running_mean.fill_(0)
                module.running_var.fill_(1 - module.eps)
        for layer in model.model[:3]:
            layer.conv.weight[0, 0] = 0.25
        head = model.model[3]
        head.dfl.conv.weight.copy_(torch.arange(16.0).view(1, 16, 1, 1))
        distances = head.cv2[0][2].bias.view(4, 16)
        distances.fill_(-50)
        distances[:, :2] = 50  # half of a cell to each side
        for k in (0, 1):
            head.cv3[0][k].conv.weight[0, 0, 1, 1] = 1
        head.cv3[0][2].weight[-1, 0] = 20  # the last class
        head.cv3[0][2].bias.fill_(-10)
        if points:
            marks = head.cv4[0][2].bias.view(len(points), 3)
            marks[:, :2] = torch.tensor(points) / 16
            marks[:, 2] = 5
    model.names = dict(enumerate(names))
    path.parent.mkdir(parents=True, exist_ok=True)
    settings = {"imgsz": SIDE, "task": "pose" if points else "detect"}
    torch.save({"epoch": -1, "model": model, "train_args": settings, **extra}, path)
    return path
