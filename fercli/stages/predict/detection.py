"""Detecting and cropping the faces of frames in threads, with bounded read-ahead."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import islice
from time import perf_counter

from fercli.faces.base import Detector, Face
from fercli.faces.cropping import crop_face
from fercli.faces.detectors import choose_detector, create_detector
from fercli.faces.tiling import Search, with_search
from fercli.faces.tracking import Appearance, compute_appearance
from fercli.images import Color, Pixels
from fercli.parallel import executor, num_threads
from fercli.progress import Progress
from fercli.stages.predict.config import PredictConfig
from fercli.stages.predict.crops import as_packed
from fercli.stages.predict.frames import Frame, FrameSource
from fercli.videos.cuts import Scene, scene_of

BATCH = 32
"""Frames whose faces form one batch; webcam frames are processed one at a time."""
AHEAD_PIXELS = 64_000_000
"""Approximate limit on the pixels of frames read ahead (but at least two frames)."""


@dataclass
class FrameCrops:
    """A frame with its faces, their crops in the model's format, and in a video their appearance and the scene.

    `started` is the time at which the work on it began, by `perf_counter`.
    """

    frame: Frame
    faces: list[Face]
    crops: list[Pixels]
    looks: list[Appearance] = field(default_factory=list)
    scene: Scene | None = None
    started: float = 0.0


class FaceDetection:
    """Detects and crops faces. Each thread has its own detector, since detectors are not thread-safe.

    Args:
        config: Options.
        source: The source of the frames.
        face_format: Size and colour of the faces that the model was trained on.
        progress: Logs the default detector.
    """

    def __init__(
        self, config: PredictConfig, source: FrameSource, face_format: tuple[int, Color], progress: Progress
    ) -> None:
        self._config, self._size, self._color = config, *face_format
        self._crops = config.faces == "crop" or (config.faces == "auto" and source.kind == "faces")
        self._packed = source.artifact is not None and source.artifact.manifest.kind == "pack"
        self._local = threading.local()
        if not self._crops:
            self._detector = choose_detector(config.detector, config.detector_file, progress)
            self._local.detector = self._create()  # here, so that a wrong name or file fails early

    def _create(self) -> Detector:
        search = Search(self._config.search_size, self._size, self._config.turns)
        return with_search(create_detector(self._detector, self._config.detector_file), search)

    def __call__(self, read: Callable[[], Frame]) -> FrameCrops:
        """Read a frame and detect its faces."""
        started = perf_counter()
        frame = read()
        if frame.pixels is None:
            return FrameCrops(frame, [], [])
        if self._crops:
            # Images of a pack are used unchanged, as in evaluate.
            pixels = frame.pixels if self._packed else as_packed(frame.pixels, self._size, self._color)
            height, width = frame.pixels.shape[:2]
            faces, crops = [Face((0.0, 0.0, float(width), float(height)), float("nan"))], [pixels]
        else:
            if not hasattr(self._local, "detector"):
                self._local.detector = self._create()
            faces = self._local.detector.detect(frame.pixels)[: 1 if self._config.faces == "largest" else None]
            crops = [crop_face(frame.pixels, face, self._size, self._color) for face in faces]
        if frame.time is None:
            return FrameCrops(frame, faces, crops)
        looks = [compute_appearance(frame.pixels, face) for face in faces]
        return FrameCrops(frame, faces, crops, looks, scene_of(frame.pixels), started)


def batches(
    config: PredictConfig, source: FrameSource, detection: FaceDetection, log: Callable[[str], None]
) -> Generator[list[FrameCrops]]:
    """Yield batches of frames with their faces in order, while the next frames are read and searched."""
    live = source.kind == "webcam" or config.window
    size = 1 if live else max(BATCH, config.batch_size) if source.kind == "faces" else BATCH
    ahead = 0 if config.workers == 0 else 1 if size == 1 else 2 * num_threads(config.workers)
    max_ahead = ahead
    queue: deque[Future[FrameCrops]] = deque()
    batch: list[FrameCrops] = []
    pixels = 0
    with executor(config.workers) as pool:
        try:
            for read in islice(source.frames(log), config.frames):
                queue.append(pool.submit(detection, read))
                if len(queue) > ahead:
                    batch.append(queue.popleft().result())
                    last = 0 if batch[-1].frame.pixels is None else batch[-1].frame.pixels.size // 3
                    pixels += last
                    if max_ahead > 1 and last:  # large frames in the queue count as well
                        ahead = max(1, min(max_ahead, AHEAD_PIXELS // last))
                if len(batch) >= size or pixels > AHEAD_PIXELS:
                    yield batch
                    batch, pixels = [], 0
            for future in queue:
                batch.append(future.result())
            if batch:
                yield batch
        finally:
            pool.shutdown(cancel_futures=True)
