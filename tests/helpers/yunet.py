"""A stand-in for YuNet with its inputs and outputs: it finds bright spots, as faces of three cells."""

from __future__ import annotations

from pathlib import Path

import numpy as np

SIDE = 3.0
"""Width of its faces in cells; they are a fifth higher."""


def write_yunet(file: Path, threshold: float = 150.0) -> Path:
    """Write it as an ONNX file.

    Args:
        file: The file.
        threshold: Mean brightness of a cell of 32 pixels from which it is a face.
    """
    import onnx
    from onnx.helper import make_node, make_tensor_value_info

    nodes, weights, outputs = [], [], []

    def constant(name: str, value: np.ndarray) -> str:
        weights.append(onnx.numpy_helper.from_array(value, name))
        return name

    for stride in (8, 16, 32):
        nodes.append(
            make_node("AveragePool", ["input"], [f"mean{stride}"], kernel_shape=[stride] * 2, strides=[stride] * 2)
        )
        cells = (640 // stride) ** 2
        sides = np.log([SIDE, 1.2 * SIDE])
        for part, size in {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}.items():
            kernel, bias = np.zeros((size, 3, 1, 1), np.float32), np.zeros(size, np.float32)
            if size == 1:
                kernel[:] = 0.1 / 3 if stride == 32 else 0  # only the largest cells find anything
                bias[:] = -0.1 * threshold if stride == 32 else -20
            elif size == 4:
                bias[:] = [0.5, 0.5, *sides]
            name = f"{part}_{stride}"
            given = [f"mean{stride}", constant(f"w_{name}", kernel), constant(f"b_{name}", bias)]
            nodes.append(make_node("Conv", given, [f"c_{name}"], kernel_shape=[1, 1]))
            last = f"c_{name}"
            if size == 1:
                nodes.append(make_node("Sigmoid", [last], [f"s_{name}"]))
                last = f"s_{name}"
            nodes.append(make_node("Transpose", [last], [f"t_{name}"], perm=[0, 2, 3, 1]))
            shape = constant(f"n_{name}", np.array([1, -1, size]))
            nodes.append(make_node("Reshape", [f"t_{name}", shape], [name]))
            outputs.append(make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, cells, size]))
    graph = onnx.helper.make_graph(
        nodes, "yunet", [make_tensor_value_info("input", onnx.TensorProto.FLOAT, [1, 3, 640, 640])], outputs, weights
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 11)])
    model.ir_version = 6
    onnx.save(model, file)
    return file


def bright_photograph(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Return a dark photograph, uint8 (H, W, 3), with soft bright spots, also at its edges."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    light = np.zeros((height, width))
    for _ in range(3):
        cy, cx = generator.uniform(0, height), generator.uniform(0, width)
        light += np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * (max(height, width) / 9) ** 2))
    noise = generator.normal(0, 20, (height, width, 3))
    return (60 + 190 * light[..., None] + noise).clip(0, 255).astype(np.uint8)
