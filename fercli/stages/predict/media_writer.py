"""Writing annotated images, videos, or folders of both.

Written files contain a comment by which fercli recognises them, so that it may replace them.
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

from fercli.artifacts import publish, temporary_path
from fercli.artifacts.digests import digest_json
from fercli.artifacts.staging import PENDING, blocked_error, claim, discard, is_ours, locked, partial_path
from fercli.errors import UsageError
from fercli.files import open_file
from fercli.images import Pixels
from fercli.stages.predict.annotation import draw_faces
from fercli.stages.predict.frames import Frame, FrameSource
from fercli.stages.predict.outputs import check_replaceable, disk_errors
from fercli.stages.predict.rows import Row
from fercli.videos import WRITABLE_SUFFIXES, VideoWriter, check_writable, has_comment

COMMENT = "drawn by fer predict"
"""The comment in written files."""
_SOFTWARE = 0x0131  # EXIF tag
_QUALITY = 92


class MediaWriter:
    """Writes annotated frames: an image for a photograph, a folder for a folder, a video for a video or webcam.

    Args:
        path: Output path; None writes nothing.
        source: The source of the frames.
        emotions: The model's emotions, in order.
        overwrite: Replace an existing image or video written by `fer predict`. A folder must be new or empty.
        log: Called with messages, such as about omitted audio.

    Raises:
        UsageError: the path exists, or its suffix does not suit the source.
        DataError: an existing file was not written by `fer predict`, or another call is writing it.
        FerError: the path cannot be written.
    """

    def __init__(
        self, path: Path | None, source: FrameSource, emotions: list[str], overwrite: bool, log: Callable[[str], None]
    ) -> None:
        self.path, self._source, self._emotions, self._overwrite = path, source, emotions, overwrite
        self._log = log
        self._folder: Path | None = None
        self._video: tuple[str, VideoWriter] | None = None
        self._stack = ExitStack()
        self.check()

    def check(self) -> None:
        """Refuse a path that may not be replaced or does not suit the source."""
        path, kind = self.path, self._source.kind
        if path is None:
            return
        if kind in ("folder", "faces"):
            if os.path.lexists(path) and (not path.is_dir() or path.is_symlink() or any(path.iterdir())):
                raise UsageError(f"--draw {path}: not an empty folder; for a folder, give a new or empty one")
            return
        check_replaceable("--draw", path, self._overwrite, is_drawn(path))
        if kind != "photo":
            check_writable(path)
        elif _format(path) is None:
            raise UsageError(f"--draw {path}: for a photograph, give an image file such as .png or .jpg")

    def write(self, frame: Frame, pixels: Pixels, rows: list[Row]) -> None:
        """Annotate a frame and write it."""
        if self.path is None:
            return
        drawn = draw_faces(pixels, rows, self._emotions, upscale=self._source.kind == "faces")
        if frame.time is not None:
            self._video_writer(frame).write(drawn, frame.time)
            return
        self._finish_video()
        if self._folder is None:
            with disk_errors("--draw", self.path), temporary_path(self.path) as written:
                with written.open("wb") as file:
                    save_drawn(drawn, file, _format(self.path) or "PNG")
                self.check()  # again: it may have been created in the meantime
                publish(written, self.path)
            return
        known = _format(Path(frame.source)) is not None
        target = self._unused_path(frame.source if known else f"{frame.source}.png")
        with disk_errors("--draw", target), target.open("xb") as file:
            save_drawn(drawn, file, _format(target) or "PNG")

    def _video_writer(self, frame: Frame) -> VideoWriter:
        """Return the writer of a frame's video."""
        if self._video is not None and self._video[0] == frame.source:
            return self._video[1]
        self._finish_video()
        assert self.path is not None
        target = self.path
        if self._folder is not None:
            known = Path(frame.source).suffix.lower() in WRITABLE_SUFFIXES
            target = self._unused_path(frame.source if known else f"{frame.source}.mp4")
        writer = VideoWriter(target, frame.rate, frame.file, COMMENT)
        self._video = frame.source, writer
        return writer

    def _unused_path(self, name: str) -> Path:
        """Return an unused path within the folder, and create its parent."""
        assert self._folder is not None
        target = self._folder / name
        while os.path.lexists(target):  # a.gif.png may also be a source file
            target = target.with_name(f"{target.stem}-2{target.suffix}")
        with disk_errors("--draw", target):
            target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def _finish_video(self) -> None:
        if self._video is not None:
            name, writer = self._video
            if self._folder is None:
                self.check()  # again: it may have been created in the meantime
            self._video = None
            writer.finish()
            if writer.note:
                self._log(f"{name}: {writer.note}")

    def __enter__(self) -> Self:
        if self.path is None:
            return self
        with disk_errors("--draw", self.path), ExitStack() as stack:
            stack.enter_context(locked(self.path))
            if self._source.kind in ("folder", "faces"):
                partial = partial_path(self.path)
                if os.path.lexists(partial) and not is_ours(partial):
                    raise blocked_error(partial)
                discard(partial)
                claim(partial, digest_json(["predict", self._source.name]))
                self._folder = partial
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.path is None:
            return
        with self._stack, disk_errors("--draw", self.path):
            try:
                if kind is None:
                    self._finish_video()
                    if self._folder is not None:
                        self.check()
                        self._folder.rename(self.path)  # the target does not exist or is an empty folder
                        (self.path / PENDING).unlink()
            finally:
                if self._video is not None:
                    self._video[1].discard()
                if self._folder is not None:
                    discard(self._folder)


def _format(path: Path) -> str | None:
    """Return the name of the image format for a path's suffix, or None if it cannot be written."""
    name = Image.registered_extensions().get(path.suffix.lower())
    return name if name in Image.SAVE and name not in ("PDF", "MPO") else None


def save_drawn(pixels: Pixels, file: IO[bytes], name: str) -> None:
    """Write an image, with the comment if the format supports it."""
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
    """Return whether an image or video has the comment of `fer predict`."""
    if path.suffix.lower() in WRITABLE_SUFFIXES:
        return has_comment(path, COMMENT)
    try:
        with open_file(path) as file, Image.open(file) as image:
            comments = [image.info.get("Comment"), image.info.get("comment"), image.getexif().get(_SOFTWARE)]
    except Exception:  # Pillow raises arbitrary exceptions on damaged files
        return False
    return any(value in (COMMENT, COMMENT.encode()) for value in comments)
