"""The whole graph: detector, crops and classifier in one file, and what runs it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fercli.errors import DataError
from fercli.exported import BOXES, INPUT, LANDMARKS, LOGITS, PIXELS, PROBABILITIES, SCORES
from fercli.files import read_bytes
from fercli.images import Pixels
from fercli.stages.export.photograph.cropping import crops
from fercli.stages.export.photograph.detecting import PARTS, STRIDES, decode, network, reduce_photograph
from fercli.stages.export.photograph.nodes import Nodes


def whole_model(classifier: Any, detector: Path, size: int) -> Any:
    """Return the `onnx.ModelProto` of the whole.

    Args:
        classifier: The exported classifier, an `onnx.ModelProto`.
        detector: YuNet's file.
        size: Side of the faces that the classifier was trained on.

    Raises:
        DataError: the file is not YuNet's.
    """
    import onnx

    opset = next(one.version for one in classifier.opset_import if one.domain in ("", "ai.onnx"))
    try:
        yunet = onnx.load_from_string(read_bytes(detector))
    except Exception as error:  # the parser has exception classes of its own
        raise DataError(f"{detector}: not YuNet's ONNX file; see fer weights") from error
    g = Nodes("photo/")
    reduced = reduce_photograph(g, PIXELS)
    nodes, weights, outputs = network(yunet, "yunet/", reduced.image, opset)
    if set(outputs) != {f"{part}_{stride}" for part in PARTS for stride in STRIDES}:
        raise DataError(f"{detector}: not YuNet's ONNX file; see fer weights")
    g.nodes += nodes
    found = decode(g, reduced, outputs)
    number = g("Gather", g("Shape", found.boxes), 0)
    # Networks need not accept a batch of none: without a face the whole photograph is classified, and dropped below.
    height, width = reduced.sides
    everything = g("Unsqueeze", g.join(0.0, 0.0, width, height), np.array([0]))
    some = g("Max", number, 1)
    padded = g("Concat", found.boxes, everything, axis=0)
    faces = crops(g, PIXELS, padded, some, size)
    inner = onnx.compose.add_prefix_graph(classifier.graph, "classifier/")
    g.name(faces, f"classifier/{INPUT}")
    g.nodes += list(inner.node)
    none, last = np.array([0]), g("Unsqueeze", number, np.array([0]))
    for name in (PROBABILITIES, LOGITS):
        g.name(g("Slice", f"classifier/{name}", none, last, np.array([0])), name)
    g.name(g.cast(found.boxes, np.float32), BOXES)
    g.name(found.scores, SCORES)
    g.name(g("Reshape", g.cast(found.landmarks, np.float32), np.array([-1, 5, 2])), LANDMARKS)
    value, types = onnx.helper.make_tensor_value_info, onnx.TensorProto
    emotions = classifier.graph.output[0].type.tensor_type.shape.dim[1].dim_value
    shapes = {BOXES: [4], SCORES: [], LANDMARKS: [5, 2], PROBABILITIES: [emotions], LOGITS: [emotions]}
    graph = onnx.helper.make_graph(
        g.nodes,
        "photograph",
        [value(PIXELS, types.UINT8, ["height", "width", 3])],
        [value(name, types.FLOAT, ["number", *shape]) for name, shape in shapes.items()],
        [*weights, *inner.initializer],
    )
    made = onnx.helper.make_model(graph, opset_imports=list(classifier.opset_import))
    made.ir_version = classifier.ir_version
    made.functions.extend(classifier.functions)
    return made


@dataclass(frozen=True)
class Faces:
    """The faces in a photograph, as the file gives them: boxes (K, 4), scores (K,), probabilities (K, emotions)."""

    boxes: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    probabilities: npt.NDArray[np.float32]


class PhotographSession:
    """Runs a file of `whole_model`.

    Args:
        data: Its content.
    """

    def __init__(self, data: bytes) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])

    def __call__(self, pixels: Pixels) -> Faces:
        """Return the faces in a photograph, uint8 (H, W, 3), largest first."""
        return Faces(*self._session.run([BOXES, SCORES, PROBABILITIES], {PIXELS: pixels}))
