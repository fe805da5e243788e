"""The stage: from photographs and videos to a dataset of faces."""

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
from fercli.cluster import check_engine
from fercli.datasets.index import Row, counted, write_index
from fercli.datasets.names import printable
from fercli.datasets.readers.base import Item
from fercli.emotions import in_order
from fercli.errors import DataError, FerError, ImageError
from fercli.faces.base import Detector
from fercli.faces.detectors import (
    DetectorSpec,
    check_alignable,
    choose_detector,
    create_detector,
    detector_weights,
    find_detector,
    recommended_detectors,
)
from fercli.faces.tiling import Search, with_search
from fercli.images import pixel_digest, read_image
from fercli.progress import SILENT, Progress
from fercli.stages.base import check_exists, resolve_output
from fercli.stages.detect.config import DetectConfig
from fercli.stages.detect.contact_sheet import SHEET, SheetSampler, contact_sheet
from fercli.stages.detect.engines import extract_all
from fercli.stages.detect.face_extractor import BELOW_LIMITS, NO_FACE, FaceExtractor, staging_path
from fercli.stages.detect.journal import Journal
from fercli.stages.detect.layout import Photographs, item_path
from fercli.stages.detect.rows import PictureRows, rows_of
from fercli.stages.detect.stats import DetectionStats

_CROPS, _JOURNAL = "crops", "journal.jsonl"


def detect(config: DetectConfig, progress: Progress = SILENT) -> Artifact:
    """Detect the faces in photographs and videos and crop them to squares of one size.

    `<split>/<emotion>/` folders are kept, `<emotion>/` folders are split 80/10/10 by photograph, anything else is
    unlabelled. All frames of a video go into one split, and each face in it is tracked by an ID. Photographs that have
    no face, or that cannot be read, are listed in the manifest. An interrupted call is resumed by the next identical
    one.

    Returns:
        A dataset that includes `contact-sheet.png`.

    Raises:
        UsageError: there is no such detector, or it does not support the options.
        DataError: there is no photograph, no face is detected, or the weights are invalid.
        ImageError: a photograph cannot be read and `strict` is set.
        FerError: the detector's weights are missing, or the Ray cluster cannot be reached.
    """
    check_exists(config.photographs, "file or folder")
    if not (config.photographs.is_dir() or config.photographs.is_file()):
        raise DataError(f"{config.photographs}: neither a folder nor a file; pass a folder of photographs")
    check_engine(config.engine, config.ray_address)
    spec = find_detector(choose_detector(config.detector, config.weights, progress))
    config = config.model_copy(update={"detector": spec.name})  # the manifest names the detector used
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
    ) as builder:
        if builder.done is None:
            try:
                _Detection(builder, config, spec, progress).run()
            except FerError as error:
                # Another call would fail again, unless the cluster failed meanwhile.
                if config.engine == "local" or type(error) is not FerError or not _has_journal(builder.folder):
                    discard(builder.folder)
                raise
    return builder.artifact


def _has_journal(folder: Path) -> bool:
    journal = folder / _JOURNAL
    return journal.is_file() and journal.stat().st_size > 0


def _inputs(config: DetectConfig, spec: DetectorSpec) -> list[Input]:
    """Return the photographs and the detector's weights as inputs; create the detector once, to fail early."""
    detector = create_detector(spec.name, config.weights)
    if config.align:
        check_alignable(spec.name, detector)
    source = config.photographs
    if is_artifact(source):
        inputs = [artifact_input("photographs", open_artifact(source, "photographs", "dataset"))]
    else:
        inputs = [input_of("photographs", source, "raw", digest_source(source))]
    weights = detector_weights(spec.name, config.weights)
    return inputs + [input_of("weights", file, "weights", digest_file(file)) for file in weights]


def _create(name: str, weights: Path | None, search: Search) -> Detector:
    return with_search(create_detector(name, weights), search)


