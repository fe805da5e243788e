"""What an exported model contains. Imported without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from fercli.artifacts import MANIFEST, Artifact, open_artifact
from fercli.errors import DataError
from fercli.files import missing_message
from fercli.hub.address import is_address

ONNX, PROGRAM = "model.onnx", "model.pt2"
SUMMARY = "export.json"
PHOTOGRAPH = "photograph.onnx"
"""The file that takes whole photographs, of `fer export --with-detector`."""
INPUT, PROBABILITIES, LOGITS = "faces", "probabilities", "logits"
"""The names of an exported model's input and outputs."""
PIXELS, BOXES, SCORES, LANDMARKS = "photograph", "boxes", "scores", "landmarks"
"""The input of PHOTOGRAPH, uint8 RGB (H, W, 3), and its further outputs: (K, 4) as left, top, width, height; (K,); and
(K, 5, 2)."""
FORMAT = 1
"""The latest version of `ExportMetadata` that this version of fercli reads."""
METADATA_KEY = "fercli"
"""The entry of an ONNX file's metadata that `ExportMetadata` describes."""
CARD_KEY = "card"
"""The entry with the model's card, in Markdown."""

Precision = Literal["float32", "float16", "int8"]


class ExportMetadata(BaseModel):
    """What an exported file says about itself.

    Attributes:
        format: Version of this layout.
        fercli: The version that wrote it.
        checkpoint: Digest of the checkpoint.
        precision: Precision of the weights.
        model: The checkpoint's metadata, as in its `model.json`.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    format: int = FORMAT
    fercli: str
    checkpoint: str
    precision: Precision
    model: dict[str, Any]


def is_exported(path: Path) -> bool:
    """Return whether a path is meant as an exported model: a file `*.onnx`, or a folder that holds one."""
    return not is_address(path) and (path.suffix.lower() == ".onnx" or (path / ONNX).is_file())


def find_exported(path: Path) -> tuple[Path, Artifact | None]:
    """Return the file of an exported model, and the artifact that it belongs to, if any.

    Raises:
        DataError: there is no such file, or the artifact is damaged.
    """
    file = path / ONNX if path.is_dir() else path
    if not file.is_file():
        raise DataError(missing_message(file, "model of fer export"))
    belongs = file.name == ONNX and (file.parent / MANIFEST).is_file()
    return file, open_artifact(file.parent, "export") if belongs else None
