"""Predict: detect faces in threads, classify them in batches, and yield rows in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from contextlib import closing
from time import perf_counter
from types import TracebackType
from typing import Self

from fercli.artifacts.synthetic import synthetic_warning
from fercli.datasets.names import printable
from fercli.errors import DataError
from fercli.hub.address import is_address
from fercli.images import is_nearly_black
from fercli.models.checkpoints import Checkpoint, load_checkpoint
from fercli.models.devices import find_device
from fercli.progress import SILENT, Progress
from fercli.runs import display_path
from fercli.stages.predict.config import PredictConfig
from fercli.stages.predict.csv_writer import CsvWriter
from fercli.stages.predict.detection import FaceDetection, FrameCrops, batches
from fercli.stages.predict.frame_predictor import FramePredictor
from fercli.stages.predict.frames import FrameSource
from fercli.stages.predict.media_writer import MediaWriter
from fercli.stages.predict.outputs import check_output, check_separate_outputs
from fercli.stages.predict.predictions import Predictions
from fercli.stages.predict.row_store import Rows
from fercli.stages.predict.rows import Row
from fercli.stages.predict.sources import Source
from fercli.stages.predict.summary import PredictionSummary
from fercli.stages.predict.timeline import TimelineWriter
from fercli.stages.predict.window import LiveWindow
from fercli.videos import Every

MAX_LISTED = 1000
"""Maximum number of skipped files listed per reason; all are counted."""


def predict(config: PredictConfig, progress: Progress = SILENT) -> Predictions:
    """Predict the emotions of the faces in a photograph, folder, video, dataset or webcam stream.

    A webcam is read until Ctrl-C (or `frames`), and its results are complete, as at the end of a video.

    Raises:
        DataError: the checkpoint is damaged, or the source is unreadable or empty.
        UsageError: an output path may not be written, or an option is invalid.
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
    return Predictions(rows, stream.emotions, stream.summary, stream.skipped, config.csv, config.draw, config.timeline)