class _Detection:
    """One call's work in the partial's folder: detect all faces, then move the crops to their final paths."""

    def __init__(self, builder: ArtifactBuilder, config: DetectConfig, spec: DetectorSpec, progress: Progress) -> None:
        self._builder, self._config, self._progress = builder, config, progress
        self._crops = builder.folder / _CROPS
        # The absolute path: another machine has another working directory, and perhaps no cache.
        weights = config.weights if spec.weights is None else detector_weights(spec.name, config.weights)[0]
        # Faces below --min-size need not be found; all others must be.
        search = Search(config.search_size, config.min_size or config.size, config.turns)
        self._create = partial(_create, spec.name, weights and weights.absolute(), search)
        self._stats = DetectionStats()
        self._counts: Counter[tuple[str, str]] = Counter()

    def run(self) -> None:
        """Write the dataset into the partial's folder."""
        builder, stats = self._builder, self._stats
        items = Photographs(self._config.photographs)
        with Journal(builder.folder / _JOURNAL, stats.add) as journal:
            remaining = journal.resume(iter(items))
            resumed = journal.lines
            if resumed:
                self._progress.log(f"resuming from photograph {resumed:,}/{len(items):,}")
            self._detect(remaining, len(items), journal)
        if not stats.pictures:
            raise DataError(_no_face_message(self._config, stats.reasons))
        sampler = SheetSampler(stats.pictures, stats.faceless)
        digest = write_index(builder.folder, self._rows(journal, resumed, sampler))
        (builder.folder / SHEET).write_bytes(contact_sheet(sampler, self._config, builder.folder))
        shutil.rmtree(self._crops, ignore_errors=True)
        (builder.folder / _JOURNAL).unlink()
        emotions = in_order({emotion for _, emotion in self._counts if emotion})
        unread = Counter[str]()
        for reason, name in items.unread():
            stats.skipped[reason].append(printable(name))
            unread[reason] += 1
        builder.finish(
            digest=digest,
            emotions=emotions,
            counts=counted(self._counts, emotions),
            skipped={reason: sorted(names) for reason, names in sorted(stats.skipped.items())},
            details={"nearly_black": sorted(stats.dark)} if stats.dark else {},
            summary=stats.summary(journal.seconds, unread.total()),
        )
        if stats.dark:
            self._progress.log(f"{len(stats.dark):,} nearly black, such as {min(stats.dark)}: nothing can be seen")
        if unread:
            reasons = ", ".join(f"{number:,} {reason}" for reason, number in sorted(unread.items()))
            self._progress.log(f"files not read: {reasons}; the manifest lists them")
        if stats.reasons:
            reasons = ", ".join(f"{number:,} {reason}" for reason, number in sorted(stats.reasons.items()))
            number = stats.reasons.total()
            pictures = "one picture" if number == 1 else f"{number:,} pictures"
            self._progress.log(f"no face from {pictures} ({reasons}); the manifest lists them")

    def _detect(self, items: Iterator[Item], count: int, journal: Journal) -> None:
        """Detect the faces in the photographs that are not in the journal yet."""
        before, started = journal.seconds, perf_counter()
        with self._progress.task("detecting", count):
            self._progress.advance(journal.lines)
            numbered = enumerate(items, journal.lines)
            with closing(extract_all(numbered, self._crops, self._config, self._create)) as results:
                for result in results:
                    if self._config.strict and result.message:
                        raise ImageError(result.problem, result.message)
                    journal.add(result, before + perf_counter() - started)
                    self._progress.advance()

    def _rows(self, journal: Journal, resumed: int, sampler: SheetSampler) -> Iterator[Row]:
        """Yield the index rows, each after its crop was moved to its final path."""
        extractor = FaceExtractor(self._crops, self._config, self._create)
        splits = self._stats.splits(self._config.seed)
        for number, (result, pictured) in enumerate(rows_of(journal.read(), splits)):
            if number < resumed and not _crops_intact(self._builder.folder, self._crops, number, pictured):
                file = item_path(self._config.photographs, result.source)
                extractor.extract(number, Item(result.split, result.emotion, result.name, result.source, file=file))
            move_crops(self._builder.folder, self._crops, number, pictured)
            sampler.offer(result, pictured)
            for _, rows in pictured:
                for row in rows:
                    self._counts[row.split, row.emotion] += 1
                    yield row


def _crops_intact(folder: Path, crops: Path, number: int, pictured: list[PictureRows]) -> bool:
    """Return whether the crops that an earlier call wrote are intact, staged or at their final paths."""
    for seen, rows in pictured:
        for k, row in enumerate(rows):
            staged, final = staging_path(crops, number, seen.frame, k), folder / row.path
            try:
                if pixel_digest(read_image(staged if staged.exists() else final)) != row.sha256:
                    return False
            except ImageError:
                return False
    return True


def move_crops(folder: Path, crops: Path, number: int, pictured: list[PictureRows]) -> None:
    """Move the crops of a photograph or video from staging to their final paths."""
    for seen, rows in pictured:
        for k, row in enumerate(rows):
            staged, final = staging_path(crops, number, seen.frame, k), folder / row.path
            try:
                staged.replace(final)
            except FileNotFoundError:  # it was moved before, or is the first in its folder
                if staged.exists():
                    final.parent.mkdir(parents=True, exist_ok=True)
                    staged.replace(final)


def _no_face_message(config: DetectConfig, reasons: Counter[str]) -> str:
    """Return the error message if no face is detected."""
    listed = ", ".join(f"{number:,} {reason}" for reason, number in sorted(reasons.items()))
    others = " or ".join(name for name in recommended_detectors() if name != config.detector)
    advice = "; lower --min-size or --min-score" if reasons[BELOW_LIMITS] else ""
    if reasons[NO_FACE]:
        advice += f"; try --detector {others}" + (", or --turns" if not config.turns else "")
    return f"{config.photographs}: no face detected ({listed}){advice}"
