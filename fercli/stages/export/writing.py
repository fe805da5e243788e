"""Writing the exported file of each format and precision."""

from __future__ import annotations

import json
from pathlib import Path
from string import Template

import numpy as np
import numpy.typing as npt
import torch

from fercli._version import __version__
from fercli.artifacts import write_text
from fercli.exported import CARD_KEY, METADATA_KEY, ONNX, PHOTOGRAPH, PROGRAM, ExportMetadata, Precision
from fercli.files import read_bytes
from fercli.images import Pixels
from fercli.models.checkpoints import Checkpoint
from fercli.models.face_classifier import FaceClassifier
from fercli.models.onnx_module import OnnxModule
from fercli.stages.export.onnx_file import export_program, network_nodes, read_onnx, remove_traces, to_onnx, write_onnx
from fercli.stages.export.parity import Predict
from fercli.stages.export.photograph.whole import PhotographSession, whole_model
from fercli.stages.export.quantization import to_float16, to_int8

_EXAMPLES = Path(__file__).parent / "examples"


def classifier_of(checkpoint: Checkpoint) -> FaceClassifier:
    """Return a checkpoint's model with its preprocessing and calibration."""
    m = checkpoint.metadata
    return FaceClassifier(checkpoint.model, m.preprocessing, m.face_format, m.temperature).eval()


def write_program(checkpoint: Checkpoint, folder: Path) -> tuple[Path, Predict]:
    """Write a checkpoint as a program of torch.export; return the file and its predictions.

    Raises:
        FerError: torch cannot export the model.
    """
    program = export_program(classifier_of(checkpoint))
    file = folder / PROGRAM
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # paths of source files on this machine
    torch.export.save(program, file, extra_files={METADATA_KEY: _metadata(checkpoint, "float32")})
    model = torch.export.load(file).module()

    def predict(faces: Pixels) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            found: npt.NDArray[np.float32] = model(torch.from_numpy(faces))[0].numpy()
        return found

    return file, predict


def write_onnx_model(
    checkpoint: Checkpoint, folder: Path, card: str, precision: Precision, calibration: Pixels | None
) -> tuple[Path, Predict]:
    """Write a checkpoint as an ONNX file; return the file and its predictions.

    Args:
        checkpoint: The checkpoint.
        folder: Where to write it.
        card: The model's card, in Markdown, for the file's metadata.
        precision: Precision of the weights.
        calibration: For int8, RGB faces (N, H, W, 3).

    Raises:
        FerError: the model cannot be exported, or a package is missing.
    """
    proto = to_onnx(export_program(classifier_of(checkpoint)))
    network = network_nodes(proto)
    remove_traces(proto)
    entries = {
        METADATA_KEY: _metadata(checkpoint, precision),
        CARD_KEY: card,
        "emotions": ",".join(checkpoint.metadata.emotions),
        "input": "uint8 RGB faces (N, H, W, 3) of any size",
    }
    file = folder / ONNX
    if precision == "float16":
        to_float16(proto, network)
    write_onnx(proto, file, entries)
    if precision == "int8":
        assert calibration is not None
        whole = file.rename(folder / "float32.onnx")
        to_int8(whole, file, network, calibration)
        whole.unlink()
        write_onnx(read_onnx(file), file, entries)
    return file, OnnxModule(read_bytes(file), file.name).probabilities


def _metadata(checkpoint: Checkpoint, precision: Precision) -> str:
    """Return the file's own description, as JSON."""
    model = checkpoint.metadata.model_dump(mode="json", exclude={"affect"})  # the file predicts the emotions alone
    described = ExportMetadata(fercli=__version__, checkpoint=checkpoint.digest, precision=precision, model=model)
    return described.model_dump_json()


def write_photograph_model(
    checkpoint: Checkpoint, folder: Path, detector: Path, card: str, precision: Precision
) -> PhotographSession:
    """Write the exported ONNX file together with the detector as one that takes photographs; return what runs it.

    Raises:
        DataError: the file is not YuNet's.
        FerError: the result is not valid.
    """
    size, _ = checkpoint.metadata.face_format
    file = folder / PHOTOGRAPH
    entries = {
        METADATA_KEY: _metadata(checkpoint, precision),
        CARD_KEY: card,
        "emotions": ",".join(checkpoint.metadata.emotions),
        "input": "an uint8 RGB photograph (H, W, 3) of any size",
    }
    write_onnx(whole_model(read_onnx(folder / ONNX), detector, size), file, entries)
    return PhotographSession(read_bytes(file))


def write_examples(folder: Path, template: str, emotions: list[str], name: str = "example") -> None:
    """Write programs that use an exported file without fercli.

    Args:
        folder: Where to write them.
        template: `onnx`, `torch` or `photograph`.
        emotions: The model's emotions, in order.
        name: Their name, without suffix.
    """
    for path in sorted(_EXAMPLES.glob(f"{template}.*.txt")):
        text = Template(path.read_text("utf-8")).safe_substitute(emotions=json.dumps(emotions))
        write_text(folder / f"{name}{path.suffixes[-2]}", text)
