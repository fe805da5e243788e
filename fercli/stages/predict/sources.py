"""Sources of frames: a photograph, a folder of photographs and videos, a video, a webcam, a dataset or a pack."""

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
EXPECTED = "expected a photograph, a folder, a video, a dataset, a pack, or webcam"


@dataclass(frozen=True, slots=True)
class _Kind:
    """The kind of a source, and its artifact, if any."""

    name: str
    artifact: Artifact | None = None


class Source:
    """An opened source.

    Attributes:
        kind: photo, folder, video, webcam, or faces (a dataset or pack).
        total: Number of frames, or of files in a folder; None if unknown.
        rate: Sampled frames per second of a video; 0.0 otherwise.
        passed_over: Number of files in a folder that are neither images nor videos.

    Args:
        name: Path, or webcam.
        every: Sampling interval of video frames.
        split: Split of a dataset, pack or `fer sample` photographs; or `all`.

    Raises:
        DataError: the source does not exist, or contains nothing to predict.
        UsageError: a split is given for a source without splits.
    """

    def __init__(self, name: str, every: Every, split: str = "all") -> None:
        self.name, self._every, self._split = name, every, split
        self.rate, self.passed_over = 0.0, 0
        self.total: int | None = None
        self._video: Video | None = None
        self.path: Path | None = Path(name)
        kind = _classify(name)
        self.kind, self.artifact = kind.name, kind.artifact
        if split != "all" and self.artifact is None:
            raise UsageError(f"split: {name} has no splits; omit --split")
        if self.kind == "webcam":
            self.path = None
            self._open(Video(int((_WEBCAM.fullmatch(name) or "0")[1] or 0)))
        elif self.kind == "video":
            self._open(Video(Path(name)))
        elif self.kind == "folder":
            self._count(Path(name))
        elif self.kind == "faces":
            assert self.artifact is not None
            self.total = count_faces(self.artifact, split)
        else:
            self.total = 1

    def _open(self, video: Video) -> None:
        self._video, self.rate = video, sampled_rate(video.rate, self._every)
        if self._every.seconds:
            self.total = round(video.duration / self._every.seconds + 0.5) if video.duration else None
        else:
            self.total = -(-video.expected // self._every.frames) or None

    def _count(self, folder: Path) -> None:
        if self.artifact is not None:  # photographs of fer sample
            folder = folder if self._split == "all" else folder / self._split
            if not folder.is_dir():
                raise DataError(f"{self.name}: the photographs have no {self._split} split")
        self._root = folder
        self.total = sum(1 for _ in self._media(self._pass_over))
        if not self.total:
            raise DataError(f"{self.name}: no images or videos in this folder")

    def _media(self, passed_over: Callable[[Path], object] = lambda _: None) -> Iterator[Path]:
        """Yield the folder's images and videos, without the contact sheet of `fer sample` photographs."""
        own = self.artifact.path if self.artifact is not None else None
        return (file for file in media_in(self._root, passed_over) if file.parent != own)

    def _pass_over(self, _: Path) -> None:
        if self.artifact is None:  # an artifact has other files beside the images
            self.passed_over += 1

    def frames(self, log: Callable[[str], None]) -> Iterator[Callable[[], Frame]]:
        """Yield a function per frame that reads it. Video frames are already decoded, in order.

        Args:
            log: Called with messages, such as about a truncated video.
        """
        if self._video is not None:
            yield from self._frames(self._video, self._video.name, self.path, self.rate, log)
        elif self.kind == "faces":
            assert self.artifact is not None
            yield from iterate_faces(self.artifact, self._split)
        elif self.kind == "photo":
            yield partial(_read, Path(self.name), self.name)
        else:
            for file in self._media():
                name = str(file.relative_to(self.name))
                if is_video(file):
                    yield from self._video_in_folder(file, name, log)
                else:
                    yield partial(_read, file, name)

    def _video_in_folder(self, file: Path, name: str, log: Callable[[str], None]) -> Iterator[Callable[[], Frame]]:
        """Yield the frames of a video in a folder, or the problem. Only the first frame advances the progress."""
        frame = Frame(name, 0, None)
        try:
            video = Video(file)
            rate = sampled_rate(video.rate, self._every)
            for number, read in enumerate(self._frames(video, name, file, rate, log)):
                frame = read()
                yield partial(_identity, frame if number == 0 else frame.without_step())
        except ImageError as error:
            yield partial(_identity, Frame(name, 0, None, problem=error))

    def _frames(
        self, video: Video, name: str, file: Path | None, rate: float, log: Callable[[str], None]
    ) -> Iterator[Callable[[], Frame]]:
        with video, closing(video.frames(self._every)) as frames:
            for number, seconds, pixels in frames:
                yield partial(_identity, Frame(name, number, seconds, pixels, file=file, rate=rate))
            if video.cut_off:
                log(video.cut_off)


def sampled_rate(rate: float, every: Every) -> float:
    """Return the sampled frames per second of a video, at most its frame rate."""
    if every.seconds:
        return min(rate, 1 / every.seconds) if rate else 1 / every.seconds
    return rate / every.frames


def _classify(name: str) -> _Kind:
    path = Path(name)
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:  # the name may be invalid on this system
        if _WEBCAM.fullmatch(name):  # a file or folder of that name takes precedence
            return _Kind("webcam")
        if isinstance(error, FileNotFoundError):
            raise DataError(f"{name}: no such file or folder; {EXPECTED}") from error
        raise DataError(f"{name}: {getattr(error, 'strerror', None) or error}") from error
    if path.is_dir():
        if not (path / MANIFEST).is_file():
            return _Kind("folder")
        artifact = open_artifact(path, "dataset", "pack", "photographs")
        return _Kind("folder" if artifact.manifest.kind == "photographs" else "faces", artifact)
    if not path.is_file():
        raise DataError(f"{name}: {file_type(mode)}, not a file; {EXPECTED}")
    return _Kind("video" if is_video(path) else "photo")


def _read(file: Path, name: str) -> Frame:
    pixels: Pixels | None = None
    problem = None
    try:
        pixels = read_image(file)
    except ImageError as error:
        problem = error
    return Frame(name, 0, None, pixels, problem, file)


def _identity(frame: Frame) -> Frame:
    return frame
