"""Predict: find faces frame by frame, on all cores; their emotions in batches; rows in order."""

from __future__ import annotations

import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch

from fercli.errors import DataError
from fercli.faces.base import Detector, Face
from fercli.faces.cropping import crop_face
from fercli.faces.detectors import choose_detector, create_detector
from fercli.faces.searching import Search, searching
from fercli.images import Pixels
from fercli.models.checkpoints import Checkpoint, load_checkpoint
from fercli.models.devices import find_device
from fercli.models.inference import predict as predict_faces
from fercli.progress import SILENT, Progress
from fercli.stages.predict.config import PredictConfig
from fercli.stages.predict.drawing import Drawer
from fercli.stages.predict.rows import Row, Table
from fercli.stages.predict.sources import Frame, Source

BATCH = 32
"""Frames whose faces are given to the model together; a webcam's are given at once."""
AHEAD_PIXELS = 64_000_000
"""Frames read ahead hold at most about this many pixels (and at least two frames)."""


@dataclass
class Predictions:
    """What predict found.

    Attributes:
        rows: One a face and frame, in order; a frame without a face has a row of its own.
        emotions: The model's, in order of the probabilities.
        summary: images, faces, without_face, unreadable, images_per_second; emotions: faces by predicted emotion.
        skipped: What could not be read: reason, and the files.
        csv: The table that was written.
        drawn: The picture, folder or video that was written.
    """

    rows: list[Row]
    emotions: list[str]
    summary: dict[str, Any]
    skipped: dict[str, list[str]] = field(default_factory=dict)
    csv: Path | None = None
    drawn: Path | None = None


@dataclass
class _Found:
    frame: Frame
    faces: list[Face]
    crops: list[Pixels]


def predict(config: PredictConfig, progress: Progress = SILENT) -> Predictions:
    """Predict the emotions of the faces of a photograph, a folder, a video or before a webcam.

    A webcam is read until Ctrl-C (or `frames`), which ends it as a video's end does.

    Raises:
        DataError: the checkpoint is broken, the source cannot be read or is empty.
        UsageError: a place to write is taken, or a name is wrong.
    """
    checkpoint = load_checkpoint(config.checkpoint)
    detector = choose_detector(config.detector, config.weights, progress)
    config = config.model_copy(update={"detector": detector})
    finder = _Finder(config, checkpoint)
    source = Source(config.source, config.every)
    emotions = checkpoint.card.emotions
    found = Predictions([], emotions, {}, csv=config.csv, drawn=config.draw)
    started = perf_counter()
    with (
        Drawer(config.draw, source, emotions, config.overwrite) as drawer,
        Table(config.csv, emotions, config.overwrite) as table,
    ):
        progress.start("predict", config.frames or source.total)
        try:
            with closing(_batches(config, source, finder, progress.log)) as batches:
                for batch in batches:
                    for item, rows in _rows(config, checkpoint, batch):
                        if item.frame.pixels is None:
                            assert item.frame.problem is not None
                            found.skipped.setdefault(item.frame.problem.reason, []).append(item.frame.source)
                        else:
                            drawer.write(item.frame.source, item.frame.pixels, rows)
                        table.write(rows)
                        found.rows += rows
                        progress.advance(1, _note(rows))
        except KeyboardInterrupt:
            if source.kind != "webcam":
                raise
        finally:
            progress.stop()
        _summarise(found, perf_counter() - started)
        if not found.summary["images"]:
            raise DataError(f"{config.source}: nothing could be read ({_told(found.skipped)})")
    if found.skipped:
        progress.log(f"skipped {_told(found.skipped)}")
    return found


