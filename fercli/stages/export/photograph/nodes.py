"""Building ONNX graphs from expressions."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Value = str | float | npt.NDArray[Any]
"""The name of a value, or a constant: an integer is int64, a float is float64."""


class Nodes:
    """The nodes of a graph, in order; each call adds one and returns the name of its output.

    Args:
        prefix: Prefix of all names, unique among graphs that are merged.
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.nodes: list[Any] = []

    def __call__(self, operator: str, *inputs: Value, **attributes: Any) -> str:
        """Add a node with one output."""
        return self.add(operator, inputs, 1, attributes)[0]

    def add(self, operator: str, inputs: tuple[Value, ...], outputs: int, attributes: dict[str, Any]) -> list[str]:
        """Add a node, and return the names of its outputs."""
        import onnx

        given = [value if isinstance(value, str) else self.constant(value) for value in inputs]
        name = f"{self.prefix}{len(self.nodes)}_{operator}"
        names = [f"{name}_{number}" for number in range(outputs)]
        self.nodes.append(onnx.helper.make_node(operator, given, names, name=name, **attributes))
        return names

    def constant(self, value: float | npt.NDArray[Any]) -> str:
        """Add a constant."""
        import onnx

        array = (
            value if isinstance(value, np.ndarray) else np.array(value, np.int64 if isinstance(value, int) else None)
        )
        return self.add("Constant", (), 1, {"value": onnx.numpy_helper.from_array(array)})[0]

    def name(self, value: str, name: str) -> None:
        """Give a value a name of its own, such as that of an output."""
        import onnx

        self.nodes.append(onnx.helper.make_node("Identity", [value], [name], name=f"{self.prefix}{name}"))

    def cast(self, value: Value, dtype: type[np.generic]) -> str:
        """Convert to a type; floats to integers towards zero."""
        import onnx

        return self("Cast", value, to=onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def sum(self, *values: Value) -> str:
        """Add two or more values."""
        found, *rest = values
        for value in rest:
            found = self("Add", found, value)
        assert isinstance(found, str)
        return found

    def column(self, values: Value, number: int) -> str:
        """Return a column of a matrix as a vector."""
        return self("Gather", values, number, axis=1)

    def stack(self, *vectors: Value) -> str:
        """Return vectors as the columns of a matrix."""
        return self("Concat", *(self("Unsqueeze", vector, np.array([1])) for vector in vectors), axis=1)

    def join(self, *scalars: Value) -> str:
        """Return scalars as a vector."""
        return self("Concat", *(self("Unsqueeze", scalar, np.array([0])) for scalar in scalars), axis=0)

    def count(self, number: Value) -> str:
        """Return the integers from 0 to a number, exclusive."""
        return self("Range", 0, number, 1)
