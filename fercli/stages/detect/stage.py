"""The stage: photographs and videos in, a dataset of faces out."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from time import perf_counter

from fercli.artifacts import Artifact, Input, artifact_input, input_of, is_artifact, open_artifact
from fercli.artifacts.building import ArtifactBuilder, build
from fercli.artifacts.digests import digest_file, digest_source
from fercli.artifacts.staging import discard
from fercli.cluster import check_ray
from fercli.datasets.index import Row, counted, write_index
from fercli.datasets.names import printable
from fercli.datasets.readers.base import Item
from fercli.emotions import in_order
from fercli.errors import DataError, FerError, ImageError, UsageError
from fercli.faces.base import Detector
from fercli.faces.detectors import (
    DetectorSpec,
    check_alignable,
    choose_detector,
    create_detector,
    find_detector,
    usual,
    weights_of,
)
from fercli.faces.tiling import Search, searching
from fercli.images import pixel_digest, read_image
from fercli.progress import SILENT, Progress
from fercli.stages.base import check_exists, resolve_output
from fercli.stages.detect.config import DetectConfig
from fercli.stages.detect.contact_sheet import SHEET, Choice, contact_sheet
from fercli.stages.detect.engines import find_all
from fercli.stages.detect.face_extractor import BELOW, NO_FACE, FaceExtractor, staging_path
from fercli.stages.detect.journal import Journal
from fercli.stages.detect.layout import Photographs, file_of
from fercli.stages.detect.rows import Pictured, rows_of
from fercli.stages.detect.stats import DetectionStats

_CROPS, _JOURNAL = "crops", "journal.jsonl"


def detect(config: DetectConfig, progress: Progress = SILENT) -> Artifact:
    """Find the faces in photographs and videos and cut them out as squares of one size.

    `<split>/<emotion>/` folders are kept, `<emotion>/` ones are split 80/10/10 by photograph, all else is unlabelled.
    The frames of a video go into one split, and each face in it has a number that it keeps from frame to frame.
    Photographs without a face, or that cannot be read, are listed in the manifest. An interrupted call is gone on with
    by the next identical one.

    Returns:
        A dataset, with `contact-sheet.png` in it.

    Raises:
        UsageError: there is no such detector, or it does not suit the options.
        DataError: there is no photograph, or no face in any; or the weights are something else.
        ImageError: a photograph is bad and `strict` is set.
        FerError: the detector's weights are not here, or the Ray cluster is not.
    """
    check_exists(config.photographs, "file or folder")
    if not (config.photographs.is_dir() or config.photographs.is_file()):
        raise DataError(f"{config.photographs}: neither a folder nor a file; give a folder of photographs")
    if config.engine == "ray":
        check_ray(config.ray_address)
    elif config.ray_address is not None:
        raise UsageError("--ray-address: only with --engine ray")
    spec = find_detector(choose_detector(config.detector, config.weights, progress))
    config = config.model_copy(update={"detector": spec.name})  # the manifest says which one it was
    inputs = _inputs(config, spec)
    out = resolve_output(config, config.out, config.photographs, inputs, progress)
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
                _Detection(job, config, spec, progress).run()
            except FerError as error:
                # Calling again would end the same, unless it was the cluster that failed on the way.
                if config.engine == "local" or type(error) is not FerError or not _has_begun(job.folder):
                    discard(job.folder)
                raise
    return job.artifact


def _has_begun(folder: Path) -> bool:
    journal = folder / _JOURNAL
    return journal.is_file() and journal.stat().st_size > 0


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


def _create(name: str, weights: Path | None, search: Search) -> Detector:
    return searching(create_detector(name, weights), search)


class _Detection:
    """One call's work in the job's folder: all faces found first, then crops brought to their places."""

    def __init__(self, job: ArtifactBuilder, config: DetectConfig, spec: DetectorSpec, progress: Progress) -> None:
        self._job, self._config, self._progress = job, config, progress
        self._crops = job.folder / _CROPS
        # By its whole path: another machine has another working folder, and perhaps no cache.
        weights = config.weights if spec.weights is None else weights_of(spec.name, config.weights)[0]
        # What --min-size leaves out, or keeps, need not, or must, be found.
        search = Search(config.search_size, config.min_size or config.size, config.turns)
        self._create = partial(_create, spec.name, weights and weights.absolute(), search)
        self._tally = DetectionStats()
        self._counts: Counter[tuple[str, str]] = Counter()

    def run(self) -> None:
        """Fill the job's folder with the dataset."""
        job, tally = self._job, self._tally
        items = Photographs(self._config.photographs)
        with Journal(job.folder / _JOURNAL, tally.add) as journal:
            left = journal.resume(iter(items))
            resumed = journal.lines
            if resumed:
                self._progress.log(f"going on after {resumed:,} of {len(items):,} photographs")
            self._find(left, len(items), journal)
        if not tally.pictures:
            raise DataError(_nothing(self._config, tally.reasons))
        choice = Choice(tally.pictures, tally.faceless)
        digest = write_index(job.folder, self._rows(journal, resumed, choice))
        (job.folder / SHEET).write_bytes(contact_sheet(choice, self._config, job.folder))
        shutil.rmtree(self._crops, ignore_errors=True)
        (job.folder / _JOURNAL).unlink()
        emotions = in_order({emotion for _, emotion in self._counts if emotion})
        passed_over = Counter[str]()
        for reason, name in items.unread():
            tally.skipped[reason].append(printable(name))
            passed_over[reason] += 1
        job.finish(
            digest=digest,
            emotions=emotions,
            counts=counted(self._counts, emotions),
            skipped={reason: sorted(names) for reason, names in sorted(tally.skipped.items())},
            details={"nearly_black": sorted(tally.dark)} if tally.dark else {},
            summary={
                **tally.summary(journal.seconds),
                **({"files_not_read": passed_over.total()} if passed_over else {}),
            },
        )
        if tally.dark:
            self._progress.log(f"{len(tally.dark):,} nearly black, such as {min(tally.dark)}: nothing can be seen")
        if passed_over:
            told = ", ".join(f"{number:,} {reason}" for reason, number in sorted(passed_over.items()))
            self._progress.log(f"files not read: {told}; the manifest lists them")
        if tally.reasons:
            told = ", ".join(f"{number:,} {reason}" for reason, number in sorted(tally.reasons.items()))
            number = tally.reasons.total()
            pictures = "one picture" if number == 1 else f"{number:,} pictures"
            self._progress.log(f"no face taken from {pictures} ({told}); the manifest lists them")

    def _find(self, items: Iterator[Item], count: int, journal: Journal) -> None:
        """Find the faces of the photographs that are not in the journal yet."""
        before, started = journal.seconds, perf_counter()
        with self._progress.task("detecting", count):
            self._progress.advance(journal.lines)
            numbered = enumerate(items, journal.lines)
            with closing(find_all(numbered, self._crops, self._config, self._create)) as results:
                for found in results:
                    if self._config.strict and found.message:
                        raise ImageError(found.problem, found.message)
                    journal.add(found, before + perf_counter() - started)
                    self._progress.advance()

    def _rows(self, journal: Journal, resumed: int, choice: Choice) -> Iterator[Row]:
        """Yield the index's rows, each when its crop has come to its place."""
        finder = FaceExtractor(self._crops, self._config, self._create)
        splits = self._tally.splits(self._config.seed)
        for number, (found, pictured) in enumerate(rows_of(journal.read(), splits)):
            if number < resumed and not _stand(self._job.folder, self._crops, number, pictured):
                file = file_of(self._config.photographs, found.source)
                finder.find(number, Item(found.split, found.emotion, found.name, found.source, file=file))
            move_crops(self._job.folder, self._crops, number, pictured)
            choice.offer(found, pictured)
            for _, rows in pictured:
                for row in rows:
                    self._counts[row.split, row.emotion] += 1
                    yield row


