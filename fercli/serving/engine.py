"""A served model: it recognises the faces of a picture, follows those of a camera, and shows where it looked."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch

from fercli.errors import DataError, UsageError, did_you_mean
from fercli.evaluation.card import model_card
from fercli.explanation.gradcam import grad_cam, normalise, upsample
from fercli.explanation.overlays import SIDE, overlay
from fercli.images import Pixels
from fercli.models.checkpoints import Checkpoint, load_checkpoint
from fercli.models.devices import find_device
from fercli.models.preprocessing import channels_first
from fercli.progress import SILENT, Progress
from fercli.serving.config import ServeConfig
from fercli.stages.predict.arrays import InMemory
from fercli.stages.predict.config import PredictConfig
from fercli.stages.predict.detection import FaceDetection, FrameCrops
from fercli.stages.predict.frame_predictor import FramePredictor
from fercli.stages.predict.frames import Frame
from fercli.stages.predict.rows import Row

Faces = Literal["all", "largest", "crop"]
"""Which faces of a picture to recognise; crop treats it as one face."""
View = Literal["none", "flip"]
"""Test-time augmentation."""
NAME = "picture"


@dataclass(frozen=True)
class Recognised:
    """The faces of a picture or frame.

    Attributes:
        width: Width of the picture, pixels.
        height: Its height.
        rows: One per face, the largest first.
        left_out: Number of further faces, beyond the limit.
    """

    width: int
    height: int
    rows: list[Row]
    left_out: int


class ServedModel:
    """A model that a server offers. Its methods may be called from several threads.

    Args:
        path: The checkpoint, run, exported model, or name of one of fercli's own.
        config: Options of the server.
        progress: Logs the default detector.

    Raises:
        DataError: it is not a checkpoint, or damaged.
        UsageError: there is no such detector.
        FerError: the detector's weights, the device or a package are missing.
    """

    def __init__(self, path: Path, config: ServeConfig, progress: Progress = SILENT) -> None:
        self.path = path
        self.checkpoint: Checkpoint = load_checkpoint(path)
        self._max_faces = config.max_faces
        self._config = PredictConfig.of(
            checkpoint=path,
            source=NAME,
            detector=config.detector,
            weights=config.weights,
            search_size=config.search_size,
            turns=config.turns,
            device=config.device,
            strict=True,
            workers=0,
        )
        self._device = find_device(config.device)
        self.checkpoint.model.to(self._device)
        self._detections = {
            mode: self._detection(mode, progress if mode == "all" else SILENT) for mode in get_args(Faces)
        }
        self._explaining = threading.Lock()
        self._explained: torch.nn.Module | None = None

    def _detection(self, faces: Faces, progress: Progress) -> FaceDetection:
        config = self._config.model_copy(update={"faces": faces})
        return FaceDetection(config, InMemory(()), self.checkpoint.metadata.face_format, progress)

    @property
    def emotions(self) -> list[str]:
        """The emotions, in the order of the probabilities."""
        return self.checkpoint.metadata.emotions

    @property
    def explains(self) -> bool:
        """Whether `explain` is possible: an exported model has no gradients."""
        return self.checkpoint.kind == "checkpoint" and bool(self.checkpoint.gradcam_layer)

    def card(self) -> str:
        """Return the model's card, in Markdown."""
        return model_card(self.path)

    def recognise(self, pixels: Pixels, faces: Faces = "all", tta: View = "none") -> Recognised:
        """Recognise the emotions of the faces in a picture, uint8 (H, W) or (H, W, 3) RGB."""
        predictor = FramePredictor(self.checkpoint, self._config.model_copy(update={"tta": tta}))
        return self._recognise(Frame(NAME, 0, None, pixels), predictor, faces)

    def camera(self) -> LiveFaces:
        """Return the state of a camera or film, whose faces are tracked."""
        return LiveFaces(self)

    def _recognise(self, frame: Frame, predictor: FramePredictor, faces: Faces) -> Recognised:
        assert frame.pixels is not None
        detected, left_out = self._detect(frame, faces)
        ((_, rows),) = predictor.predict([detected])
        height, width = frame.pixels.shape[:2]
        return Recognised(width, height, [row for row in rows if row.face is not None], left_out)

    def _detect(self, frame: Frame, faces: Faces) -> tuple[FrameCrops, int]:
        detected = self._detections[faces](lambda: frame)
        left_out = max(0, len(detected.faces) - self._max_faces)
        for part in (detected.faces, detected.crops, detected.looks):
            del part[self._max_faces :]
        return detected, left_out

    def explain(self, pixels: Pixels, face: int = 0, emotion: str | None = None, faces: Faces = "all") -> Pixels:
        """Return a face with the evidence for an emotion drawn over it, by Grad-CAM.

        Args:
            pixels: The picture.
            face: Number of the face, as in `recognise`.
            emotion: The emotion; None: the predicted one.
            faces: As in `recognise`.

        Returns:
            uint8 (SIDE, SIDE, 3).

        Raises:
            UsageError: the model cannot be explained, or there is no such face or emotion.
            DataError: the model's output is not finite.
        """
        if not self.explains:
            raise UsageError(f"{self.checkpoint.name}: has no gradients to explain; serve the run that it is from")
        index = None if emotion is None else self._index(emotion)
        crops = self._detect(Frame(NAME, 0, None, pixels), faces)[0].crops
        if not 0 <= face < len(crops):
            found = "no face" if not crops else "one face" if len(crops) == 1 else f"{len(crops)} faces"
            raise UsageError(f"face {face}: the picture has {found}; they are numbered from 0, the largest first")
        crop, size = np.array(crops[face]), self.checkpoint.metadata.preprocessing.input_size
        x = self.checkpoint.metadata.preprocessing(channels_first(torch.from_numpy(crop[None]))).to(self._device)
        with self._explaining:  # the copy's hooks must not see other faces
            if self._explained is None:
                self._explained = deepcopy(self.checkpoint.model)
            given = None if index is None else torch.tensor([index], device=self._device)
            maps, logits, _ = grad_cam(self._explained, self.checkpoint.gradcam_layer, x, given)
        if not (torch.isfinite(logits).all() and torch.isfinite(maps).all()):
            raise DataError(f"{self.checkpoint.name}: its output is not finite; train it again")
        strength = normalise(upsample(maps, size))[0].cpu().numpy()
        return overlay(crop, strength, SIDE)

    def _index(self, emotion: str) -> int:
        if emotion not in self.emotions:
            raise UsageError(did_you_mean("emotion", emotion, self.emotions))
        return self.emotions.index(emotion)


class LiveFaces:
    """The faces of one camera or film. Its frames are recognised one at a time, in order."""

    def __init__(self, model: ServedModel) -> None:
        self._model, self._number = model, 0
        self._predictor = FramePredictor(model.checkpoint, model._config)

    def recognise(self, pixels: Pixels, seconds: float) -> Recognised:
        """Recognise the faces of the next frame.

        Args:
            pixels: The frame.
            seconds: Its time, not before that of the frame before.
        """
        frame = Frame("camera", self._number, seconds, pixels)
        self._number += 1
        return self._model._recognise(frame, self._predictor, "all")


def unique_names(paths: Sequence[Path]) -> list[str]:
    """Return a short name for each model: the last part of its path, numbered where it is not the only one.

    >>> unique_names([Path("ferplus"), Path("a/run"), Path("b/run")])
    ['ferplus', 'run', 'run-2']
    """
    names: list[str] = []
    for path in paths:
        base = path.name if path.name != "best" else path.resolve().parent.name
        name, number = base, 1
        while name in names:
            number += 1
            name = f"{base}-{number}"
        names.append(name)
    return names
