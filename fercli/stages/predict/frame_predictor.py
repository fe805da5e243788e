"""The emotions of the faces in frames; in a video the faces are tracked from frame to frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from fercli.evaluation.predicting import predict_outputs
from fercli.faces.tracking import FaceTracker
from fercli.models.checkpoints import Checkpoint
from fercli.models.devices import count_devices, find_device
from fercli.stages.predict.config import PredictConfig
from fercli.stages.predict.detection import FrameCrops
from fercli.stages.predict.rows import Row
from fercli.videos.cuts import Scene, is_cut


class FramePredictor:
    """Predicts the emotions of the faces that were detected in frames, in order.

    Args:
        checkpoint: The model.
        config: Device, batch size, test-time augmentation, and whether an unreadable frame is an error (`strict`).
    """

    def __init__(self, checkpoint: Checkpoint, config: PredictConfig) -> None:
        self._checkpoint, self._config = checkpoint, config
        self._emotions = checkpoint.metadata.emotions
        self._tracker = "", FaceTracker()
        self._scene: Scene | None = None

    def predict(self, batch: Sequence[FrameCrops]) -> Iterator[tuple[FrameCrops, list[Row]]]:
        """Yield each frame of a batch with its rows: one per face, largest first, or one without a face.

        A frame that could not be read has no rows.

        Raises:
            ImageError: a frame could not be read, and `strict` is set.
            DataError: the model's weights give NaN or infinite probabilities.
        """
        crops = [crop for detected in batch for crop in detected.crops]
        probabilities: list[list[float]] = []
        affects: list[tuple[float, float] | None] = []
        if crops:
            config = self._config
            outputs = predict_outputs(
                self._checkpoint,
                np.stack(crops),
                device=find_device(config.device),
                devices=count_devices(config.device, config.devices),
                tta=config.tta,
                batch_size=config.batch_size,
            )
            probabilities = outputs.probabilities.tolist()
            affects = [None] * len(crops)
            if outputs.affect is not None:
                affects = [(valence, arousal) for valence, arousal in outputs.affect.tolist()]
        given = zip(probabilities, affects, strict=True)
        for detected in batch:
            frame = detected.frame
            if frame.problem is not None:
                if self._config.strict:
                    raise frame.problem
                yield detected, []
                continue
            rows = []
            for index, (face, face_id) in enumerate(zip(detected.faces, self._face_ids(detected), strict=True)):
                row, affect = next(given)
                emotion = self._emotions[max(range(len(row)), key=row.__getitem__)]
                rows.append(
                    Row(frame.source, frame.number, frame.time, index, face, tuple(row), emotion, face_id, affect)
                )
            yield detected, rows or [Row(frame.source, frame.number, frame.time)]

    def _face_ids(self, detected: FrameCrops) -> list[str]:
        """Return the face ids: track numbers in a video, as in `fer detect`, otherwise those of the dataset."""
        frame = detected.frame
        if frame.time is None:
            return [frame.face_id] * len(detected.faces)
        if self._tracker[0] != frame.source:
            self._tracker, self._scene = (frame.source, FaceTracker()), None
        cut = self._scene is not None and detected.scene is not None and is_cut(self._scene, detected.scene)
        self._scene = detected.scene
        numbers = self._tracker[1].update(frame.time, [face.box for face in detected.faces], detected.looks, cut=cut)
        return [f"{number:04d}" for number in numbers]
