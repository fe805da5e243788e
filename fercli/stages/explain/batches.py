"""Faces in batches: heat, figures and a picture of each."""

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
from fercli.explanation.regions import Heat, Mask, mask_of_units, share, units_of
from fercli.images import Pixels, encode_png
from fercli.models.checkpoints import Checkpoint
from fercli.models.preprocessing import channels_first
from fercli.stages.explain.config import ExplainConfig
from fercli.stages.explain.faces import FaceLocator, Subject
from fercli.stages.explain.heatmaps import HeatFile, Record
from fercli.stages.explain.sources import Picture

OVERLAYS = "overlays"


class Explainer:
    """Explains faces and writes what is kept of them.

    Args:
        folder: The explanation's.
        config: Its options.
        checkpoint: The model.
        layer: Name of the module that Grad-CAM explains.
        emotion: Place of the emotion to explain; None: each face's predicted one.
        device: Where to compute.

    Attributes:
        records: The faces, in the pictures' order.
        skipped: Paths of the pictures that were left out, by reason.
        heat: Their heat maps.
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
        self._finder = FaceLocator(config, self._size, self._metadata.face_format[0])
        self._samples: dict[str, Sample] = defaultdict(Sample)
        self.heat = HeatFile(folder, self._size)
        (folder / OVERLAYS).mkdir(exist_ok=True)

    def run(self, pictures: Iterable[Picture]) -> None:
        """Explain all faces of pictures, a batch at a time.

        Raises:
            ImageError: a picture cannot be used and the options are strict.
            DataError: the model gives what are no numbers.
        """
        waiting: list[Subject] = []
        for picture in pictures:
            try:
                waiting += self._finder.find(picture)
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
        """Return a face as the model takes it, (1, channels, size, size)."""
        pixels = torch.from_numpy(np.array(subject.pixels))
        return self._metadata.preprocessing(channels_first(pixels[None]))

    def _explain(self, subjects: list[Subject]) -> None:
        faces = torch.cat([self._input(subject) for subject in subjects]).to(self._device)
        wanted = None if self._emotion is None else torch.full((len(subjects),), self._emotion, device=self._device)
        maps, logits, explained = grad_cam(self._model, self._layer, faces, wanted)
        if not (torch.isfinite(logits).all() and torch.isfinite(maps).all()):
            raise DataError("the model's weights give values that are no numbers; train it anew")
        heat = upsample(maps, self._size)
        self.heat.add(heat.cpu().numpy())
        strengths = normalise(heat).cpu().numpy()
        probabilities = logits.float().softmax(1).cpu().numpy()
        for subject, own, strength, row, emotion in zip(
            subjects, heat.cpu().numpy(), strengths, probabilities, explained.tolist(), strict=True
        ):
            self._keep(subject, own, strength, row, emotion)

    def _keep(self, subject: Subject, heat: Heat, strength: Strength, probabilities: Heat, explained: int) -> None:
        """Measure one face's heat, draw it and keep its record."""
        names, first = self._metadata.emotions, int(probabilities.argmax())
        units = units_of(names[explained])
        mask = mask_of_units(units, subject.landmarks, self._size) if units else None
        warm = bool(heat.max() > 0)
        y, x = np.unravel_index(int(heat.argmax()), heat.shape)
        record = Record(
            path=subject.picture.path,
            box=subject.box,
            emotion=subject.picture.emotion,
            predicted=names[first],
            probability=float(probabilities[first]),
            explained=names[explained],
            explained_probability=float(probabilities[explained]),
            peak=((float(x) + 0.5) / self._size, (float(y) + 0.5) / self._size) if warm else None,
            heat_in_regions=share(heat, mask) if mask is not None and warm else None,
            area_of_regions=float(mask.mean()) if mask is not None else None,
            units={str(unit): share(heat, mask_of_units([unit], subject.landmarks, self._size)) for unit in units},
            overlay=f"{OVERLAYS}/{len(self.records) + 1:05d}-{_name(subject.picture.path)}.png",
        )
        self.records.append(record)
        self._draw(subject, strength, mask, record)

    def _draw(self, subject: Subject, strength: Strength, mask: Mask | None, record: Record) -> None:
        title = f"{record.predicted} {record.probability:.0%}"
        picture = face_picture(subject.pixels, strength, mask, title, _told(record))
        (self._folder / record.overlay).write_bytes(encode_png(np.asarray(picture)))
        sample = self._samples[record.explained]
        if sample.wants():
            small = overlay(subject.pixels, strength, THUMBNAIL)
            wrong = record.emotion not in ("", record.predicted)
            note = f"labelled {record.emotion}" if wrong else Path(record.path).name
            sample.keep(SampledFace(enlarge(subject.pixels, THUMBNAIL), small, title, note))

    def sheet(self, title: str, note: str) -> Pixels:
        """Return the contact sheet, (H, W, 3): faces of each explained emotion."""
        samples = {name: self._samples[name] for name in self._metadata.emotions if name in self._samples}
        return sample_sheet(title, note, samples)


def _told(record: Record) -> str:
    """Return the line under a face: whose evidence is shown, and how much of it lies where it is expected."""
    if record.peak is None:
        return f"no evidence for {record.explained} at this layer"
    line = f"evidence for {record.explained}"
    if record.explained != record.predicted:
        line += f" ({record.explained_probability:.0%})"
    if record.heat_in_regions is not None:
        where = f"its action units (outlined, {record.area_of_regions:.0%} of the area)"
        line += f"; {record.heat_in_regions:.0%} within {where}"
    return line


def _name(path: str) -> str:
    """Return a picture's name as a part of a file name that every disk and shell can hold."""
    return re.sub(r"[^\w.-]+", "_", Path(path).stem, flags=re.ASCII)[:60] or "face"
