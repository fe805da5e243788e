"""Copying the images of a dataset: by hard link if unchanged, otherwise converted to the target's format."""

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
    """Copies the images of a dataset.

    Attributes:
        source: Folder of the input dataset.
        folder: Folder of the output dataset; files left by an interrupted call are replaced.
        target: The format to convert images to; None to keep their own.
        workers: Number of threads; None for one per core.
        progress: Progress callback, advanced by each image.
        converted: Number of images converted to the target's format.
        constant: Paths of constant images.
    """

    source: Path
    folder: Path
    target: Target | None
    workers: int | None
    progress: Progress
    converted: int = 0
    constant: set[str] = field(default_factory=set)
    _taken: set[str] = field(default_factory=set)
    _folders: set[str] = field(default_factory=set)

    def copy(self, rows: Sequence[Row]) -> list[Row]:
        """Copy all images; return their rows.

        Raises:
            DataError: an image is missing, broken or changed.
        """
        self._taken.update(row.path.lower() for row in rows)  # some file systems do not distinguish a.png from A.png
        # Reserved for every image, since only reading it shows whether it becomes a PNG.
        paths = [row.path if self.target is None else self._as_png(row.path) for row in rows]
        for row in rows:
            self._make_folder(row.path)
        copied: list[Row] = []
        chunks = ((rows[low : low + _CHUNK], paths[low : low + _CHUNK]) for low in range(0, len(rows), _CHUNK))
        with self.progress.task("reading", len(rows)):
            for chunk in in_threads(self._copy_chunk, chunks, self.workers):
                for row, constant in chunk:
                    self.converted += row.sha256 != rows[len(copied)].sha256
                    if constant:
                        self.constant.add(row.path)
                    copied.append(row)
                self.progress.advance(len(chunk))
        moved = {old.path: new.path for old, new in zip(rows, copied, strict=True)}
        return [replace(row, parent=moved.get(row.parent, row.parent)) if row.parent else row for row in copied]

    def _copy_chunk(self, chunk: tuple[Sequence[Row], Sequence[str]]) -> list[tuple[Row, bool]]:
        done = []
        for row, path in zip(*chunk, strict=True):
            pixels = read_checked(self.source, row)
            fitted = pixels if self.target is None else self.target.fit(pixels)
            if fitted is pixels:
                new, file = row, self.folder / row.path
                file.unlink(missing_ok=True)
                link_or_copy(self.source / row.path, file)
            else:
                new, file = replace(row, path=path, sha256=pixel_digest(fitted)), self.folder / path
                file.unlink(missing_ok=True)  # writing through a hard link would change the source's file
                file.write_bytes(encode_png(fitted))
            done.append((new, is_constant(fitted)))
        return done

    def _as_png(self, path: str) -> str:
        """Return the path of an image that becomes a PNG: its own, or an unused one with that suffix."""
        pure = PurePosixPath(path)
        if pure.suffix.lower() == ".png":
            return path
        stem, number = str(pure.with_suffix("")), 1
        while (free := f"{stem}{f'-{number}' if number > 1 else ''}.png").lower() in self._taken:
            number += 1
        self._taken.add(free.lower())
        return free

    def _make_folder(self, path: str) -> None:
        folder = path.rpartition("/")[0]
        if folder not in self._folders:
            (self.folder / folder).mkdir(parents=True, exist_ok=True)
            self._folders.add(folder)
