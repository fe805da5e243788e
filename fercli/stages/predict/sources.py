"""Where frames come from: one photograph, a folder of them, a video, a webcam."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fercli.digests import walk_files
from fercli.errors import DataError, ImageError
from fercli.images import Pixels, is_picture, read_image
from fercli.videos import Video, is_video

_WEBCAM = re.compile(r"webcam(?::(\d{1,3}))?")


@dataclass(frozen=True)
class Frame:
    """A picture to find faces in.

    Attributes:
        source: The file, relative to the folder that was given; `webcam N`.
        number: Of the frame in its video, from 0; 0 for a photograph.
        time: Seconds since the video's start; None for a photograph.
        pixels: uint8 (H, W) or (H, W, 3) RGB; None where the picture cannot be read.
        problem: Why not.
    """

    source: str
    number: int
    time: float | None
    pixels: Pixels | None
    problem: ImageError | None = None


class Source:
    """What a call names, opened.

    Attributes:
        kind: photo, folder, video or webcam.
        total: Frames to expect; None where nobody knows.
        rate: Frames a second of a video; 0.0 otherwise.
    """

    def __init__(self, named: str, every: int = 1) -> None:
        self.named, self._every = named, every
        self.rate = 0.0
        self.total: int | None = None
        self._files: list[Path] = []
        self._video: Video | None = None
        webcam, path = _WEBCAM.fullmatch(named), Path(named)
        # A file or folder of that name goes before the camera.
        if webcam and not path.exists():
            self.kind = "webcam"
            self._video = Video(int(webcam[1] or 0))
        elif not path.exists():
            raise DataError(f"{named}: there is nothing here (a photograph, a folder, a video, or webcam, is wanted)")
        elif path.is_dir():
            self.kind = "folder"
            self._files = [file for file in walk_files(path) if is_picture(file)]
            if not self._files:
                raise DataError(f"{named}: no pictures in this folder")
            self.total = len(self._files)
        elif is_video(path):
            self.kind = "video"
            self._video = Video(path)
            self.total = -(-self._video.expected // every) or None
        else:
            self.kind = "photo"
            self._files, self.total = [path], 1
        if self._video:
            self.rate = self._video.rate / every

    def frames(self, log: Callable[[str], None]) -> Iterator[Callable[[], Frame]]:
        """Yield what reads each frame: photographs are read where the call is made, videos one after the other."""
        root = Path(self.named)
        for file in self._files:
            yield lambda file=file: _read(file, str(file.relative_to(root)) if self.kind == "folder" else str(file))  # type: ignore[misc]
        if self._video is None:
            return
        with self._video as video:
            number = -1
            for number, seconds, pixels in video.frames(self._every):
                frame = Frame(video.name, number, seconds, pixels)
                yield lambda frame=frame: frame  # type: ignore[misc]
            # The last seconds of some containers hold a frame less than they say; half a second more is a cut.
            if number + self._every < video.expected - max(1.0, video.rate / 2):
                log(f"{video.name}: ends at frame {number + 1:,} of {video.expected:,}: it is cut off or damaged")


def _read(file: Path, name: str) -> Frame:
    try:
        return Frame(name, 0, None, read_image(file))
    except ImageError as error:
        return Frame(name, 0, None, None, error)
