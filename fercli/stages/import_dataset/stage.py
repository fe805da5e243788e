"""Import: read a source through its reader, write a data set.

An image that the source holds as a file keeps that file, byte for byte, by hard link where the disk allows it; one
that it holds in a table becomes a PNG. A bad image is skipped, counted by reason and listed in the manifest.
"""

from __future__ import annotations

import os
from collections import defaultdict, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TypeVar

from fercli.artifacts import Artifact, input_of, link_or_copy
from fercli.building import build
from fercli.datasets.index import Row, count, emotions_of, totals, write_index
from fercli.datasets.names import Names, clean_name, printable
from fercli.datasets.readers import Item, Wanted, find_reader
from fercli.datasets.splitting import stratified
from fercli.digests import digest_source
from fercli.errors import DataError, ImageError
from fercli.images import encode_png, pixel_digest, read_image
from fercli.progress import SILENT, Progress
from fercli.stages.base import check_exists, place
from fercli.stages.import_dataset.config import ImportConfig

T = TypeVar("T")
_CHUNK = 64
_TO_SPLIT = "to-split"


def import_dataset(config: ImportConfig, progress: Progress = SILENT) -> Artifact:
    """Make a data set of a published one, or of folders of pictures.

    Raises:
        UsageError: there is no such format.
        DataError: the source is missing, empty, of no known layout, or holds no usable image.
        ImageError: an image is bad and `strict` is set.
    """
    source = config.source
    check_exists(source, "file or folder")
    reader = find_reader(source, config.format)
    inputs = [input_of("source", source, "raw", digest_source(source))]
    out = place(config, config.out, source, inputs, progress)
    options = {**config.options(), "format": reader.name}
    with build(
        out, "dataset", config.stage, options=options, inputs=inputs, seed=config.seed, overwrite=config.overwrite
    ) as job:
        if job.done:
            return job.done
        progress.log(f"reading {source} as {reader.title}")
        writer = _Writer(job.folder, config.strict, config.workers or os.cpu_count() or 1)
        writer.take(_chunks(progress.track(reader.read(source, Wanted()), "import"), _CHUNK))
        rows = _split(writer, config.seed)
        if not rows:
            told = f" ({_told(writer.skipped)})" if writer.skipped else ""
            raise DataError(f"{source}: not one usable image in it{told}")
        emotions = emotions_of(rows)
        counts = count(rows, emotions)
        skipped = {reason: sorted(names) for reason, names in sorted(writer.skipped.items())}
        job.finish(
            digest=write_index(job.folder, rows),
            emotions=emotions,
            counts=counts,
            skipped=skipped,
            summary={
                "images": totals(counts),
                "emotions": emotions,
                "skipped": {reason: len(names) for reason, names in skipped.items()},
            },
        )
    if writer.skipped:
        progress.log(f"skipped {_told(writer.skipped)}; the manifest lists them")
    return job.artifact


@dataclass
class _Writer:
    """Writes items into the data set's folder and keeps their rows."""

    folder: Path
    strict: bool
    threads: int
    rows: list[Row] = field(default_factory=list)
    skipped: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _names: Names = field(default_factory=Names)
    _folders: set[str] = field(default_factory=set)

    def take(self, chunks: Iterator[list[Item]]) -> None:
        """Write chunks of items by threads (the codecs let go of the lock), a bounded number ahead; rows in order."""
        waiting: deque[tuple[list[Item], list[str], Future[list[str | ImageError]]]] = deque()
        with ThreadPoolExecutor(self.threads) as pool:
            try:
                for items in chunks:
                    paths = [self._place(item) for item in items]
                    waiting.append((items, paths, pool.submit(_write, self.folder, items, paths)))
                    if len(waiting) > 2 * self.threads:
                        self._keep(*waiting.popleft())
                while waiting:
                    self._keep(*waiting.popleft())
            finally:
                pool.shutdown(cancel_futures=True)

    def _keep(self, items: list[Item], paths: list[str], written: Future[list[str | ImageError]]) -> None:
        for item, path, result in zip(items, paths, written.result(), strict=True):
            if isinstance(result, ImageError):
                if self.strict:
                    raise result
                label = item.source if item.row is None else f"{item.source} row {item.row}"
                self.skipped[result.reason].append(label)
                continue
            row = "" if item.row is None else str(item.row)
            self.rows.append(Row(path, item.split, item.emotion, source=printable(item.source), row=row, sha256=result))

    def _place(self, item: Item) -> str:
        """Return the item's path in the data set, and make its folder."""
        folder = f"{item.split or _TO_SPLIT}/{item.emotion}"
        if folder not in self._folders and not item.problem:
            (self.folder / folder).mkdir(parents=True, exist_ok=True)
            self._folders.add(folder)
        suffix = item.file.suffix.lower() if item.file else ".png"
        return self._names.unique(f"{folder}/{clean_name(item.name)}", suffix)


def _write(folder: Path, items: list[Item], paths: list[str]) -> list[str | ImageError]:
    """Write items to their paths; return each one's pixel digest, or why it cannot be used."""
    results: list[str | ImageError] = []
    for item, path in zip(items, paths, strict=True):
        try:
            if item.problem:
                where = item.source if item.row is None else f"{item.source} row {item.row}"
                raise ImageError(item.problem, f"{where}: {item.problem}")
            if item.file is not None:
                results.append(pixel_digest(read_image(item.file)))
                link_or_copy(item.file, folder / path)
            elif item.pixels is not None:
                results.append(pixel_digest(item.pixels))
                (folder / path).write_bytes(encode_png(item.pixels))
        except ImageError as error:
            results.append(error)
    return results


def _split(writer: _Writer, seed: int) -> list[Row]:
    """Cut splits where the source has none, equal pictures together, and move the files to their places."""
    rows = writer.rows
    if not any(row.split == "" for row in rows):
        return rows
    splits = stratified([row.emotion for row in rows], groups=[row.sha256 for row in rows], seed=seed)
    moved = []
    for row, split in zip(rows, splits, strict=True):
        path = split + row.path.removeprefix(_TO_SPLIT)
        target = writer.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        (writer.folder / row.path).rename(target)
        moved.append(replace(row, path=path, split=split))
    for folder in sorted((writer.folder / _TO_SPLIT).glob("**/"), reverse=True):
        folder.rmdir()
    return moved


def _chunks(items: Iterator[T], size: int) -> Iterator[list[T]]:
    while chunk := list(islice(items, size)):
        yield chunk


def _told(skipped: dict[str, list[str]]) -> str:
    return ", ".join(f"{len(names)} {reason}" for reason, names in sorted(skipped.items()))
