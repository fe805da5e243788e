"""Photographs with faces at known positions, and a small network that detects bright squares."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image

from fercli.images import Pixels, read_image

HOPPER = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
"""A portrait that comes with matplotlib."""
HEAD = (120, 60, 400, 340)
"""Head and shoulders in it: left, top, right, bottom; the face is in the centre."""
SIDE = 32
"""Side of the small network's input."""


@cache
def head(side: int) -> Image.Image:
    """Return the portrait's head as a square."""
    return Image.fromarray(read_image(HOPPER)).crop(HEAD).resize((side, side), Image.Resampling.BOX)


def photograph(*heads: tuple[int, int, int], width: int = 160, height: int = 120, light: int = 0) -> Pixels:
    """Return an RGB photograph with a head at each (left, top, side), on a smooth background."""
    ramp = np.linspace(90, 150, width)[None].repeat(height, 0)
    image = Image.fromarray(np.stack([ramp, ramp + 10, ramp + 20], -1).astype(np.uint8))
    for left, top, side in heads:
        image.paste(head(side), (left, top))
    return np.clip(np.asarray(image).astype(int) + light, 0, 255).astype(np.uint8)


def write_network(path: Path, *, size: object = SIDE, columns: int = 16, outputs: int = 1, title: str = "a") -> Path:
    """Write an ONNX file with YOLOv5-face's tensors that detects each bright 8 x 8 square of a grid as a face.

    Its objectness is the square's mean red, its class score 1, its box the square, its landmarks five points in it.
    """
    from onnx import TensorProto, helper, numpy_helper, save

    cells = SIDE // 8
    y, x = (grid.reshape(-1, 1) * 8.0 for grid in np.mgrid[:cells, :cells])
    boxes = np.concatenate([x + 4, y + 4, np.full_like(x, 8), np.full_like(x, 8)], 1)
    marks = np.concatenate(
        [part for dx, dy in ((2, 2), (6, 2), (4, 4), (2, 6), (6, 6)) for part in (x + dx, y + dy)], 1
    )
    tensors = {
        "boxes": boxes[None].astype(np.float32),
        "marks": marks[None].astype(np.float32),
        "sure": np.ones((1, cells**2, columns - 15), np.float32),
        "first": np.array([0]),
        "one": np.array([1]),
        "channel": np.array([1]),
        "rows": np.array([1, cells**2, 1]),
    }
    nodes = [
        helper.make_node("Slice", ["input", "first", "one", "channel"], ["red"]),
        helper.make_node("AveragePool", ["red"], ["mean"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Reshape", ["mean", "rows"], ["face"]),
        helper.make_node("Concat", ["boxes", "face", "marks", "sure"], ["output"], axis=2),
    ]
    shapes = {"output": [1, cells**2, columns], "face": [1, cells**2, 1]}
    graph = helper.make_graph(
        nodes,
        title,
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, size, size])],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, shapes[n]) for n in list(shapes)[:outputs]],
        [numpy_helper.from_array(value, name) for name, value in tensors.items()],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def squares(*cells: tuple[int, int], background: int = 0) -> Pixels:
    """Return a 64 x 64 grey photograph with a white square in each given (row, column) of a 4 x 4 grid."""
    pixels = np.full((64, 64), background, np.uint8)
    for row, column in cells:
        pixels[row * 16 : row * 16 + 16, column * 16 : column * 16 + 16] = 255
    return pixels
