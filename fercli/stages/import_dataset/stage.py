"""Import: read a source through its reader and write a dataset.

Image files are kept byte for byte, as hard links if the file system allows it; images from a table, or cropped from a
box in a larger image, are written as PNG. Bad images are skipped, counted by reason and listed in the manifest, and so
are images excluded by the dataset's rules or the options. An interrupted call is resumed by the next identical one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sized
from pathlib import Path
from typing import Any

from fercli.artifacts import Artifact, input_of
from fercli.artifacts.building import ArtifactBuilder, build
from fercli.artifacts.digests import digest_source
from fercli.artifacts.staging import discard
from fercli.datasets.index import UNLABELLED, count, emotions_of, totals, write_index
from fercli.datasets.names import printable
from fercli.datasets.readers import ImportOptions, Item, Reader, files_of, find_others, locate
from fercli.datasets.readers.base import path_within
from fercli.datasets.readers.folders import SPLIT_NAMES, UNKNOWN_EMOTION
from fercli.datasets.readers.unread import OWN_FILES, TABLE, VIDEO, Seen, unread
from fercli.datasets.subjects import Subjects, hint, in_two_splits
from fercli.errors import DataError, FerError, UsageError
from fercli.progress import SILENT, Progress
from fercli.stages.base import check_exists, resolve_output
from fercli.stages.import_dataset.config import ImportConfig
from fercli.stages.import_dataset.journal import has_results
from fercli.stages.import_dataset.published_counts import describe_differences, differences
from fercli.stages.import_dataset.splits import create_missing_splits, with_folds
from fercli.stages.import_dataset.summary import ImportSummary
from fercli.stages.import_dataset.totals import total_of
from fercli.stages.import_dataset.writing import Writer

_NAMES = 3
_ADVICE = {TABLE: f"{TABLE} (give it instead of the folder)", VIDEO: f"{VIDEO} (fer detect reads videos)"}
"""Advice on files that are not read, by reason."""


def import_dataset(config: ImportConfig, progress: Progress = SILENT) -> Artifact:
    """Create a dataset from a published one, or from folders of images.

    Raises:
        UsageError: there is no such format, or an option does not suit the source (such as soft votes without votes, or
            more folds than persons).
        DataError: the source is missing, empty, of unknown layout, or has no usable image.
        ImageError: an image is bad and `strict` is set.
    """
    source, options = config.source, config.reader_options()
    check_exists(source, "file or folder")
    reader, root = locate(source, config.format, options)
    _check_labels(config, reader)
    inputs = [input_of("source", source, "raw", digest_source(source, files_of(reader, source, options)))]
    out = resolve_output(config, config.out, source, inputs, progress)
    recorded = {**config.options(), "format": reader.name}
    with build(
        out,
        "dataset",
        config.stage,
        options=recorded,
        inputs=inputs,
        seed=config.seed,
        overwrite=config.overwrite,
        resumable=True,
    ) as builder:
        if builder.done:
            return builder.done
        try:
            writer = _import(builder, config, options, reader, root, progress)
        except BaseException as error:
            if isinstance(error, FerError) or not has_results(builder.folder):
                discard(builder.folder)  # another call would fail again, or gain nothing
            raise
    if writer.skipped:
        progress.log(f"skipped {_format_counts(writer.skipped)}; the manifest lists them")
    return builder.artifact


def _import(
    builder: ArtifactBuilder,
    config: ImportConfig,
    options: ImportOptions,
    reader: Reader,
    root: Path,
    progress: Progress,
) -> Writer:
    """Write the dataset into the partial's folder."""
    source = config.source
    progress.log(f"reading {root} as {reader.title}")
    if config.format is None and (others := find_others(root, reader, options)):
        progress.log(f"the source also matches {' and '.join(others)}; select a format with --format")
    writer = Writer(builder.folder, config.strict, config.workers, config.classes, config.split or "")
    seen, subjects = Seen(), Subjects(config.subjects) if config.subjects is not None else None
    items = _items(reader, source, root, options, seen)
    named = subjects.name(items) if subjects else items
    resumed = writer.write(progress.track(named, "importing", total_of(root, reader)))
    if resumed:
        progress.log(f"{resumed:,} images were done by an earlier call")
    for reason, name in unread(source, seen, OWN_FILES.get(reader.name, ("*",))):
        writer.skipped[_ADVICE.get(reason, reason)].append(printable(name))
    _check(writer, config, options, reader, progress, subjects)
    _finish(builder, writer, config, reader, progress, subjects)
    return writer


def _check_labels(config: ImportConfig, reader: Reader) -> None:
    """Refuse options that need labels, for a source without any."""
    for option in ("split", "folds") if reader.name == UNLABELLED else ():
        if (value := getattr(config, option)) is not None:
            raise UsageError(
                f"{option} {value}: {config.source} has images without labels, which cannot be in a {option}"
            )
    if config.split == "test" and config.folds is not None:
        raise UsageError("folds: fer pack --fold selects its own test fold; omit either --split test or --folds")


