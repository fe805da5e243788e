"""The stage: photographs in, a data set of faces out."""

from __future__ import annotations

import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from time import perf_counter

from fercli.artifacts import Artifact, Input, artifact_input, input_of, is_artifact, open_artifact
from fercli.building import Job, build
from fercli.datasets.index import Row, count, emotions_of, write_index
from fercli.datasets.names import printable
from fercli.datasets.readers.base import Item
from fercli.digests import digest_file, digest_source
from fercli.errors import DataError, FerError, ImageError
from fercli.faces.detectors import (
    DetectorSpec,
    check_alignable,
    create_detector,
    find_detector,
    usual,
    weights_of,
)
from fercli.images import pixel_digest, read_image
from fercli.progress import SILENT, Progress
from fercli.stages.base import check_exists, place
from fercli.stages.detect.config import DetectConfig
from fercli.stages.detect.finding import NO_FACE, Finder, Found
from fercli.stages.detect.journal import Journal
from fercli.stages.detect.layout import UNKNOWN, photographs_in
from fercli.stages.detect.rows import rows_of
from fercli.stages.detect.sheet import SHEET, contact_sheet

_CROPS, _JOURNAL = "crops", "journal.jsonl"


def detect(config: DetectConfig, progress: Progress = SILENT) -> Artifact:
    """Find the faces in photographs and cut them out as squares of one size.

    `<split>/<emotion>/` folders are kept, `<emotion>/` ones are split 80/10/10 by photograph, all else is unlabelled.
    Photographs without a face, or that cannot be read, are listed in the manifest. An interrupted call is gone on with
    by the next identical one.

    Returns:
        A data set, with `contact-sheet.png` in it.

    Raises:
        UsageError: there is no such detector, or it does not suit the options.
        DataError: there is no photograph, or no face in any; or the weights are something else.
        ImageError: a photograph is bad and `strict` is set.
        FerError: the detector's weights are not here.
    """
    check_exists(config.photographs, "file or folder")
    if not (config.photographs.is_dir() or config.photographs.is_file()):
        raise DataError(f"{config.photographs}: neither a folder nor a file; give a folder of photographs")
    spec = find_detector(config.detector)
    inputs = _inputs(config, spec)
    out = place(config, config.out, config.photographs, inputs, progress)
    with build(
        out,
        config.kind,
        config.stage,
        options=config.options(),
        inputs=inputs,
        seed=config.seed,
        overwrite=config.overwrite,
        resumable=True,
    ) as job:
        if job.done is None:
            try:
                finder = Finder(job.folder / _CROPS, config, lambda: create_detector(spec.name, config.weights))
                _detect(job, config, finder, progress)
            except FerError:
                shutil.rmtree(job.folder, ignore_errors=True)  # calling again would end the same
                raise
    return job.artifact


def _inputs(config: DetectConfig, spec: DetectorSpec) -> list[Input]:
    """Return the photographs and the detector's weights as inputs, the detector having been made once for a try."""
    detector = create_detector(spec.name, config.weights)
    if config.align:
        check_alignable(spec.name, detector)
    source = config.photographs
    if is_artifact(source):
        inputs = [artifact_input("photographs", open_artifact(source, "photographs", "dataset"))]
    else:
        inputs = [input_of("photographs", source, "raw", digest_source(source))]
    weights = weights_of(spec.name, config.weights)
    return inputs + [input_of("weights", file, "weights", digest_file(file)) for file in weights]


def _detect(job: Job, config: DetectConfig, finder: Finder, progress: Progress) -> None:
    """Fill the job's folder with the data set."""
    items = photographs_in(config.photographs)
    with Journal(job.folder / _JOURNAL, items) as journal:
        resumed = len(journal.found)
        if resumed:
            progress.log(f"going on after {resumed:,} of {len(items):,} photographs")
        _find(items, journal, config, finder, progress)
    found = journal.found
    rows = rows_of(items, found, config.seed)
    if not any(rows):
        raise DataError(_nothing(config, found))
    for number, own in enumerate(rows):
        if number < resumed and not _stand(job.folder, finder, number, own):
            finder.find(number, items[number])
        _move(job.folder, finder, number, own)
    flat = [row for own in rows for row in own]
    (job.folder / SHEET).write_bytes(contact_sheet(items, found, job.folder, rows))
    skipped: dict[str, list[str]] = defaultdict(list)
    for one in found:
        if one.problem:
            skipped[one.problem].append(printable(one.source))
    digest = write_index(job.folder, flat)
    shutil.rmtree(job.folder / _CROPS, ignore_errors=True)
    (job.folder / _JOURNAL).unlink()
    emotions = emotions_of(flat)
    job.finish(
        digest=digest,
        emotions=emotions,
        counts=count(flat, emotions),
        skipped={reason: sorted(names) for reason, names in sorted(skipped.items())},
        summary=_summary(found, journal.seconds),
    )
    if skipped:
        told = ", ".join(f"{len(names):,} {reason}" for reason, names in sorted(skipped.items()))
        progress.log(
            f"no face taken from {sum(map(len, skipped.values())):,} pictures ({told}); the manifest lists them"
        )


def _find(items: Sequence[Item], journal: Journal, config: DetectConfig, finder: Finder, progress: Progress) -> None:
    """Find the faces of the photographs that are not in the journal yet."""
    threads = max(1, (os.cpu_count() or 1) if config.workers is None else config.workers)
    before, started = journal.seconds, perf_counter()
    progress.start("detecting", len(items))
    progress.advance(len(journal.found))
    try:
        with closing(finder.find_all(items, len(journal.found), threads)) as results:
            for found in results:
                if config.strict and found.message:
                    raise ImageError(found.problem, found.message)
                journal.add(found, before + perf_counter() - started)
                progress.advance()
    finally:
        progress.stop()


def _stand(folder: Path, finder: Finder, number: int, rows: Sequence[Row]) -> bool:
    """Tell whether the crops that an earlier call wrote are whole, waiting or in their places."""
    for k, row in enumerate(rows):
        waiting, final = finder.crop(number, k), folder / row.path
        try:
            if pixel_digest(read_image(waiting if waiting.exists() else final)) != row.sha256:
                return False
        except ImageError:
            return False
    return True


def _move(folder: Path, finder: Finder, number: int, rows: Sequence[Row]) -> None:
    """Bring a photograph's crops from where they wait to their places."""
    for k, row in enumerate(rows):
        waiting, final = finder.crop(number, k), folder / row.path
        if waiting.exists():
            final.parent.mkdir(parents=True, exist_ok=True)
            waiting.replace(final)


def _summary(found: Sequence[Found], seconds: float) -> dict[str, float]:
    looked_at = [one for one in found if one.problem != UNKNOWN]
    return {
        "images": len(looked_at),
        "faces": sum(len(one.faces) for one in looked_at),
        "without_face": sum(one.problem == NO_FACE for one in looked_at),
        "unreadable": sum(bool(one.message) for one in looked_at),
        "images_per_second": round(len(found) / max(seconds, 1e-9), 2),
    }


def _nothing(config: DetectConfig, found: Sequence[Found]) -> str:
    """Return the line that tells why there is not one face."""
    reasons = Counter(one.problem for one in found)
    told = ", ".join(f"{number:,} {reason}" for reason, number in sorted(reasons.items()))
    others = " or ".join(name for name in usual() if name != config.detector)
    advice = f"; try --detector {others}" if reasons[NO_FACE] else ""
    return f"{config.photographs}: not one face in it ({told}){advice}"
