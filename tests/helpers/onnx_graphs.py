"""Running parts of graphs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fercli.stages.export.photograph.nodes import Nodes


def run(build: Callable[[Nodes], str], **inputs: np.ndarray) -> Any:
    """Return the value of a graph that `build` adds, for inputs by name."""
    return run_all(lambda g: {"out": build(g)}, **inputs)["out"]


def run_all(build: Callable[[Nodes], Mapping[str, str]], **inputs: np.ndarray) -> dict[str, Any]:
    """Return the values of a graph, by name."""
    import onnx
    import onnxruntime

    g = Nodes("test/")
    names = dict(build(g))
    for name, value in names.items():
        g.name(value, f"out_{name}")
    info = onnx.helper.make_tensor_value_info
    kinds = {name: onnx.helper.np_dtype_to_tensor_dtype(array.dtype) for name, array in inputs.items()}
    given = [info(name, kinds[name], [None] * array.ndim) for name, array in inputs.items()]
    made = [onnx.ValueInfoProto(name=f"out_{name}") for name in names]
    graph = onnx.helper.make_graph(g.nodes, "test", given, made)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)])
    model.ir_version = 10
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return dict(zip(names, session.run([f"out_{name}" for name in names], inputs), strict=True))
