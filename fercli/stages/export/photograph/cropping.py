"""Cropping in the graph: `fercli.faces.cropping.crop_face` without margin and alignment, pixel by pixel."""

from __future__ import annotations

import numpy as np

from fercli.faces.cropping import MAX_WARP
from fercli.stages.export.photograph.nodes import Nodes

_STEPS, _FINE = 32, 1024
"""OpenCV's warpAffine takes positions to 1/32 of a pixel, rounded from 1/1024."""


def crops(g: Nodes, photo: str, boxes: str, number: str, size: int) -> str:
    """Add a loop over faces.

    Args:
        g: The graph.
        photo: uint8 (H, W, 3).
        boxes: float64 (K, 4): left, top, width, height.
        number: How many faces, K, int64.
        size: Side of the crops.

    Returns:
        The crops, uint8 (K, size, size, 3).
    """
    import onnx

    body = Nodes(f"{g.prefix}crop/")
    body.name("loop_going", "loop_still")
    body.name(_crop(body, photo, body("Gather", boxes, "loop_face", axis=0), size), "loop_crop")
    value = onnx.helper.make_tensor_value_info
    types = onnx.TensorProto
    graph = onnx.helper.make_graph(
        body.nodes,
        "crop",
        [value("loop_face", types.INT64, []), value("loop_going", types.BOOL, [])],
        [value("loop_still", types.BOOL, []), value("loop_crop", types.UINT8, [size, size, 3])],
    )
    return g("Loop", number, np.array(True), body=graph)


def _crop(g: Nodes, photo: str, box: str, size: int) -> str:
    """Add the crop of one face, uint8 (size, size, 3)."""
    left, top, width, height = (g("Gather", box, k) for k in range(4))
    side = g("Max", width, height)
    # Warp at about the photograph's own resolution, then average whole blocks.
    blocks = g.cast(g("Ceil", g("Div", side, float(size))), np.int64)
    blocks = g("Max", 1, g("Min", blocks, MAX_WARP // size))
    fine = g("Mul", blocks, size)
    step = g("Div", side, g.cast(fine, np.float64))
    shape = g("Shape", photo)
    starts, ends, samples = [], [], []
    for axis, (start, extent) in enumerate(((top, height), (left, width))):
        first = g("Sub", g("Add", start, g("Div", extent, 2.0)), g("Div", side, 2.0))
        length = g("Gather", shape, axis)
        low = g("Sub", g.cast(g("Floor", first), np.int64), 2)
        low = g("Max", 0, g("Min", low, g("Sub", length, 1)))
        high = g("Add", g.cast(g("Ceil", g("Add", first, side)), np.int64), 2)
        high = g("Max", g("Add", low, 1), g("Min", high, length))
        offset = g.sum(first, g("Mul", step, 0.5), -0.5, g("Neg", g.cast(low, np.float64)))
        samples.append(_positions(g, offset, step, fine, g("Sub", high, low), together=axis == 0))
        starts.append(low)
        ends.append(high)
    region = g("Slice", photo, g.join(*starts), g.join(*ends), np.array([0, 1]))
    warped = region
    for axis, (near, far, share) in enumerate(samples):
        shares = g("Reshape", share, np.array([-1, 1, 1]) if axis == 0 else np.array([1, -1, 1]))
        one, other = (g.cast(g("Gather", warped, index, axis=axis), np.float32) for index in (near, far))
        warped = g("Add", g("Mul", one, g("Sub", np.array(1, np.float32), shares)), g("Mul", other, shares))
    warped = g("Floor", g("Add", warped, np.array(0.5, np.float32)))
    tiles = g("Reshape", warped, g.join(size, blocks, size, blocks, 3))
    total = g("ReduceSum", tiles, np.array([1, 3]), keepdims=0)
    pixels = g.cast(g("Mul", blocks, blocks), np.float32)
    mean = g("Mul", total, g("Div", np.array(1, np.float32), pixels))
    # As in OpenCV: halves to even, but upwards for blocks of two by two.
    upwards = g("Floor", g("Add", mean, np.array(0.5, np.float32)))
    return g.cast(g("Where", g("Equal", blocks, 2), upwards, g("Round", mean)), np.uint8)


def _positions(g: Nodes, offset: str, step: str, number: str, length: str, *, together: bool) -> tuple[str, str, str]:
    """Return for each sample the two source pixels that it lies between, and the share of the second.

    Args:
        g: The graph.
        offset: Position of the first sample.
        step: Distance of samples.
        number: How many.
        length: Source pixels; beyond them it is reflected.
        together: Whether offset and multiples of the step are rounded as one, as OpenCV does for rows.
    """
    multiples = g("Mul", g.cast(g.count(number), np.float64), step)
    parts = [g("Add", multiples, offset)] if together else [multiples, offset]
    rounded = [g.cast(g("Round", g("Mul", part, float(_FINE))), np.int64) for part in parts]
    half = _FINE // _STEPS // 2
    steps = _floor_div(g, g.sum(*rounded, half), _FINE // _STEPS)
    near = _floor_div(g, steps, _STEPS)
    share = g.cast(g("Sub", steps, g("Mul", near, _STEPS)), np.float32)
    share = g("Div", share, np.array(_STEPS, np.float32))
    return _reflect(g, near, length), _reflect(g, g("Add", near, 1), length), share


def _floor_div(g: Nodes, value: str, by: int) -> str:
    return g("Div", g("Sub", value, g("Mod", value, by)), by)  # Mod has the sign of the divisor, Div truncates


def _reflect(g: Nodes, index: str, length: str) -> str:
    """Return indices reflected at the edges, whose pixels are repeated."""
    period = g("Mul", length, 2)
    inside = g("Mod", index, period)
    return g("Min", inside, g("Sub", g("Sub", period, 1), inside))
