"""Where the faces are looked for: in threads of this process, or by the workers of a Ray cluster.

Workers read photographs by their path and write crops into the job's folder, so what comes back is a line each, however
long a video is: photographs, weights and OUT lie on a disk that all machines of a cluster share.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

from fercli.cluster import map_on_ray
from fercli.datasets.readers.base import Item
from fercli.errors import DataError
from fercli.faces.base import Detector
from fercli.parallel import in_threads
from fercli.stages.detect.config import DetectConfig
from fercli.stages.detect.face_extractor import DetectionResult, FaceExtractor, staging_path

QUEUE_PER_WORKER = 4
"""Photographs a worker that may be done before their turn: some take ten times as long as others."""

_SHARED_DISK = "photographs, weights and OUT must lie on a disk that all machines of the cluster share"

Numbered = tuple[int, Item]


def find_all(
    items: Iterator[Numbered], folder: Path, config: DetectConfig, create: Callable[[], Detector]
) -> Generator[DetectionResult]:
    """Yield what comes of each numbered photograph or video, in order, a bounded number ahead.

    Args:
        items: The photographs with their numbers.
        folder: Where crops wait.
        config: The stage's options.
        create: Makes a detector; pickled where the engine is ray.
    """
    if config.engine == "ray":
        make = partial(make_worker, folder, config, create)
        known = ((number, replace(item, file=item.file and item.file.absolute())) for number, item in items)
        return _check_shared_disk(map_on_ray(make, known, workers=config.workers, address=config.ray_address), folder)
    finder = FaceExtractor(folder, config, create)
    return in_threads(lambda numbered: finder.find(*numbered), items, config.workers, QUEUE_PER_WORKER)


def _check_shared_disk(results: Generator[tuple[int, DetectionResult]], folder: Path) -> Generator[DetectionResult]:
    """Yield results whose crops have arrived here, too."""
    with closing(results):
        for number, found in results:
            if found.seen and not staging_path(folder, number, found.seen[0].frame, 0).exists():
                raise DataError(f"{folder.parent}: {_SHARED_DISK}")
            yield found


def make_worker(
    folder: Path, config: DetectConfig, create: Callable[[], Detector]
) -> Callable[[Numbered], tuple[int, DetectionResult]]:
    """Make the function of a worker, which may run on another machine: it finds the faces of a numbered source."""
    if not folder.parent.is_dir():
        raise DataError(f"{folder.parent}: not on {socket.gethostname()}; {_SHARED_DISK}")
    finder = FaceExtractor(folder, config, create)
    return lambda numbered: (numbered[0], finder.find(*numbered))
