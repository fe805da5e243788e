"""Predict: find faces frame by frame, on all cores; their emotions in batches; rows in order, as they come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import Self

import numpy as np

from fercli.artifacts.synthetic import synthetic_warning
from fercli.datasets.names import printable
from fercli.errors import DataError
from fercli.evaluation.predicting import predict_images
from fercli.faces.tracking import FaceTracker
from fercli.images import is_nearly_black
from fercli.models.checkpoints import load_checkpoint
from fercli.models.devices import find_device
from fercli.progress import SILENT, Progress
from fercli.stages.predict.config import PredictConfig
from fercli.stages.predict.csv_writer import Table
from fercli.stages.predict.detection import FaceDetection, FrameCrops, batches
from fercli.stages.predict.frames import Frame
from fercli.stages.predict.media_writer import Drawer
from fercli.stages.predict.outputs import check_place, check_separate
from fercli.stages.predict.row_store import Rows
from fercli.stages.predict.rows import Row
from fercli.stages.predict.sources import Source
from fercli.stages.predict.summary import PredictionSummary
from fercli.videos import Every

MOST_NAMED = 1000
"""Files that are named for each reason they were skipped for; all are counted."""


@dataclass
class Predictions:
    """What predict found.

    Attributes:
        rows: One a face and frame, in order; a frame without a face has a row of its own. A sequence like a list; of
            more than some thousands, most lie in a temporary file.
        emotions: The model's, in order of the probabilities.
        summary: images, faces, without_face, unreadable, passed_over (files that are neither pictures nor videos),
            images_per_second; emotions: faces by predicted emotion; notes: what is to be kept in mind.
        skipped: What could not be read: reason, and files, the first thousand.
        csv: The table that was written.
        drawn: The picture, folder or video that was written.
    """

    rows: Rows
    emotions: list[str]
    summary: PredictionSummary
    skipped: dict[str, list[str]] = field(default_factory=dict)
    csv: Path | None = None
    drawn: Path | None = None


def predict(config: PredictConfig, progress: Progress = SILENT) -> Predictions:
    """Predict the emotions of the faces of a photograph, a folder, a video, a data set or before a webcam.

    A webcam is read until Ctrl-C (or `frames`), which ends it as a video's end does.

    Raises:
        DataError: the checkpoint is broken, the source cannot be read or is empty.
        UsageError: a place to write is taken, or a name is wrong.
    """
    rows = Rows()
    with PredictionStream(config, progress) as stream:
        try:
            for row in stream:
                rows.append(row)
        except KeyboardInterrupt:
            if not stream.live:
                raise
            stream.close()
    return Predictions(rows, stream.emotions, stream.summary, stream.skipped, config.csv, config.draw)


class PredictionStream:
    """The rows of a prediction, one after the other as they are found: an iterator that keeps none of them.

    What `csv` and `draw` name is written meanwhile and stands there once the last row was taken. `close`, or leaving a
    `with` block, ends a webcam as its end would; of anything else it takes back what was written so far.

    Attributes:
        emotions: The model's, in order of the probabilities.
        live: Whether it is a webcam, which has no end.
        summary: As of `Predictions`, once the last row was taken; empty before.
        skipped: As of `Predictions`, so far.
    """

    def __init__(self, config: PredictConfig, progress: Progress = SILENT) -> None:
        self._config, self._progress = config, progress
        self._checkpoint = load_checkpoint(config.checkpoint)
        self._source = Source(config.source, Every.parse(config.every), config.split)
        self._finder = FaceDetection(config, self._source, self._checkpoint.metadata.face_format, progress)
        self.emotions = self._checkpoint.metadata.emotions
        self.live = self._source.kind == "webcam"
        self.summary = PredictionSummary()
        self.skipped: dict[str, list[str]] = {}
        self._counts: Counter[str] = Counter()
        self._emotions: Counter[str] = Counter()
        self._notes: list[str] = []
        self._dark = ""
        self._following = "", FaceTracker()
        self._check_places()
        # Made here, so that a place that is taken is told before anything is read.
        self._drawer = Drawer(config.draw, self._source, self.emotions, config.overwrite, progress.log)
        self._table = Table(config.csv, self.emotions, config.overwrite)
        self._rows = self._run()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Row:
        return next(self._rows)

    def close(self) -> None:
        """End it early."""
        self._rows.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _check_places(self) -> None:
        config = self._config
        sources = [path for path in (config.checkpoint, self._source.path, config.weights) if path is not None]
        for option, path in (("--csv", config.csv), ("--draw", config.draw)):
            if path is not None:
                check_place(option, path, sources)
        if config.csv is not None and config.draw is not None:
            check_separate(config.csv, config.draw)

    def _run(self) -> Generator[Row]:
        config, progress = self._config, self._progress
        started = perf_counter()
        self._note(synthetic_warning(config.checkpoint, self._checkpoint.metadata.drawn_faces, self._source.path))
        with self._drawer, self._table:
            try:
                with (
                    progress.task("predict", config.frames or self._source.total),
                    closing(batches(config, self._source, self._finder, progress.log)) as found,
                ):
                    for batch in found:
                        for item, rows in self._predicted(batch):
                            self._write(item.frame, rows)
                            progress.advance(item.frame.step, describe_faces(rows))
                            yield from rows
            except (KeyboardInterrupt, GeneratorExit):
                if not self.live:
                    raise
            self._summarise(perf_counter() - started)
            if not self.summary["images"]:
                raise DataError(f"{config.source}: nothing could be read ({self._told()})")
        if told := self._told():
            progress.log(f"skipped {told}")

    def _predicted(self, batch: list[FrameCrops]) -> Iterator[tuple[FrameCrops, list[Row]]]:
        """Yield each frame of a batch with its rows."""
        crops = [crop for found in batch for crop in found.crops]
        probabilities: list[list[float]] = []
        if crops:
            config = self._config
            probabilities = predict_images(
                self._checkpoint,
                np.stack(crops),
                device=find_device(config.device),
                tta=config.tta,
                batch_size=config.batch_size,
            ).tolist()
        given = iter(probabilities)
        for found in batch:
            frame = found.frame
            if frame.problem is not None:
                if self._config.strict:
                    raise frame.problem
                yield found, []
                continue
            rows = []
            for index, (face, face_id) in enumerate(zip(found.faces, self._ids(found), strict=True)):
                row = next(given)
                emotion = self.emotions[max(range(len(row)), key=row.__getitem__)]
                rows.append(Row(frame.source, frame.number, frame.time, index, face, tuple(row), emotion, face_id))
            yield found, rows or [Row(frame.source, frame.number, frame.time)]

    def _ids(self, found: FrameCrops) -> list[str]:
        """Return whose face each one is: within a video as `fer detect` numbers them."""
        frame = found.frame
        if frame.time is None:
            return [frame.face_id] * len(found.faces)
        if self._following[0] != frame.source:
            self._following = frame.source, FaceTracker()
        numbers = self._following[1].update(frame.time, [face.box for face in found.faces], found.looks)
        return [f"{number:04d}" for number in numbers]

    def _write(self, frame: Frame, rows: list[Row]) -> None:
        """Write a frame's rows and picture, and count them."""
        if frame.pixels is None:
            assert frame.problem is not None
            named = self.skipped.setdefault(frame.problem.reason, [])
            if len(named) < MOST_NAMED:
                named.append(frame.source)
            self._counts["unreadable"] += 1
            self._counts[f"skipped {frame.problem.reason}"] += 1
            return
        self._drawer.write(frame, frame.pixels, rows)
        if frame.time is None and is_nearly_black(frame.pixels):  # films often begin with black
            self._dark = self._dark or frame.source
            self._counts["nearly_black"] += 1
        self._table.write(rows)
        self._counts["images"] += 1
        faces = [row for row in rows if row.face is not None]
        self._counts["faces"] += len(faces)
        self._counts["without_face"] += not faces
        self._emotions.update(row.emotion for row in faces)

    def _summarise(self, seconds: float) -> None:
        counts = self._counts
        if self._dark:
            self._note(f"{counts['nearly_black']:,} nearly black, such as {printable(self._dark)}: nothing can be seen")
        if counts["images"] and not counts["faces"]:
            self._note("no face found; for faces cut out already say --faces crop")
        self.summary = PredictionSummary(
            images=counts["images"],
            faces=counts["faces"],
            without_face=counts["without_face"],
            unreadable=counts["unreadable"],
            passed_over=self._source.passed_over,
            images_per_second=counts["images"] / seconds if seconds > 0 else 0.0,
            emotions={emotion: self._emotions[emotion] for emotion in self.emotions},
            notes=self._notes,
        )

    def _note(self, text: str) -> None:
        if text:
            self._notes.append(text)
            self._progress.log(text)

    def _told(self) -> str:
        told = [
            f"{self._counts[f'skipped {reason}']:,} {reason}, as {files[0]}"
            for reason, files in sorted(self.skipped.items())
        ]
        if self._source.passed_over:
            told.append(f"{self._source.passed_over:,} neither pictures nor videos")
        return ", ".join(told)


def describe_faces(rows: list[Row]) -> str:
    """Return the emotions of a picture's first faces, for the progress line."""
    return ", ".join(f"{row.emotion} {max(row.probabilities):.0%}" for row in rows[:3] if row.face is not None)
