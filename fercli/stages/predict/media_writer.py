"""Writes what is drawn: a picture, a folder of pictures and videos, or a video.

Drawn files carry a comment, by which fercli knows them as its own and may replace them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from fercli.artifacts import publish, temporary_beside
from fercli.artifacts.digests import digest_json
from fercli.artifacts.staging import PENDING, blocked_error, claim, discard, is_ours, locked, partial_path
from fercli.errors import UsageError
from fercli.files import open_file
from fercli.images import Pixels
from fercli.stages.predict.annotation import draw_faces
from fercli.stages.predict.frames import Frame
from fercli.stages.predict.outputs import check_replaceable, told
from fercli.stages.predict.rows import Row
from fercli.stages.predict.sources import Source
from fercli.videos import WRITABLE_SUFFIXES, VideoWriter, check_writable, has_comment

COMMENT = "drawn by fer predict"
"""What drawn files say of themselves."""
_SOFTWARE = 0x0131  # of EXIF
_QUALITY = 92


class Drawer:
    """Writes drawn frames: a picture for a photograph, a folder for a folder, a video for a video or webcam.

    Args:
        path: Where; None: nowhere.
        source: What is read.
        emotions: The model's, in order.
        overwrite: Replace a drawn picture or video that stands there. A folder must be new or empty.
        log: Takes a line, as of sound that is left out.

    Raises:
        UsageError: the place is taken, or its ending does not suit the source.
        DataError: what stands there was not drawn by `fer predict`, or another call writes there.
        FerError: the place cannot be written.
    """

    def __init__(
        self, path: Path | None, source: Source, emotions: list[str], overwrite: bool, log: Callable[[str], None]
    ) -> None:
        self.path, self._source, self._emotions, self._overwrite = path, source, emotions, overwrite
        self._log = log
        self._folder: Path | None = None
        self._film: tuple[str, VideoWriter] | None = None
        self._open = ExitStack()
        self.check()

    def check(self) -> None:
        """Refuse a place that is taken or does not suit."""
        path, kind = self.path, self._source.kind
        if path is None:
            return
        if kind in ("folder", "faces"):
            if os.path.lexists(path) and (not path.is_dir() or path.is_symlink() or any(path.iterdir())):
                raise UsageError(f"--draw {path}: not an empty folder; a folder is drawn into a new one")
            return
        check_replaceable("--draw", path, self._overwrite, is_drawn(path), "picture or video")
        if kind != "photo":
            check_writable(path)
        elif _format(path) is None:
            raise UsageError(f"--draw {path}: name a picture (as .png or .jpg) for a photograph")

    def write(self, frame: Frame, pixels: Pixels, rows: list[Row]) -> None:
        """Draw a frame and write it."""
        if self.path is None:
            return
        drawn = draw_faces(pixels, rows, self._emotions, enlarged=self._source.kind == "faces")
        if frame.time is not None:
            self._writer(frame).write(drawn, frame.time)
            return
        self._finish_film()
        if self._folder is None:
            with told("--draw", self.path), temporary_beside(self.path) as written:
                with written.open("wb") as file:
                    _save(drawn, file, _format(self.path) or "PNG")
                self.check()  # it may have come while we worked
                publish(written, self.path)
            return
        known = _format(Path(frame.source)) is not None
        target = self._free(frame.source if known else f"{frame.source}.png")
        with told("--draw", target), target.open("xb") as file:
            _save(drawn, file, _format(target) or "PNG")

    def _writer(self, frame: Frame) -> VideoWriter:
        """Return what writes the video of a frame."""
        if self._film is not None and self._film[0] == frame.source:
            return self._film[1]
        self._finish_film()
        assert self.path is not None
        target = self.path
        if self._folder is not None:
            known = Path(frame.source).suffix.lower() in WRITABLE_SUFFIXES
            target = self._free(frame.source if known else f"{frame.source}.mp4")
        writer = VideoWriter(target, frame.rate, frame.file, COMMENT)
        self._film = frame.source, writer
        return writer

    def _free(self, name: str) -> Path:
        """Return the place of a picture or video within the folder."""
        assert self._folder is not None
        target = self._folder / name
        while os.path.lexists(target):  # a.gif.png may be a picture of its own, too
            target = target.with_name(f"{target.stem}-2{target.suffix}")
        with told("--draw", target):
            target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def _finish_film(self) -> None:
        if self._film is not None:
            name, writer = self._film
            if self._folder is None:
                self.check()  # it may have come while we worked
            self._film = None
            writer.finish()
            if writer.note:
                self._log(f"{name}: {writer.note}")

    def __enter__(self) -> Self:
        if self.path is None:
            return self
        with told("--draw", self.path), ExitStack() as opened:
            opened.enter_context(locked(self.path))
            if self._source.kind in ("folder", "faces"):
                partial = partial_path(self.path)
                if os.path.lexists(partial) and not is_ours(partial):
                    raise blocked_error(partial)
                discard(partial)
                claim(partial, digest_json(["predict", self._source.named]))
                self._folder = partial
            self._open = opened.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.path is None:
            return
        with self._open, told("--draw", self.path):
            try:
                if kind is None:
                    self._finish_film()
                    if self._folder is not None:
                        self.check()
                        self._folder.rename(self.path)  # onto nothing, or onto an empty folder
                        (self.path / PENDING).unlink()
            finally:
                if self._film is not None:
                    self._film[1].discard()
                if self._folder is not None:
                    discard(self._folder)


def _format(path: Path) -> str | None:
    """Return the name of the format that a picture is written in by its ending; None where there is none."""
    name = Image.registered_extensions().get(path.suffix.lower())
    return name if name in Image.SAVE and name not in ("PDF", "MPO") else None


def _save(pixels: Pixels, file: IO[bytes], name: str) -> None:
    """Write a picture with the comment, where its format holds any."""
    options: dict[str, Any] = {}
    if name == "PNG":
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_text("Comment", COMMENT)
    elif name in ("JPEG", "GIF"):
        options["comment"] = COMMENT
    elif name in ("WEBP", "TIFF", "AVIF", "HEIF"):
        options["exif"] = Image.Exif()
        options["exif"][_SOFTWARE] = COMMENT
    try:
        Image.fromarray(pixels).save(file, format=name, quality=_QUALITY, **options)
    except (ValueError, KeyError) as error:
        raise OSError(str(error)) from error


def is_drawn(path: Path) -> bool:
    """Tell by its comment whether a picture or video was drawn by `fer predict`."""
    if path.suffix.lower() in WRITABLE_SUFFIXES:
        return has_comment(path, COMMENT)
    try:
        with open_file(path) as file, Image.open(file) as image:
            comments = [image.info.get("Comment"), image.info.get("comment"), image.getexif().get(_SOFTWARE)]
    except Exception:  # on damaged files Pillow raises anything: what cannot be read is not ours
        return False
    return any(value in (COMMENT, COMMENT.encode()) for value in comments)
