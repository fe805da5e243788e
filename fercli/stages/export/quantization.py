"""Smaller files: weights in half precision, or a network in int8, calibrated on faces."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fercli.exported import INPUT
from fercli.images import Pixels
from fercli.stages.export.onnx_file import read_onnx

_BATCH = 32
_WEIGHTED = ["Conv", "Gemm", "MatMul"]


def to_float16(proto: Any, network: Sequence[str]) -> None:
    """Store the network's weights in half precision; they are cast before use, and the network computes in float32.

    So it gives the same answers everywhere: many runtimes cannot compute in half precision on a CPU.
    """
    import onnx

    own = {name for node in proto.graph.node if node.name in set(network) for name in node.input}
    casts = []
    for tensor in proto.graph.initializer:
        if tensor.name not in own or tensor.data_type != onnx.TensorProto.FLOAT:
            continue
        name, half = tensor.name, f"{tensor.name}_half"
        tensor.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor).astype(np.float16), half))
        casts.append(onnx.helper.make_node("Cast", [half], [name], f"{name}_cast", to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *proto.graph.node]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)


def to_int8(source: Path, target: Path, network: Sequence[str], faces: Pixels) -> None:
    """Quantise an ONNX file statically, with weights by channel.

    Args:
        source: The float32 model.
        target: Where the result is written.
        network: The names of the nodes that may be quantised.
        faces: RGB faces (N, H, W, 3) that calibrate the activations.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Faces(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._batches: Iterator[Pixels] = (faces[low : low + _BATCH] for low in range(0, len(faces), _BATCH))

        def get_next(self) -> dict[str, np.ndarray] | None:
            batch = next(self._batches, None)
            return None if batch is None else {INPUT: batch}

    own = set(network)
    kept = [node.name for node in read_onnx(source).graph.node if node.name not in own]
    logger = logging.getLogger()
    before = logger.level
    logger.setLevel(logging.ERROR)  # onnxruntime recommends another preparation, which torch's exporter has done
    try:
        quantize_static(
            str(source),
            str(target),
            Faces(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=_WEIGHTED,
            per_channel=True,
            weight_type=QuantType.QInt8,
            activation_type=QuantType.QUInt8,
            nodes_to_exclude=kept,
            extra_options={"MatMulConstBOnly": True},
        )
    finally:
        logger.setLevel(before)
