"""Taking a data set's images over, by hard link where nothing changes, else in the target's format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from fercli.artifacts import link_or_copy
from fercli.datasets.duplicates import is_constant
from fercli.datasets.index import Row
from fercli.datasets.reading import read_checked
from fercli.images import encode_png, pixel_digest
from fercli.parallel import in_threads
from fercli.progress import Progress
from fercli.stages.balance.targets import Target

_CHUNK = 64


@dataclass
class DatasetCopier:
    """One data set being taken over.

    Attributes:
        source: Folder of the data set that is read.
        folder: Folder of the one that is written; what an interrupted call left there is replaced.
        target: The format its images get; None for their own.
        workers: Threads; None for one a core.
        progress: Moves with the images.
        brought: How many images were brought to the target's format.
        constant: Paths of the images of one constant value.
    """

    source: Path
    folder: Path
    target: Target | None
    workers: int | None
    progress: Progress
    brought: int = 0
    constant: set[str] = field(default_factory=set)
    _taken: set[str] = field(default_factory=set)
    _folders: set[str] = field(default_factory=set)

    def keep(self, rows: Sequence[Row]) -> list[Row]:
        """Take all images over; return their rows.

        Raises:
            DataError: an image is missing, broken or changed.
        """
        self._taken.update(row.path.lower() for row in rows)  # some disks do not tell a.png from A.png
        # Reserved for each, though known only after reading whether an image changes and becomes a PNG.
        places = [row.path if self.target is None else self._as_png(row.path) for row in rows]
        for row in rows:
            self._make_folder(row.path)
        kept: list[Row] = []
        chunks = ((rows[low : low + _CHUNK], places[low : low + _CHUNK]) for low in range(0, len(rows), _CHUNK))
        with self.progress.task("reading", len(rows)):
            for chunk in in_threads(self._keep_chunk, chunks, self.workers):
                for row, constant in chunk:
                    self.brought += row.sha256 != rows[len(kept)].sha256
                    if constant:
                        self.constant.add(row.path)
                    kept.append(row)
                self.progress.advance(len(chunk))
        moved = {old.path: new.path for old, new in zip(rows, kept, strict=True)}
        return [replace(row, parent=moved.get(row.parent, row.parent)) if row.parent else row for row in kept]

    def _keep_chunk(self, work: tuple[Sequence[Row], Sequence[str]]) -> list[tuple[Row, bool]]:
        done = []
        for row, place in zip(*work, strict=True):
            pixels = read_checked(self.source, row)
            fitted = pixels if self.target is None else self.target.fit(pixels)
            if fitted is pixels:
                new, file = row, self.folder / row.path
                file.unlink(missing_ok=True)
                link_or_copy(self.source / row.path, file)
            else:
                new, file = replace(row, path=place, sha256=pixel_digest(fitted)), self.folder / place
                file.unlink(missing_ok=True)  # were it a link to the source's file, that would be written into
                file.write_bytes(encode_png(fitted))
            done.append((new, is_constant(fitted)))
        return done

    def _as_png(self, path: str) -> str:
        """Return the place of an image that becomes a PNG: its own, or a free one with that ending."""
        pure = PurePosixPath(path)
        if pure.suffix.lower() == ".png":
            return path
        stem, number = str(pure.with_suffix("")), 1
        while (place := f"{stem}{f'-{number}' if number > 1 else ''}.png").lower() in self._taken:
            number += 1
        self._taken.add(place.lower())
        return place

    def _make_folder(self, path: str) -> None:
        folder = path.rpartition("/")[0]
        if folder not in self._folders:
            (self.folder / folder).mkdir(parents=True, exist_ok=True)
            self._folders.add(folder)
