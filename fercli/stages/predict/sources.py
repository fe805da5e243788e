"""Where frames come from: a photograph, a folder of photographs and videos, a video, a webcam, a dataset or a pack."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fercli.artifacts import MANIFEST, Artifact, open_artifact
from fercli.datasets.media import media_in
from fercli.errors import DataError, ImageError, UsageError
from fercli.files import file_type
from fercli.images import Pixels, read_image
from fercli.stages.predict.crops import count_faces, iterate_faces
from fercli.stages.predict.frames import Frame
from fercli.videos import Every, Video, is_video

_WEBCAM = re.compile(r"webcam(?::(\d{1,3}))?")
WANTED = "a photograph, a folder, a video, a dataset, a pack, or webcam"


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a name stands for: its kind, and the artifact it is, if it is one."""

    name: str
    artifact: Artifact | None = None


class Source:
    """What a call names, opened.

    Attributes:
        kind: photo, folder, video, webcam, or faces (a dataset or pack).
        total: Frames to expect, or files of a folder; None where nobody knows.
        rate: Frames a second that are taken of a video; 0.0 otherwise.
        passed_over: How many files of a folder are neither pictures nor videos.

    Args:
        named: As the call has it.
        every: Which frames of videos are taken.
        split: Which split of a dataset, a pack or drawn photographs; `all`.

    Raises:
        DataError: nothing is there, or nothing that can be looked at.
        UsageError: a split is named of something that has none.
    """

    def __init__(self, named: str, every: Every, split: str = "all") -> None:
        self.named, self._every, self._split = named, every, split
        self.rate, self.passed_over = 0.0, 0
        self.total: int | None = None
        self._video: Video | None = None
        self.path: Path | None = Path(named)
        found = _kind_of(named)
        self.kind, self.artifact = found.name, found.artifact
        if split != "all" and self.artifact is None:
            raise UsageError(f"split: {named} has no splits; leave --split out")
        if self.kind == "webcam":
            self.path = None
            self._open(Video(int((_WEBCAM.fullmatch(named) or "0")[1] or 0)))
        elif self.kind == "video":
            self._open(Video(Path(named)))
        elif self.kind == "folder":
            self._count(Path(named))
        elif self.kind == "faces":
            assert self.artifact is not None
            self.total = count_faces(self.artifact, split)
        else:
            self.total = 1

    def _open(self, video: Video) -> None:
        self._video, self.rate = video, taken_rate(video.rate, self._every)
        if self._every.seconds:
            self.total = round(video.duration / self._every.seconds + 0.5) if video.duration else None
        else:
            self.total = -(-video.expected // self._every.frames) or None

    def _count(self, folder: Path) -> None:
        if self.artifact is not None:  # drawn photographs
            folder = folder if self._split == "all" else folder / self._split
            if not folder.is_dir():
                raise DataError(f"{self.named}: the photographs have no {self._split} split")
        self._root = folder
        self.total = sum(1 for _ in self._media(self._pass_over))
        if not self.total:
            raise DataError(f"{self.named}: no pictures and no videos in this folder")

    def _media(self, passed_over: Callable[[Path], object] = lambda _: None) -> Iterator[Path]:
        """Yield the folder's pictures and videos; of drawn photographs, not the contact sheet beside their splits."""
        own = self.artifact.path if self.artifact is not None else None
        return (file for file in media_in(self._root, passed_over) if file.parent != own)

    def _pass_over(self, _: Path) -> None:
        if self.artifact is None:  # which has files of its own beside the pictures
            self.passed_over += 1

    def frames(self, log: Callable[[str], None]) -> Iterator[Callable[[], Frame]]:
        """Yield what reads each frame: photographs are read where the call is made, videos one after the other.

        Args:
            log: Takes a line, as of a video that is cut off.
        """
        if self._video is not None:
            yield from self._frames(self._video, self._video.name, self.path, self.rate, log)
        elif self.kind == "faces":
            assert self.artifact is not None
            yield from iterate_faces(self.artifact, self._split)
        elif self.kind == "photo":
            yield partial(_read, Path(self.named), self.named)
        else:
            for file in self._media():
                name = str(file.relative_to(self.named))
                if is_video(file):
                    yield from self._film(file, name, log)
                else:
                    yield partial(_read, file, name)

    def _film(self, file: Path, name: str, log: Callable[[str], None]) -> Iterator[Callable[[], Frame]]:
        """Yield the frames of a folder's video, or why there are none. The first one stands for the file."""
        frame = Frame(name, 0, None)
        try:
            video = Video(file)
            rate = taken_rate(video.rate, self._every)
            for number, read in enumerate(self._frames(video, name, file, rate, log)):
                frame = read()
                yield partial(_as_it_is, frame if number == 0 else frame.within())
        except ImageError as error:
            yield partial(_as_it_is, Frame(name, 0, None, problem=error))

    def _frames(
        self, video: Video, name: str, file: Path | None, rate: float, log: Callable[[str], None]
    ) -> Iterator[Callable[[], Frame]]:
        with video, closing(video.frames(self._every)) as frames:
            for number, seconds, pixels in frames:
                yield partial(_as_it_is, Frame(name, number, seconds, pixels, file=file, rate=rate))
            if told := video.cut_off:
                log(told)


def taken_rate(rate: float, every: Every) -> float:
    """Return how many frames a second are taken of a video, at most as many as it has."""
    if every.seconds:
        return min(rate, 1 / every.seconds) if rate else 1 / every.seconds
    return rate / every.frames


def _kind_of(named: str) -> _Kind:
    path = Path(named)
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:  # a name may hold what no system allows
        if _WEBCAM.fullmatch(named):  # a file or folder of that name goes before the camera
            return _Kind("webcam")
        if isinstance(error, FileNotFoundError):
            raise DataError(f"{named}: there is nothing here ({WANTED}, is wanted)") from error
        raise DataError(f"{named}: {getattr(error, 'strerror', None) or error}") from error
    if path.is_dir():
        if not (path / MANIFEST).is_file():
            return _Kind("folder")
        artifact = open_artifact(path, "dataset", "pack", "photographs")
        return _Kind("folder" if artifact.manifest.kind == "photographs" else "faces", artifact)
    if not path.is_file():
        raise DataError(f"{named}: {file_type(mode)}, not a file ({WANTED}, is wanted)")
    return _Kind("video" if is_video(path) else "photo")


def _read(file: Path, name: str) -> Frame:
    pixels: Pixels | None = None
    problem = None
    try:
        pixels = read_image(file)
    except ImageError as error:
        problem = error
    return Frame(name, 0, None, pixels, problem, file)


def _as_it_is(frame: Frame) -> Frame:
    return frame
