"""Building graphs from expressions."""

from __future__ import annotations

import numpy as np
import pytest

from fercli.stages.export.photograph.nodes import Nodes
from tests.helpers.onnx_graphs import run

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

X = np.array([[1.5, -2.5], [3.0, 4.0]])


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda g: g("Add", "x", 1.0), X + 1),
        (lambda g: g.cast("x", np.int64), X.astype(np.int64)),
        (lambda g: g.sum("x", "x", 2.0), 2 * X + 2),
        (lambda g: g.column("x", 1), X[:, 1]),
        (lambda g: g.stack(g.column("x", 1), g.column("x", 0)), X[:, ::-1]),
        (lambda g: g.join(3, g("Gather", g("Shape", "x"), 0)), np.array([3, 2])),
        (lambda g: g.count(3), np.arange(3)),
        (lambda g: g.constant(2), np.array(2)),
    ],
)
def test_expressions(build: object, expected: np.ndarray) -> None:
    found = run(build, x=X)  # type: ignore[arg-type]
    assert found.dtype == expected.dtype
    assert np.array_equal(found, expected)


def test_names_are_unique() -> None:
    one, other = Nodes("a/"), Nodes("b/")
    names = [g("Add", "x", number) for g in (one, other) for number in (1, 2)]
    assert len(set(names)) == 4
    assert len({node.name for g in (one, other) for node in g.nodes}) == len(one.nodes) + len(other.nodes)
