"""Detection in the graph: as `fercli.faces.yunet`, with OpenCV's resizing and its decoding of YuNet's outputs."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fercli.faces.yunet import MAX_IOU, MAX_SIDE, MIN_SCORE, MIN_SIDE
from fercli.stages.export.photograph.nodes import Nodes

STRIDES = (8, 16, 32)
PARTS = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
"""YuNet's outputs for each stride, and their columns."""
_MAX_CANDIDATES = 5000
"""OpenCV's default."""


class Reduced(NamedTuple):
    """A photograph at the detector's size.

    Attributes:
        image: The network's input, float32 (1, 3, height, width), padded to whole cells of the largest stride.
        padded: Height and width of that, int64.
        sides: Height and width of the photograph, float64.
        scales: Vertical and horizontal scale, float64.
    """

    image: str
    padded: tuple[str, str]
    sides: tuple[str, str]
    scales: tuple[str, str]


def reduce_photograph(g: Nodes, photo: str) -> Reduced:
    """Add the resizing of a photograph, uint8 (H, W, 3)."""
    shape = g("Shape", photo)
    sides = [g("Gather", shape, number) for number in (0, 1)]
    longest = g("Max", *sides)
    target = g("Min", longest, MAX_SIDE, g("Max", MIN_SIDE, g("Div", longest, 2)))
    factor = g("Div", g.cast(target, np.float64), g.cast(longest, np.float64))
    wide = tuple(g.cast(side, np.float64) for side in sides)
    inner = [g("Max", 1, g.cast(g("Round", g("Mul", side, factor)), np.int64)) for side in wide]
    scales = tuple(g("Div", g.cast(new, np.float64), old) for new, old in zip(inner, wide, strict=True))
    steps = [g("Div", 1.0, scale) for scale in scales]
    # OpenCV sums whole blocks if both steps are whole numbers, and weights pixels otherwise.
    blocks = g("And", *(g("Equal", step, g("Round", step)) for step in steps))
    x = g.cast(photo, np.float32)
    for axis in (1, 0):
        x = _area(g, x, axis, inner[axis], steps[axis], blocks)
    one = np.array(1, np.float32)
    x = g("Mul", x, g("Where", blocks, g("Div", one, g.cast(g("Mul", *steps), np.float32)), one))
    # It rounds halves to even, but upwards where exactly two by two pixels are averaged.
    halved = g("And", *(g("Equal", step, 2.0) for step in steps))
    small = g("Where", halved, g("Floor", g("Add", x, np.array(0.5, np.float32))), g("Round", x))
    image = g(
        "Unsqueeze", g("Transpose", g("Gather", small, np.array([2, 1, 0]), axis=2), perm=[2, 0, 1]), np.array([0])
    )
    padded = tuple(g("Mul", g("Div", g("Add", side, STRIDES[-1] - 1), STRIDES[-1]), STRIDES[-1]) for side in inner)
    more = [g("Sub", whole, side) for whole, side in zip(padded, inner, strict=True)]
    image = g("Pad", image, g.join(0, 0, 0, 0, 0, 0, *more))
    return Reduced(image, padded, wide, scales)  # type: ignore[arg-type]


def _area(g: Nodes, x: str, axis: int, length: str, step: str, blocks: str) -> str:
    """Add an average, or a sum for `blocks`, over the source pixels of each pixel along an axis.

    The pixels are added one after the other, in float32, in OpenCV's order: halves are frequent, and how they are
    rounded must not depend on the order of additions.
    """
    import onnx

    source = g("Gather", g("Shape", x), axis)
    start = g("Mul", g.cast(g.count(length), np.float64), step)
    end = g("Add", start, step)
    cell = g("Min", step, g("Sub", g.cast(source, np.float64), start))
    last = g("Min", g.cast(g("Floor", end), np.int64), g("Sub", source, 1))
    first = g("Min", g.cast(g("Ceil", start), np.int64), last)
    before, after = g("Sub", g.cast(first, np.float64), start), g("Sub", end, g.cast(last, np.float64))
    after = g("Min", g("Min", after, 1.0), cell)
    negligible = 1e-3
    before, after = (g("Where", g("Greater", part, negligible), part, 0.0) for part in (before, after))
    cell = g("Where", blocks, 1.0, cell)
    # One iteration for each neighbour: that which is covered in part, the whole ones, and the other part.
    body = Nodes(f"{g.prefix}area{axis}/")
    at = body("Add", body("Sub", first, 1), "loop_number")
    weight = body("Where", body("Less", at, first), before, body("Where", body("Less", at, last), 1.0, after))
    weight = body("Where", body("Greater", at, last), 0.0, weight)
    column = np.array([-1, 1, 1]) if axis == 0 else np.array([1, -1, 1])
    share = body("Reshape", body.cast(body("Div", weight, cell), np.float32), column)
    inside = body("Max", 0, body("Min", at, body("Sub", source, 1)))
    body.name(body("Add", "loop_sum", body("Mul", body("Gather", x, inside, axis=axis), share)), "loop_next")
    body.name("loop_going", "loop_still")
    value, types = onnx.helper.make_tensor_value_info, onnx.TensorProto
    graph = onnx.helper.make_graph(
        body.nodes,
        f"area{axis}",
        [
            value("loop_number", types.INT64, []),
            value("loop_going", types.BOOL, []),
            value("loop_sum", types.FLOAT, [None, None, 3]),
        ],
        [value("loop_still", types.BOOL, []), value("loop_next", types.FLOAT, [None, None, 3])],
    )
    zero = g("Mul", g("Gather", x, g.count(length), axis=axis), np.array(0, np.float32))
    return g("Loop", g("Add", g.cast(g("Ceil", step), np.int64), 2), np.array(True), zero, body=graph)


