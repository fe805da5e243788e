"""Import: read a source through its reader, write a data set.

An image that the source holds as a file keeps that file, byte for byte, by hard link where the disk allows it; one
that it holds in a table, or in a box of a larger picture, becomes a PNG. A bad image is skipped, counted by reason and
listed in the manifest; so is one that the data set's rules or the options leave out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sized
from typing import Any

from fercli.artifacts import Artifact, input_of
from fercli.building import Job, build
from fercli.datasets.index import count, emotions_of, totals, write_index
from fercli.datasets.names import printable
from fercli.datasets.readers import Reader, Wanted, find_others, find_reader
from fercli.datasets.readers.folders import SPLIT_NAMES, UNKNOWN_EMOTION
from fercli.digests import digest_source
from fercli.errors import DataError, UsageError
from fercli.progress import SILENT, Progress
from fercli.stages.base import check_exists, place
from fercli.stages.import_dataset.comparing import differences, told
from fercli.stages.import_dataset.config import ImportConfig
from fercli.stages.import_dataset.counting import total_of
from fercli.stages.import_dataset.splits import cut_missing, with_folds
from fercli.stages.import_dataset.writing import Writer

_NAMES = 3


def import_dataset(config: ImportConfig, progress: Progress = SILENT) -> Artifact:
    """Make a data set of a published one, or of folders of pictures.

    Raises:
        UsageError: there is no such format, or an option does not fit the source (soft votes of a set that has none,
            more folds than persons).
        DataError: the source is missing, empty, of no known layout, or holds no usable image.
        ImageError: an image is bad and `strict` is set.
    """
    source, wanted = config.source, config.wanted()
    check_exists(source, "file or folder")
    reader = find_reader(source, config.format, wanted)
    inputs = [input_of("source", source, "raw", digest_source(source))]
    out = place(config, config.out, source, inputs, progress)
    options = {**config.options(), "format": reader.name}
    with build(
        out, "dataset", config.stage, options=options, inputs=inputs, seed=config.seed, overwrite=config.overwrite
    ) as job:
        if job.done:
            return job.done
        progress.log(f"reading {source} as {reader.title}")
        if config.format is None and (others := find_others(source, reader, wanted)):
            progress.log(f"it could be read as {' or '.join(others)} as well; --format says so")
        writer = Writer(job.folder, config.strict, config.workers, config.classes)
        writer.take(progress.track(reader.read(source, wanted), "importing", total_of(source, reader)))
        _check(writer, config, wanted, reader, progress)
        _finish(job, writer, config, reader, progress)
    if writer.skipped:
        progress.log(f"skipped {_listed(writer.skipped)}; the manifest lists them")
    return job.artifact


def _check(writer: Writer, config: ImportConfig, wanted: Wanted, reader: Reader, progress: Progress) -> None:
    """Refuse a source without a usable image, or without what the options ask of it."""
    if not writer.rows:
        why = f" ({_listed(writer.skipped)})" if writer.skipped else ""
        raise DataError(f"{config.source}: not one usable image in it{why}")
    if config.votes == "soft" and not any(row.votes for row in writer.rows):
        raise UsageError(f"votes soft: {reader.title} has no annotators' votes; leave --votes out")
    if unmet := sorted(set(wanted.names) - wanted.met):
        progress.log(f"--map: nothing in {config.source} is called {' or '.join(unmet)}")
    if words := sorted({_word(name) for name in writer.skipped.get(UNKNOWN_EMOTION, ())}):
        few = f"{', '.join(words[:_NAMES])}{', …' if len(words) > _NAMES else ''}"
        progress.log(
            f"no emotion is called {few}; say with --map '{words[0]}=EMOTION', or '{words[0]}=-' to pass over it"
        )


def _finish(job: Job, writer: Writer, config: ImportConfig, reader: Reader, progress: Progress) -> None:
    """Cut what splits and folds are missing, write the index, and tell what differs from the published set."""
    test_published = any(row.split == "test" for row in writer.rows)
    details: dict[str, Any] = {"splits": cut_missing(writer, config.seed)}
    progress.log(f"splits: {details['splits']}")
    rows = writer.rows
    if config.folds is not None:
        rows, details["folds"] = with_folds(rows, config.folds, test_published, config.seed)
        progress.log(f"folds: {details['folds']}")
    if differing := differences(reader.published, writer.found, writer.missing):
        details["differs_from_published"] = {"told": told(differing, writer.missing), "splits": differing}
        progress.log(f"not as published: {details['differs_from_published']['told']}")
    emotions = emotions_of(rows)
    counts = count(rows, emotions)
    skipped = {reason: sorted(names) for reason, names in sorted(writer.skipped.items())}
    job.finish(
        digest=write_index(job.folder, rows),
        emotions=emotions,
        counts=counts,
        skipped=skipped,
        details=details,
        summary={
            "images": totals(counts),
            "emotions": emotions,
            "skipped": {reason: len(names) for reason, names in skipped.items()},
        },
    )


def _word(name: str) -> str:
    """Return the folder of a picture's path that should have been called after an emotion."""
    folders = name.split("/")[:-1]
    return printable(next((each for each in folders if each.lower() not in SPLIT_NAMES), ""))


def _listed(skipped: Mapping[str, Sized]) -> str:
    return ", ".join(f"{len(names):,} {reason}" for reason, names in sorted(skipped.items()))