class _Finder:
    """Finds and cuts out faces; each thread has a detector of its own, for they are not made to be shared."""

    def __init__(self, config: PredictConfig, checkpoint: Checkpoint) -> None:
        self._config = config
        self._size, self._color = checkpoint.card.face_format
        self._own = threading.local()
        self._own.detector = self._create()  # here, so that a wrong name or file is told before anything is read

    def _create(self) -> Detector:
        config = self._config
        assert config.detector is not None
        search = Search(config.search_size, self._size, config.turns)
        return searching(create_detector(config.detector, config.weights), search)

    def __call__(self, read: Callable[[], Frame]) -> _Found:
        frame = read()
        if frame.pixels is None:
            return _Found(frame, [], [])
        if not hasattr(self._own, "detector"):
            self._own.detector = self._create()
        faces = self._own.detector.detect(frame.pixels)
        faces = faces[:1] if self._config.faces == "largest" else faces
        return _Found(frame, faces, [crop_face(frame.pixels, face, self._size, self._color) for face in faces])


def _batches(
    config: PredictConfig, source: Source, finder: _Finder, log: Callable[[str], None]
) -> Generator[list[_Found]]:
    """Yield frames with their faces in order, some at a time, while others are read and searched ahead."""
    threads = (os.cpu_count() or 1) if config.workers is None else max(1, config.workers)
    size = 1 if source.kind == "webcam" else BATCH
    waiting: deque[Future[_Found]] = deque()
    batch: list[_Found] = []
    pixels = 0
    with ThreadPoolExecutor(threads) as pool:
        try:
            for read in islice(source.frames(log), config.frames):
                waiting.append(pool.submit(finder, read))
                if len(waiting) > (1 if size == 1 else 2 * threads):
                    batch.append(waiting.popleft().result())
                    pixels += 0 if batch[-1].frame.pixels is None else batch[-1].frame.pixels.size // 3
                if len(batch) >= size or pixels > AHEAD_PIXELS:
                    yield batch
                    batch, pixels = [], 0
            batch += [future.result() for future in waiting]
            if batch:
                yield batch
        finally:
            pool.shutdown(cancel_futures=True)


def _rows(config: PredictConfig, checkpoint: Checkpoint, batch: list[_Found]) -> Iterator[tuple[_Found, list[Row]]]:
    """Yield each frame of a batch with its rows."""
    card = checkpoint.card
    crops = [crop for found in batch for crop in found.crops]
    probabilities = torch.zeros(0, len(card.emotions))
    if crops:
        images = torch.from_numpy(np.stack(crops))
        images = images.unsqueeze(1) if images.ndim == 3 else images.permute(0, 3, 1, 2)
        device = find_device(config.device)
        probabilities = predict_faces(checkpoint.model, images, card.preprocessing, device=device, tta=config.tta)
    given = iter(probabilities.tolist())
    for found in batch:
        frame = found.frame
        if frame.problem is not None:
            if config.strict:
                raise frame.problem
            yield found, []
            continue
        rows = []
        for index, face in enumerate(found.faces):
            row = next(given)
            emotion = card.emotions[max(range(len(row)), key=row.__getitem__)]
            rows.append(Row(frame.source, frame.number, frame.time, index, face, tuple(row), emotion))
        yield found, rows or [Row(frame.source, frame.number, frame.time)]


def _note(rows: list[Row]) -> str:
    return ", ".join(f"{row.emotion} {max(row.probabilities):.0%}" for row in rows[:3] if row.face is not None)


def _summarise(found: Predictions, seconds: float) -> None:
    faces = [row for row in found.rows if row.face is not None]
    without = len(found.rows) - len(faces)
    images = without + sum(row.index == 0 for row in faces)
    counts = Counter(row.emotion for row in faces)
    found.summary = {
        "images": images,
        "faces": len(faces),
        "without_face": without,
        "unreadable": sum(len(files) for files in found.skipped.values()),
        "images_per_second": images / seconds if seconds > 0 else 0.0,
        "emotions": {emotion: counts[emotion] for emotion in found.emotions},
    }


def _told(skipped: dict[str, list[str]]) -> str:
    return ", ".join(f"{len(files)} {reason}, as {files[0]}" for reason, files in sorted(skipped.items()))