class Found(NamedTuple):
    """Faces, largest first: boxes (K, 4) as left, top, width, height; landmarks (K, 10); both float64; scores (K,)."""

    boxes: str
    landmarks: str
    scores: str


def decode(g: Nodes, reduced: Reduced, outputs: dict[str, str]) -> Found:
    """Add the decoding of the network's outputs, by the names `cls_8`, …, to faces in the photograph."""
    rows = g("Concat", *(_cells(g, reduced, stride, outputs) for stride in STRIDES), axis=0)
    sure = g("GreaterOrEqual", g.column(rows, 14), np.float32(MIN_SCORE) * np.ones((), np.float32))
    rows = g("Gather", rows, g("Squeeze", g("NonZero", sure), np.array([0])), axis=0)
    # OpenCV suppresses by boxes of whole numbers.
    left, top, width, height = (g.cast(g.cast(g.column(rows, k), np.int32), np.float32) for k in range(4))
    corners = g.stack(top, left, g("Add", top, height), g("Add", left, width))
    chosen = g(
        "NonMaxSuppression", g("Unsqueeze", corners, np.array([0])),
        g("Unsqueeze", g.column(rows, 14), np.array([0, 1])), np.array([_MAX_CANDIDATES]),
        np.array([MAX_IOU], np.float32), np.array([MIN_SCORE], np.float32),
    )  # fmt: skip
    rows = g.cast(g("Gather", rows, g.column(chosen, 2), axis=0), np.float64)
    return _in_photograph(g, reduced, rows)


def _cells(g: Nodes, reduced: Reduced, stride: int, outputs: dict[str, str]) -> str:
    """Return a stride's candidates, (N, 15): left, top, width, height, landmarks, score, at the detector's size."""
    columns = g("Div", reduced.padded[1], stride)
    number = g.count(g("Mul", columns, g("Div", reduced.padded[0], stride)))
    column, row = (g.cast(g(operator, number, columns), np.float32) for operator in ("Mod", "Div"))
    cls, obj, box, points = (
        g("Reshape", outputs[f"{part}_{stride}"], np.array([-1, size])) for part, size in PARTS.items()
    )
    one, zero, step = np.array(1, np.float32), np.array(0, np.float32), np.array(stride, np.float32)
    score = g("Sqrt", g("Mul", *(g.column(g("Clip", part, zero, one), 0) for part in (cls, obj))))
    sides = [g("Mul", g("Exp", g.column(box, k)), step) for k in (2, 3)]
    starts = [
        g("Sub", g("Mul", g("Add", cell, g.column(box, k)), step), g("Div", side, np.array(2, np.float32)))
        for k, (cell, side) in enumerate(zip((column, row), sides, strict=True))
    ]
    marks = [g("Mul", g("Add", g.column(points, k), (column, row)[k % 2]), step) for k in range(10)]
    return g.stack(*starts, *sides, *marks, score)


def _in_photograph(g: Nodes, reduced: Reduced, rows: str) -> Found:
    """Map faces to the photograph, clip their boxes to it, and sort them by size and position."""
    down, across = reduced.scales
    spans = []
    for k, scale, side in ((0, across, reduced.sides[1]), (1, down, reduced.sides[0])):
        start = g("Div", g.column(rows, k), scale)
        end = g("Div", g("Add", g.column(rows, k), g.column(rows, k + 2)), scale)
        end = g("Min", g("Add", start, g("Sub", end, start)), side)
        start = g("Max", start, 0.0)
        spans.append((start, g("Sub", end, start)))
    (left, width), (top, height) = spans
    boxes = g.stack(left, top, width, height)
    kept = g("And", g("GreaterOrEqual", width, 1.0), g("GreaterOrEqual", height, 1.0))
    area = g("Where", kept, g("Mul", width, height), -1.0)
    number = g("ReduceSum", g.cast(kept, np.int64), np.array([0]))
    order = g.count(g("Gather", g("Shape", area), 0))
    for position in (top, left):  # TopK keeps the order of equal values
        own = g("Gather", position, order)
        order = g("Gather", order, g.add("TopK", (own, g("Shape", own)), 2, {"axis": 0, "largest": 0})[1])
    order = g("Gather", order, g.add("TopK", (g("Gather", area, order), number), 2, {"axis": 0})[1])
    factors = g("Concat", *(g("Unsqueeze", (across, down)[k % 2], np.array([0])) for k in range(10)), axis=0)
    marks = g("Div", g("Slice", rows, np.array([4]), np.array([14]), np.array([1])), factors)
    scores = g.cast(g.column(rows, 14), np.float32)
    boxes, marks, scores = (g("Gather", values, order, axis=0) for values in (boxes, marks, scores))
    return Found(boxes, marks, scores)


def network(proto: Any, prefix: str, image: str, opset: int) -> tuple[list[Any], list[Any], dict[str, str]]:
    """Return YuNet's nodes and weights for images of any size, and the names of its outputs.

    Args:
        proto: YuNet's `onnx.ModelProto`.
        prefix: Prefix of its names.
        image: The name of its input in the whole graph.
        opset: The whole graph's version of ONNX's operators. Those that YuNet uses mean the same in all later ones.
    """
    import onnx

    assert opset >= proto.opset_import[0].version
    graph = onnx.compose.add_prefix_graph(proto.graph, prefix)
    renamed = {graph.input[0].name: image}
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
    return list(graph.node), list(graph.initializer), {out.name.removeprefix(prefix): out.name for out in graph.output}