def _stand(folder: Path, crops: Path, number: int, pictured: list[Pictured]) -> bool:
    """Tell whether the crops that an earlier call wrote are whole, waiting or in their places."""
    for seen, rows in pictured:
        for k, row in enumerate(rows):
            waiting, final = staging_path(crops, number, seen.frame, k), folder / row.path
            try:
                if pixel_digest(read_image(waiting if waiting.exists() else final)) != row.sha256:
                    return False
            except ImageError:
                return False
    return True


def move_crops(folder: Path, crops: Path, number: int, pictured: list[Pictured]) -> None:
    """Bring the crops of a photograph or video from where they wait to their places."""
    for seen, rows in pictured:
        for k, row in enumerate(rows):
            waiting, final = staging_path(crops, number, seen.frame, k), folder / row.path
            if waiting.exists():
                final.parent.mkdir(parents=True, exist_ok=True)
                waiting.replace(final)


def _nothing(config: DetectConfig, reasons: Counter[str]) -> str:
    """Return the line that tells why there is not one face."""
    told = ", ".join(f"{number:,} {reason}" for reason, number in sorted(reasons.items()))
    others = " or ".join(name for name in usual() if name != config.detector)
    advice = "; lower --min-size or --min-score" if reasons[BELOW] else ""
    if reasons[NO_FACE]:
        advice += f"; try --detector {others}" + (", or --turns" if not config.turns else "")
    return f"{config.photographs}: not one face in it ({told}){advice}"
