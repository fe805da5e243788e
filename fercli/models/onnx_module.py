"""An exported model as a module, run by onnxruntime.

The file is given as bytes, so that it cannot refer to other files.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from fercli.errors import DataError, FerError, UsageError
from fercli.exported import CARD_KEY, FORMAT, INPUT, LOGITS, METADATA_KEY, ONNX, PIXELS, PROBABILITIES, ExportMetadata
from fercli.images import Pixels
from fercli.models.preprocessing import Preprocessing, channels_last


class InGraph(Preprocessing):
    """The preprocessing of an exported model, which does it itself: faces are passed as they are."""

    def to_float(self, images: Tensor) -> Tensor:
        """Return the faces, uint8 (B, 1 or 3, H, W)."""
        return images

    def resize(self, x: Tensor, size: int | None = None) -> Tensor:
        """Return the faces.

        Raises:
            UsageError: another size than the input size is asked for.
        """
        if size not in (None, self.input_size):
            raise UsageError("tta ten-crop: an exported model resizes faces itself; use flip")
        return x

    def normalise(self, x: Tensor) -> Tensor:
        """Return the faces."""
        return x


class OnnxModule(nn.Module):
    """From uint8 faces (B, 1 or 3, H, W) to logits (B, emotions), computed on the CPU.

    Args:
        data: Content of an ONNX file.
        name: Its name in messages.

    Attributes:
        metadata: What the file says about itself.
        card: The model's card, in Markdown.

    Raises:
        FerError: onnxruntime is not installed.
        DataError: it is not an exported model.
    """

    def __init__(self, data: bytes, name: str) -> None:
        super().__init__()
        try:
            import onnxruntime
        except ImportError as error:
            raise FerError(f"{name}: needs onnxruntime; install it with: pip install 'fercli[onnx]'") from error
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = torch.get_num_threads()
        try:
            self._session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has its own exception classes
            raise DataError(f"{name}: not an ONNX file that onnxruntime can run") from error
        inputs = [(one.name, one.type, len(one.shape)) for one in self._session.get_inputs()]
        outputs = {one.name: one.shape for one in self._session.get_outputs()}
        entries = self._session.get_modelmeta().custom_metadata_map
        if [one[0] for one in inputs] == [PIXELS]:
            raise DataError(f"{name}: takes photographs and finds their faces itself; give {ONNX} beside it instead")
        if inputs != [(INPUT, "tensor(uint8)", 4)] or not {PROBABILITIES, LOGITS} <= set(outputs):
            raise DataError(f"{name}: has other inputs and outputs than the files of fer export; use one of these")
        try:
            self.metadata = ExportMetadata.model_validate_json(entries.get(METADATA_KEY, ""))
        except ValidationError as error:
            raise DataError(f"{name}: its metadata is not that of fer export; export the model again") from error
        self.card = str(entries.get(CARD_KEY, ""))
        if (version := self.metadata.format) > FORMAT:
            raise DataError(f"{name}: export format {version} is newer than this version of fercli supports; update it")
        self._name = name
        emotions = self.metadata.model.get("emotions")
        if not isinstance(emotions, list) or outputs[LOGITS][1:] != [len(emotions)]:
            raise DataError(f"{name}: its metadata is of another model; export the model again")

    def forward(self, faces: Tensor) -> Tensor:
        """Return the logits, float32."""
        rgb = faces if faces.shape[1] == 3 else faces.expand(-1, 3, -1, -1)
        logits = self._run(LOGITS, np.ascontiguousarray(channels_last(rgb.cpu()).numpy()))
        return torch.from_numpy(logits).to(faces.device)

    def probabilities(self, faces: Pixels) -> npt.NDArray[np.float32]:
        """Return the file's own probabilities, (N, emotions), of uint8 RGB faces (N, H, W, 3)."""
        return self._run(PROBABILITIES, faces)

    def _run(self, output: str, faces: Pixels) -> npt.NDArray[np.float32]:
        try:
            found: npt.NDArray[np.float32] = self._session.run([output], {INPUT: faces})[0]
        except Exception as error:
            raise DataError(f"{self._name}: onnxruntime cannot run it; export the model again") from error
        return found
