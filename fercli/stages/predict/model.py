"""A trained model, loaded once, for use from Python.

    model = fercli.load("ferplus")                   # or a run, or a checkpoint
    faces = model.predict("photo.jpg")
    faces[0].emotion, faces[0].probabilities, faces[0].box

It gives the same probabilities as `fer evaluate` and `fer predict` for the same pixels.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
from torch import nn

from fercli.errors import UsageError
from fercli.evaluation.predicting import predict_images
from fercli.models.checkpoints import load_checkpoint
from fercli.models.devices import find_device
from fercli.models.inference import Tta
from fercli.models.preprocessing import Preprocessing
from fercli.pretrained import DEFAULT
from fercli.progress import Progress, progress_of
from fercli.stages.predict.arrays import InMemory, crops_of
from fercli.stages.predict.config import PredictConfig
from fercli.stages.predict.detection import FaceDetection
from fercli.stages.predict.frames import FrameSource
from fercli.stages.predict.predicted import PredictedFaces
from fercli.stages.predict.sources import Source
from fercli.stages.predict.stage import PredictionStream
from fercli.videos import Every, is_video

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    Photograph = str | os.PathLike[str] | npt.NDArray[np.uint8] | Tensor | Image.Image

IN_MEMORY = "photographs in memory"
OPTIONS = ("batch_size", "frames", "search_size", "split", "strict", "turns", "workers")
"""Further options of `Model.predict`."""


class Model:
    """A loaded model. Its methods may be called from several threads.

    Args:
        checkpoint: A checkpoint, a run (its best checkpoint), the name of one of fercli's own models, or an address on
            the hub, `hf://OWNER/NAME[@REVISION]`.
        device: Device to compute on: auto, cpu, cuda, cuda:N or mps.

    Attributes:
        name: The checkpoint's name or path.
        emotions: The emotions, in order of the probabilities.
        module: The torch module, from normalised faces (B, C, input_size, input_size) to logits (B, emotions).
        preprocessing: Called with uint8 faces (B, 1 or 3, H, W), it returns the module's input.
        temperature: Divides the logits before the softmax, so that the probabilities are calibrated.

    Raises:
        DataError: it is not a checkpoint, or damaged.
        FerError: there is no such device.
    """

    def __init__(self, checkpoint: str | os.PathLike[str] = DEFAULT, device: str = "auto") -> None:
        self._checkpoint = load_checkpoint(Path(checkpoint))
        self._device = find_device(device)
        self._checkpoint.model.to(self._device)
        metadata = self._checkpoint.metadata
        self.name, self.emotions, self.temperature = self._checkpoint.name, metadata.emotions, metadata.temperature
        self._detections: dict[tuple[object, ...], FaceDetection] = {}

    @property
    def module(self) -> nn.Module:
        """The torch module, in evaluation mode."""
        return self._checkpoint.model

    @property
    def preprocessing(self) -> Preprocessing:
        """The module's preprocessing."""
        return self._checkpoint.metadata.preprocessing

    def __repr__(self) -> str:
        return f"Model({self.name!r}: {self._checkpoint.metadata.architecture}, {len(self.emotions)} emotions)"

    def predict(
        self,
        source: Photograph | list[Photograph],
        *,
        detector: str | None = None,
        weights: str | os.PathLike[str] | None = None,
        faces: Literal["auto", "all", "largest", "crop"] = "auto",
        tta: Tta = "none",
        every: str | int = "1f",
        progress: Progress | bool | None = False,
        **options: Any,
    ) -> PredictedFaces:
        """Detect the faces in photographs or videos, and predict their emotions.

        Args:
            source: A path of a photograph, a video, a folder of them, a dataset or a pack; a photograph as a uint8
                array (H, W) or (H, W, 3) in RGB order, as a uint8 tensor (H, W) or (C, H, W), or as a Pillow image; or
                a list of photographs in any of these forms.
            detector: Face detector (default: the best one whose weights are there).
            weights: Weights file of the detector.
            faces: Which faces of a photograph to use; crop treats it as one face crop.
            tta: Test-time augmentation: none, flip or ten-crop.
            every: Interval between frames sampled from a video, such as 0.5s, or 10f for every tenth.
            progress: Progress callback; True shows a plain bar.
            **options: batch_size, frames, search_size, split, strict, turns and workers, as of `fercli.predict`.

        Raises:
            UsageError: an option or an array is invalid.
            DataError: the source does not exist, or nothing in it could be read.
        """
        if unknown := sorted(set(options) - set(OPTIONS)):
            hint = "choose it in fercli.load" if unknown == ["device"] else f"the options are {', '.join(OPTIONS)}"
            raise UsageError(f"predict: no option {unknown[0]}; {hint}")
        if isinstance(source, list | tuple) and not source:
            return PredictedFaces([], self.emotions, partial(InMemory, []), {})
        named = source if isinstance(source, str | os.PathLike) else None
        listed = source if isinstance(source, list | tuple) else [source]
        alone = named is not None and (is_video(Path(named)) or not Path(named).is_file())
        if len(listed) == 1:
            options.setdefault("workers", 0)  # one photograph: detected here, by the detector of the previous call
        config = PredictConfig.of(
            checkpoint=Path(self.name),
            source=os.fspath(named) if named is not None else IN_MEMORY,
            detector=detector,
            weights=weights,
            faces=faces,
            tta=tta,
            every=every,
            device=str(self._device),
            **options,
        )
        reporter = progress_of(progress)
        opened: FrameSource
        if alone:
            reopen: Any = partial(Source, config.source, Every.parse(config.every), config.split)
            opened, detection = reopen(), None
        else:
            reopen = partial(InMemory, listed)
            opened = reopen()
            detection = self._detection(config, opened, reporter)
        with PredictionStream(
            config, reporter, checkpoint=self._checkpoint, source=opened, detection=detection
        ) as stream:
            rows = list(stream)
        return PredictedFaces(rows, self.emotions, reopen, stream.skipped)

    def _detection(self, config: PredictConfig, source: FrameSource, progress: Progress) -> FaceDetection:
        """Return the detection of photographs in memory with these options, kept for the next call."""
        key = (config.detector, config.detector_file, config.search_size, config.turns, config.faces)
        if key not in self._detections:
            face_format = self._checkpoint.metadata.face_format
            self._detections[key] = FaceDetection(config, source, face_format, progress)
        return self._detections[key]

    def predict_faces(
        self, crops: npt.NDArray[np.uint8] | Tensor | list[Photograph], *, tta: Tta = "none", batch_size: int = 256
    ) -> npt.NDArray[np.float32]:
        """Return the probabilities of the emotions of faces that are cut out already, (N, emotions).

        Args:
            crops: uint8 array (N, H, W) or (N, H, W, 3) in RGB order, uint8 tensor (N, H, W) or (N, C, H, W), or a list
                of crops of any size, each a path, an array, a tensor or a Pillow image.
            tta: Test-time augmentation: none, flip or ten-crop.
            batch_size: Faces per batch; does not affect results.

        Raises:
            UsageError: they are not face crops.
            ImageError: a file cannot be read.
        """
        PredictConfig.of(source=IN_MEMORY, tta=tta, batch_size=batch_size)  # checks them
        size, color = self._checkpoint.metadata.face_format
        predict = partial(predict_images, self._checkpoint, device=self._device, tta=tta, batch_size=batch_size)
        parts = [predict(part) for part in _joined(crops_of(crops, size, color))]
        return np.concatenate(parts) if parts else np.empty((0, len(self.emotions)), np.float32)


def load(checkpoint: str | os.PathLike[str] = DEFAULT, *, device: str = "auto") -> Model:
    """Load a trained model, to predict emotions from Python.

    Args:
        checkpoint: One of fercli's own models by name (`fer models --pretrained`), a run, a checkpoint, or an address
            on the hub, `hf://OWNER/NAME[@REVISION]`.
        device: Device to compute on: auto, cpu, cuda, cuda:N or mps.

    Raises:
        DataError: it is not a checkpoint, or damaged.
        FerError: there is no such device.
    """
    return Model(checkpoint, device)


def _joined(parts: list[npt.NDArray[np.uint8]]) -> list[npt.NDArray[np.uint8]]:
    """Join neighbouring parts of equal shape into one."""
    joined: list[list[npt.NDArray[np.uint8]]] = []
    for part in parts:
        if joined and joined[-1][0].shape[1:] == part.shape[1:]:
            joined[-1].append(part)
        else:
            joined.append([part])
    return [np.concatenate(same) for same in joined]