class PredictionStream:
    """An iterator over the rows of a prediction as they become available; rows are not kept.

    The `csv` and `draw` outputs appear once the iterator is exhausted. `close`, or leaving a `with` block, finishes a
    webcam stream normally; for other sources it discards the outputs.

    Args:
        config: The options.
        progress: Progress callback.
        checkpoint: The loaded checkpoint; None: the one that `config` names.
        source: The source of the frames; None: the one that `config` names.
        detection: Detects the faces; None: created for the call.

    Attributes:
        emotions: The model's emotions, in order of the probabilities.
        live: Whether the source is a webcam, which has no end.
        summary: As in `Predictions`, once the iterator is exhausted; empty before.
        skipped: As in `Predictions`, so far.
    """

    def __init__(
        self,
        config: PredictConfig,
        progress: Progress = SILENT,
        *,
        checkpoint: Checkpoint | None = None,
        source: FrameSource | None = None,
        detection: FaceDetection | None = None,
    ) -> None:
        self._config, self._progress = config, progress
        self._checkpoint = checkpoint or _load(config, progress)
        self._source = source or Source(config.source, Every.parse(config.every), config.split)
        face_format = self._checkpoint.metadata.face_format
        self._detection = detection or FaceDetection(config, self._source, face_format, progress)
        self.emotions = self._checkpoint.metadata.emotions
        self.live = self._source.kind == "webcam"
        self.summary = PredictionSummary()
        self.skipped: dict[str, list[str]] = {}
        self._counts: Counter[str] = Counter()
        self._emotions: Counter[str] = Counter()
        self._notes: list[str] = []
        self._dark_example = ""
        self._predictor = FramePredictor(self._checkpoint, config)
        self._timeline_writer = TimelineWriter(
            config.timeline,
            self._source,
            self.emotions,
            config.smooth,
            overwrite=config.overwrite,
            model=self._checkpoint.name,
            device=str(find_device(config.device)),
        )
        self._check_outputs()
        # Created here, so that an invalid output path fails before anything is read.
        self._media_writer = MediaWriter(config.draw, self._source, self.emotions, config.overwrite, progress.log)
        self._csv_writer = CsvWriter(config.csv, self._checkpoint.metadata.outputs, config.overwrite)
        self._window = LiveWindow(config.window, self._source, self.emotions)
        self._rows = self._run()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Row:
        return next(self._rows)

    def close(self) -> None:
        """Stop early."""
        self._rows.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _check_outputs(self) -> None:
        config = self._config
        files = (config.checkpoint, self._source.path, config.weights, config.detector_weights)
        sources = [path for path in files if path is not None]
        given = [("--csv", config.csv), ("--draw", config.draw)]
        given += [("--timeline", path) for path in self._timeline_writer.paths]
        outputs = [(option, path) for option, path in given if path is not None]
        for option, path in outputs:
            check_output(option, path, sources)
        check_separate_outputs(outputs)

    def _run(self) -> Generator[Row]:
        config, progress = self._config, self._progress
        started = perf_counter()
        shown = display_path(self._checkpoint.path) if is_address(config.checkpoint) else config.checkpoint
        self._note(synthetic_warning(shown, self._checkpoint.metadata.drawn_faces, self._source.path))
        with self._media_writer, self._csv_writer, self._timeline_writer, self._window:
            try:
                with (
                    progress.task("predict", config.frames or self._source.total),
                    closing(batches(config, self._source, self._detection, progress.log)) as detected,
                ):
                    for batch in detected:
                        for item, rows in self._predictor.predict(batch):
                            self._write(item, rows)
                            progress.advance(item.frame.step, describe_faces(rows))
                            yield from rows
                            if item.frame.pixels is not None:
                                self._window.show(item.frame.pixels, rows, item.started)
                        if self._window.closed:
                            break
            except (KeyboardInterrupt, GeneratorExit):
                if not self.live:
                    raise
            self._summarise(perf_counter() - started)
            if not self.summary["images"]:
                raise DataError(f"{config.source}: nothing could be read ({self._describe_skipped()})")
        if skipped := self._describe_skipped():
            progress.log(f"skipped {skipped}")

    def _write(self, detected: FrameCrops, rows: list[Row]) -> None:
        """Write a frame's rows and annotated image, and update the counts."""
        frame = detected.frame
        if frame.pixels is None:
            assert frame.problem is not None
            listed = self.skipped.setdefault(frame.problem.reason, [])
            if len(listed) < MAX_LISTED:
                listed.append(frame.source)
            self._counts["unreadable"] += 1
            self._counts[f"skipped {frame.problem.reason}"] += 1
            return
        self._media_writer.write(frame, frame.pixels, rows)
        if frame.time is None and is_nearly_black(frame.pixels):  # videos often start with black frames
            self._dark_example = self._dark_example or frame.source
            self._counts["nearly_black"] += 1
        self._csv_writer.write(rows)
        self._timeline_writer.write(rows, detected.crops)
        self._counts["images"] += 1
        faces = [row for row in rows if row.face is not None]
        self._counts["faces"] += len(faces)
        self._counts["without_face"] += not faces
        self._emotions.update(row.emotion for row in faces)

    def _summarise(self, seconds: float) -> None:
        counts = self._counts
        if self._dark_example:
            self._note(
                f"{counts['nearly_black']:,} nearly black, such as {printable(self._dark_example)}: nothing can be seen"
            )
        if counts["images"] and not counts["faces"]:
            self._note("no face detected; for cropped faces use --faces crop")
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

    def _describe_skipped(self) -> str:
        skipped = [
            f"{self._counts[f'skipped {reason}']:,} {reason}, such as {files[0]}"
            for reason, files in sorted(self.skipped.items())
        ]
        if self._source.passed_over:
            skipped.append(f"{self._source.passed_over:,} neither images nor videos")
        return ", ".join(skipped)


def _load(config: PredictConfig, progress: Progress) -> Checkpoint:
    """Load the checkpoint, or the published weights of a model."""
    if config.model is not None and config.weights is not None:
        return config.load_weights(config.weights, progress)
    return load_checkpoint(config.checkpoint)


def describe_faces(rows: list[Row]) -> str:
    """Return the emotions of an image's first faces, for the progress line."""
    return ", ".join(f"{row.emotion} {max(row.probabilities):.0%}" for row in rows[:3] if row.face is not None)
