"""Running detection in threads of this process, or on the workers of a Ray cluster.

Workers read photographs by path and write crops into the partial's folder, so results are small, however long a video
is. Photographs, weights and OUT must therefore be on a disk shared by all machines of the cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

from fercli.cluster import check_shared, map_on_ray, shared_disk
from fercli.datasets.readers.base import Item
from fercli.errors import DataError
from fercli.faces.base import Detector
from fercli.parallel import in_threads
from fercli.stages.detect.config import DetectConfig
from fercli.stages.detect.face_extractor import DetectionResult, FaceExtractor, staging_path

QUEUE_PER_WORKER = 4
"""Photographs per worker that may complete out of order: some take ten times as long as others."""

_FILES = "photographs, weights and OUT"

Numbered = tuple[int, Item]


def extract_all(
    items: Iterator[Numbered], folder: Path, config: DetectConfig, create: Callable[[], Detector]
) -> Generator[DetectionResult]:
    """Yield the result for each numbered photograph or video, in order, working a bounded number ahead.

    Args:
        items: The photographs and videos, numbered.
        folder: Staging folder for crops.
        config: The stage's options.
        create: Creates a detector; pickled if the engine is ray.
    """
    if config.engine == "ray":
        make = partial(make_worker, folder, config, create)
        absolute = ((number, replace(item, file=item.file and item.file.absolute())) for number, item in items)
        return _check_shared_disk(
            map_on_ray(make, absolute, workers=config.workers, address=config.ray_address), folder
        )
    extractor = FaceExtractor(folder, config, create)
    return in_threads(lambda numbered: extractor.extract(*numbered), items, config.workers, QUEUE_PER_WORKER)


def _check_shared_disk(results: Generator[tuple[int, DetectionResult]], folder: Path) -> Generator[DetectionResult]:
    """Yield results, checking that their crops are visible on this machine."""
    with closing(results):
        for number, result in results:
            if result.seen and not staging_path(folder, number, result.seen[0].frame, 0).exists():
                raise DataError(f"{folder.parent}: {shared_disk(_FILES)}")
            yield result


def make_worker(
    folder: Path, config: DetectConfig, create: Callable[[], Detector]
) -> Callable[[Numbered], tuple[int, DetectionResult]]:
    """Return a worker's function, which may run on another machine: it extracts the faces of a numbered item."""
    check_shared(folder.parent, _FILES)
    extractor = FaceExtractor(folder, config, create)
    return lambda numbered: (numbered[0], extractor.extract(*numbered))