def _items(reader: Reader, source: Path, root: Path, options: ImportOptions, seen: Seen) -> Iterator[Item]:
    """Yield the reader's items with paths relative to the source, and record the files they cover."""
    within = "" if root == source else f"{path_within(source, root)}/"
    for item in reader.read(root, options):
        if item.file is not None or item.row is None:
            item.source = within + item.source
        seen.add(path_within(source, item.file) if item.file is not None else item.source)
        yield item


def _check(
    writer: Writer,
    config: ImportConfig,
    options: ImportOptions,
    reader: Reader,
    progress: Progress,
    subjects: Subjects | None,
) -> None:
    """Refuse a source without usable images, or without what the options require."""
    if not writer.rows:
        why = f" ({_format_counts(writer.skipped)})" if writer.skipped else ""
        raise DataError(f"{config.source}: no usable images{why}")
    if config.votes == "soft" and not any(row.votes for row in writer.rows):
        raise UsageError(f"votes soft: {reader.title} has no annotators' votes; omit --votes")
    if subjects is not None and not subjects.matched:
        raise UsageError(f"subjects: the pattern matches no path, such as {subjects.example}")
    if unseen := sorted(set(options.names) - options.seen):
        progress.log(f"--map: no label in {config.source} is named {' or '.join(unseen)}")
    if words := sorted({_word(name) for name in writer.skipped.get(UNKNOWN_EMOTION, ())}):
        few = f"{', '.join(words[:_NAMES])}{', …' if len(words) > _NAMES else ''}"
        progress.log(
            f"no emotion is named {few}; map it with --map '{words[0]}=EMOTION', or exclude it with '{words[0]}=-'"
        )


def _finish(
    builder: ArtifactBuilder,
    writer: Writer,
    config: ImportConfig,
    reader: Reader,
    progress: Progress,
    subjects: Subjects | None,
) -> None:
    """Create missing splits and folds, write the index, and report differences from the published dataset."""
    test_published = any(row.split == "test" for row in writer.rows)
    details: dict[str, Any] = {"splits": create_missing_splits(writer, config.seed)}
    progress.log(f"splits: {details['splits']}")
    rows = writer.rows
    _log_subjects(writer, subjects, details, progress)
    if writer.dark:
        details["nearly_black"] = sorted(map(printable, writer.dark))
        progress.log(f"{len(writer.dark):,} nearly black, such as {details['nearly_black'][0]}")
    if config.folds is not None:
        rows, details["folds"] = with_folds(rows, config.folds, test_published, config.seed)
        progress.log(f"folds: {details['folds']}")
    if differing := differences(reader.published, writer.found, writer.missing):
        details["differs_from_published"] = {
            "description": describe_differences(differing, writer.missing),
            "splits": differing,
        }
        progress.log(f"not as published: {details['differs_from_published']['description']}")
    emotions = emotions_of(rows)
    counts = count(rows, emotions)
    skipped = {reason: sorted(names) for reason, names in sorted(writer.skipped.items())}
    summary = ImportSummary(
        images=totals(counts),
        emotions=emotions,
        skipped={reason: len(names) for reason, names in skipped.items()},
    )
    if annotated := sum(bool(row.valence) for row in rows):
        progress.log(f"valence and arousal: of {annotated:,} of {len(rows):,} images")
        summary = summary.model_copy(update={"affect": annotated})
    if writer.dark:
        summary = summary.model_copy(update={"nearly_black": len(writer.dark)})
    builder.finish(
        digest=write_index(builder.folder, rows),
        emotions=emotions,
        counts=counts,
        skipped=skipped,
        details=details,
        summary=summary,
    )


def _log_subjects(writer: Writer, subjects: Subjects | None, details: dict[str, Any], progress: Progress) -> None:
    """Log what the pattern for persons found, or suggest giving one."""
    if subjects is None:
        if line := hint(writer.rows):
            progress.log(line)
        return
    several, persons = in_two_splits(writer.rows)
    details["subjects"] = {"persons": persons, "unmatched": subjects.unmatched, "in_two_splits": several}
    if subjects.unmatched:
        of = f"{subjects.unmatched:,} of {subjects.unmatched + subjects.matched:,} paths"
        progress.log(f"--subjects: no person in {of}, such as {printable(subjects.example)}")
    if persons == 1 and len(writer.rows) > 1:
        person = printable(next(row.subject for row in writer.rows if row.subject))
        where = "in all paths" if not subjects.unmatched else "in the others"
        progress.log(f"--subjects: one person, '{person}', {where}; is the pattern right?")
    if several:
        progress.log(f"{several:,} of {persons:,} persons are in more than one split of the source")


def _word(name: str) -> str:
    """Return the folder in an image's path that should have been named after an emotion."""
    folders = name.split("/")[:-1]
    return printable(next((each for each in folders if each.lower() not in SPLIT_NAMES), ""))


def _format_counts(skipped: Mapping[str, Sized]) -> str:
    return ", ".join(f"{len(names):,} {reason}" for reason, names in sorted(skipped.items()))
