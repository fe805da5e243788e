"""Explaining faces in batches: heat maps, metrics and an image of each."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fercli.errors import DataError, ImageError
from fercli.explanation.gradcam import grad_cam, normalise, upsample
from fercli.explanation.overlays import (
    THUMBNAIL,
    Sample,
    SampledFace,
    Strength,
    enlarge,
    face_picture,
    overlay,
    sample_sheet,
)
from fercli.explanation.regions import Heat, Mask, emotion_units, share, unit_mask
from fercli.images import Pixels, encode_png
from fercli.models.checkpoints import Checkpoint
from fercli.models.preprocessing import channels_first
from fercli.stages.explain.config import ExplainConfig
from fercli.stages.explain.faces import FaceLocator, Subject
from fercli.stages.explain.heatmaps import HeatFile, Record
from fercli.stages.explain.sources import Picture

OVERLAYS = "overlays"


class Explainer:
    """Explains faces and writes their overlays and heat maps.

    Args:
        folder: Output folder.
        config: Options.
        checkpoint: The model.
        layer: Name of the module that Grad-CAM explains.
        emotion: Index of the emotion to explain; None: the predicted emotion of each face.
        device: Device to compute on.

    Attributes:
        records: The faces, in input order.
        skipped: Paths of the skipped pictures, by reason.
        heat: Heat maps of the faces.
    """

    def __init__(
        self,
        folder: Path,
        config: ExplainConfig,
        checkpoint: Checkpoint,
        layer: str,
        emotion: int | None,
        device: torch.device,
    ) -> None:
        self.records: list[Record] = []
        self.skipped: dict[str, list[str]] = defaultdict(list)
        self._folder, self._config, self._layer, self._emotion = folder, config, layer, emotion
        self._metadata, self._device = checkpoint.metadata, device
        self._model = checkpoint.model.to(device).to(memory_format=torch.channels_last)
        self._size = checkpoint.metadata.preprocessing.input_size
        self._locator = FaceLocator(config, self._size, self._metadata.face_format[0])
        self._samples: dict[str, Sample] = defaultdict(Sample)
        self.heat = HeatFile(folder, self._size)
        (folder / OVERLAYS).mkdir(exist_ok=True)

    def run(self, pictures: Iterable[Picture]) -> None:
        """Explain all faces of the pictures, in batches.

        Raises:
            ImageError: a picture cannot be used and `strict` is set.
            DataError: the model's output is not finite.
        """
        waiting: list[Subject] = []
        for picture in pictures:
            try:
                waiting += self._locator.find(picture)
            except ImageError as error:
                if self._config.strict:
                    raise
                self.skipped[error.reason].append(picture.path)
            while len(waiting) >= self._config.batch_size:
                self._explain(waiting[: self._config.batch_size])
                del waiting[: self._config.batch_size]
        if waiting:
            self._explain(waiting)

    def _input(self, subject: Subject) -> Tensor:
        """Return the model input of a face, (1, channels, size, size)."""
        pixels = torch.from_numpy(np.array(subject.pixels))
        return self._metadata.preprocessing(channels_first(pixels[None]))

    def _explain(self, subjects: list[Subject]) -> None:
        faces = torch.cat([self._input(subject) for subject in subjects]).to(self._device)
        emotions = None if self._emotion is None else torch.full((len(subjects),), self._emotion, device=self._device)
        maps, logits, explained = grad_cam(self._model, self._layer, faces, emotions)
        if not (torch.isfinite(logits).all() and torch.isfinite(maps).all()):
            raise DataError("the model's output is not finite; train it again")
        heat = upsample(maps, self._size)
        self.heat.add(heat.cpu().numpy())
        strengths = normalise(heat).cpu().numpy()
        probabilities = logits.float().softmax(1).cpu().numpy()
        for subject, face_heat, strength, row, emotion in zip(
            subjects, heat.cpu().numpy(), strengths, probabilities, explained.tolist(), strict=True
        ):
            self._add(subject, face_heat, strength, row, emotion)

    def _add(self, subject: Subject, heat: Heat, strength: Strength, probabilities: Heat, explained: int) -> None:
        """Measure the heat of one face, draw it and add its record."""
        names, first = self._metadata.emotions, int(probabilities.argmax())
        units = emotion_units(names[explained])
        mask = unit_mask(units, subject.landmarks, self._size) if units else None
        has_heat = bool(heat.max() > 0)
        y, x = np.unravel_index(int(heat.argmax()), heat.shape)
        record = Record(
            path=subject.picture.path,
            box=subject.box,
            emotion=subject.picture.emotion,
            predicted=names[first],
            probability=float(probabilities[first]),
            explained=names[explained],
            explained_probability=float(probabilities[explained]),
            peak=((float(x) + 0.5) / self._size, (float(y) + 0.5) / self._size) if has_heat else None,
            heat_in_regions=share(heat, mask) if mask is not None and has_heat else None,
            area_of_regions=float(mask.mean()) if mask is not None else None,
            units={str(unit): share(heat, unit_mask([unit], subject.landmarks, self._size)) for unit in units},
            overlay=f"{OVERLAYS}/{len(self.records) + 1:05d}-{_file_stem(subject.picture.path)}.png",
        )
        self.records.append(record)
        self._draw(subject, strength, mask, record)

    def _draw(self, subject: Subject, strength: Strength, mask: Mask | None, record: Record) -> None:
        title = f"{record.predicted} {record.probability:.0%}"
        picture = face_picture(subject.pixels, strength, mask, title, _caption(record))
        (self._folder / record.overlay).write_bytes(encode_png(np.asarray(picture)))
        sample = self._samples[record.explained]
        if sample.select():
            small = overlay(subject.pixels, strength, THUMBNAIL)
            wrong = record.emotion not in ("", record.predicted)
            note = f"labelled {record.emotion}" if wrong else Path(record.path).name
            sample.add(SampledFace(enlarge(subject.pixels, THUMBNAIL), small, title, note))

    def sheet(self, title: str, note: str) -> Pixels:
        """Return the contact sheet, (H, W, 3), grouped by explained emotion."""
        samples = {name: self._samples[name] for name in self._metadata.emotions if name in self._samples}
        return sample_sheet(title, note, samples)


def _caption(record: Record) -> str:
    """Return the line below a face: the explained emotion, and the share of heat in its regions."""
    if record.peak is None:
        return f"no evidence for {record.explained} at this layer"
    line = f"evidence for {record.explained}"
    if record.explained != record.predicted:
        line += f" ({record.explained_probability:.0%})"
    if record.heat_in_regions is not None:
        where = f"its action units (outlined, {record.area_of_regions:.0%} of the area)"
        line += f"; {record.heat_in_regions:.0%} within {where}"
    return line


def _file_stem(path: str) -> str:
    """Return a picture's stem with only characters that are safe on every file system and in every shell."""
    return re.sub(r"[^\w.-]+", "_", Path(path).stem, flags=re.ASCII)[:60] or "face"
