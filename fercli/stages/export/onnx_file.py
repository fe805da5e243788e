"""Writing a model as an ONNX file."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from fercli.errors import FerError, one_line
from fercli.exported import INPUT, LOGITS, PROBABILITIES
from fercli.models.face_classifier import FaceClassifier

_OWN = "network"
"""Where `FaceClassifier` keeps the network."""


def export_program(model: FaceClassifier) -> torch.export.ExportedProgram:
    """Return a model as a program for any number of faces of any size.

    Raises:
        FerError: torch cannot export it.
    """
    example = torch.zeros((2, 37, 41, 3), dtype=torch.uint8)  # no two sizes alike, or torch takes them for one
    sizes = {number: torch.export.Dim(name, min=1) for number, name in enumerate(("batch", "height", "width"))}
    try:
        with _quiet():
            return torch.export.export(model, (example,), dynamic_shapes={INPUT: sizes})
    except Exception as error:  # torch raises exceptions of many kinds
        raise FerError(f"torch.export cannot trace this model: {one_line(str(error))[:300]}") from error


def to_onnx(program: torch.export.ExportedProgram) -> Any:
    """Return a program as an `onnx.ModelProto`.

    Raises:
        FerError: a package is missing, or an operator has no counterpart in ONNX.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise FerError(
            f"format onnx needs {error.name or 'onnx and onnxscript'}; install it with: pip install 'fercli[onnx]'"
        ) from error
    try:
        with _quiet():
            made = torch.onnx.export(
                program, input_names=[INPUT], output_names=[PROBABILITIES, LOGITS], dynamo=True, verbose=False
            )
    except Exception as error:
        raise FerError(f"torch.onnx cannot convert this model: {one_line(str(error))[:300]}") from error
    assert made is not None
    return made.model_proto


def network_nodes(proto: Any) -> list[str]:
    """Return the names of the nodes that belong to the network, and not to its preprocessing."""
    return [node.name for node in proto.graph.node if _OWN in _scopes(node)]


def _scopes(node: Any) -> list[str]:
    text = next((one.value for one in node.metadata_props if one.key == "pkg.torch.onnx.name_scopes"), "")
    return [part.strip(" '\"") for part in text.strip("[]").split(",")]


def remove_traces(proto: Any) -> None:
    """Remove what the exporter notes about its own source files, with their paths on this machine."""
    for item in (*proto.graph.node, *proto.graph.value_info, *proto.graph.input, *proto.graph.output):
        item.ClearField("metadata_props")
        item.ClearField("doc_string")


def read_onnx(file: Path) -> Any:
    """Return an ONNX file as an `onnx.ModelProto`."""
    import onnx

    return onnx.load(file)


def write_onnx(proto: Any, file: Path, entries: Mapping[str, str]) -> None:
    """Write an ONNX file, with entries for its metadata.

    Raises:
        FerError: it is too large for one file, or not valid.
    """
    import onnx

    from fercli._version import __version__

    proto.producer_name, proto.producer_version = "fercli", __version__
    onnx.helper.set_model_props(proto, dict(entries))
    try:
        onnx.checker.check_model(proto)
        data = proto.SerializeToString(deterministic=True)
    except Exception as error:
        raise FerError(f"{file.name}: is not a valid ONNX model: {one_line(str(error))[:300]}") from error
    file.write_bytes(data)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporters' notes about themselves from the terminal."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
