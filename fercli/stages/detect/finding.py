"""Finding and cutting the faces of one photograph, and of many by threads."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from fercli.datasets.readers.base import Item
from fercli.errors import ImageError
from fercli.faces.base import Detector, Face
from fercli.faces.cropping import crop_face
from fercli.images import encode_png, pixel_digest, read_image
from fercli.stages.detect.config import DetectConfig

NO_FACE = "no face"


@dataclass(frozen=True, slots=True)
class Found:
    """What came of a photograph.

    Attributes:
        source: Its path within the source.
        faces: Those kept, the largest first.
        sha256: Pixel digest of each one's crop.
        photograph: Pixel digest of the photograph, where its split is open: equal ones go into one.
        problem: Why there is none: `no face`, or why it cannot be read; empty where there is one.
        message: The line for people, where it cannot be read.
    """

    source: str
    faces: tuple[Face, ...] = ()
    sha256: tuple[str, ...] = ()
    photograph: str = ""
    problem: str = ""
    message: str = ""


class Finder:
    """Finds the faces of photographs and writes their crops.

    Threads, since decoding, detecting and warping all let go of Python's lock; each has a detector of its own.

    Args:
        folder: Where crops go until their places are known.
        config: The stage's options.
        create: Makes a detector.
    """

    def __init__(self, folder: Path, config: DetectConfig, create: Callable[[], Detector]) -> None:
        self._folder, self._config, self._create = folder, config, create
        self._own = threading.local()

    def crop(self, number: int, face: int) -> Path:
        """Return the waiting place of a photograph's crop. A folder holds those of a thousand photographs."""
        return self._folder / f"{number // 1000:04d}" / f"{number % 1000:03d}-{face}.png"

    def find(self, number: int, item: Item) -> Found:
        """Read a photograph, find its faces and write their crops."""
        assert item.file is not None
        if item.problem:
            return Found(item.source, problem=item.problem, message=f"{item.source}: {item.problem}")
        try:
            pixels = read_image(item.file)
        except ImageError as error:
            return Found(item.source, problem=error.reason, message=str(error))
        if not hasattr(self._own, "detector"):
            self._own.detector = self._create()
        faces = self._own.detector.detect(pixels)[: 1 if self._config.faces == "largest" else None]
        options = self._config
        same = "" if item.split else pixel_digest(pixels)
        digests = []
        for k, face in enumerate(faces):
            crop = crop_face(pixels, face, options.size, options.color, options.margin, options.align)
            place = self.crop(number, k)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(encode_png(crop))
            digests.append(pixel_digest(crop))
        return Found(item.source, tuple(faces), tuple(digests), same, "" if faces else NO_FACE)

    def find_all(self, items: Sequence[Item], start: int, threads: int) -> Generator[Found]:
        """Yield what came of the photographs from number `start` on, in order, a bounded number ahead."""
        waiting: deque[Future[Found]] = deque()
        pool = ThreadPoolExecutor(threads)
        try:
            for number in range(start, len(items)):
                waiting.append(pool.submit(self.find, number, items[number]))
                if len(waiting) > 4 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
