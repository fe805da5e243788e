"""Faces and emotions drawn on pictures, folders of pictures and videos."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fercli.errors import DataError, UsageError
from fercli.images import Pixels, as_color, is_picture
from fercli.report.style import label, line_styles
from fercli.stages.predict.rows import Row
from fercli.stages.predict.sources import Source
from fercli.videos import VideoWriter, check_writable


def draw_faces(pixels: Pixels, rows: list[Row], emotions: list[str]) -> Pixels:
    """Return a picture, RGB, with a box in its emotion's colour and a label around each face.

    Lines and letters grow with the picture, so that they can be read when it is shown whole.
    """
    image = Image.fromarray(as_color(pixels, "rgb"))
    draw = ImageDraw.Draw(image)
    unit = max(1.0, min(image.size) / 240)
    font = ImageFont.load_default(size=max(10, round(7 * unit)))
    styles = line_styles(emotions)
    for row in rows:
        if row.face is None:
            continue
        left, top, width, height = row.face.box
        color = styles[row.emotion].color
        draw.rectangle((left, top, left + width, top + height), outline=color, width=max(2, round(unit)))
        text = f"{label(row.emotion)} {max(row.probabilities):.0%}"
        x0, y0, x1, y1 = draw.textbbox((0, 0), text, font=font)
        pad = max(2, round(unit))
        wide, high = x1 - x0 + 2 * pad, y1 - y0 + 2 * pad
        # Above the box; within the picture whatever the box does.
        at_x = min(max(0.0, left), max(0.0, image.width - wide))
        at_y = top - high if top >= high else max(0.0, min(top + height, image.height - high))
        draw.rectangle((at_x, at_y, at_x + wide, at_y + high), fill=color)
        draw.text((at_x + pad - x0, at_y + pad - y0), text, font=font, fill=_ink(color))
    return np.asarray(image)


def _ink(color: str) -> str:
    """Return black or white, whichever is read better on a colour (#rrggbb), by its luma."""
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "white"


class Drawer:
    """Writes drawn frames: a picture for a photograph, a folder for a folder, a video for a video or webcam.

    Args:
        path: Where; None: nowhere.
        source: What is read.
        emotions: The model's, in order.
        overwrite: Replace a picture or video that stands there. A folder must be new or empty.

    Raises:
        UsageError: the place is taken, or its ending does not suit the source.
    """

    def __init__(self, path: Path | None, source: Source, emotions: list[str], overwrite: bool) -> None:
        self.path, self._emotions = path, emotions
        self._folder = source.kind == "folder"
        self._partial: Path | None = None
        self._video: VideoWriter | None = None
        if path is None:
            return
        if self._folder:
            if path.exists() and (not path.is_dir() or any(path.iterdir())):
                raise UsageError(f"--draw {path}: not an empty folder; a folder of photographs is drawn into a new one")
            if path.resolve().is_relative_to(Path(source.named).resolve()):
                raise UsageError(f"--draw {path}: lies within the folder that is read; choose another place")
            self._partial = path.with_name(f".{path.name}.partial")
            shutil.rmtree(self._partial, ignore_errors=True)
            return
        if path.is_dir():
            raise UsageError(f"--draw {path}: a folder; name a file")
        if path.exists() and (path.samefile(source.named) if Path(source.named).exists() else False):
            raise UsageError(f"--draw {path}: is what is read; choose another place")
        if path.exists() and not overwrite:
            raise UsageError(f"--draw {path}: something stands here; replace it with --overwrite")
        if source.kind == "photo":
            if not is_picture(path):
                raise UsageError(f"--draw {path}: name a picture (as .png or .jpg) for a photograph")
        else:
            check_writable(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        if source.kind != "photo":
            self._video = VideoWriter(path, source.rate)

    def write(self, name: str, pixels: Pixels, rows: list[Row]) -> None:
        """Draw a frame and write it."""
        if self.path is None:
            return
        drawn = draw_faces(pixels, rows, self._emotions)
        if self._video is not None:
            self._video.write(drawn)
            return
        target = self.path
        if self._partial is not None:
            target = self._partial / name
            target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.with_name(f".{target.stem}.partial{target.suffix}")
        try:
            Image.fromarray(drawn).save(beside, quality=92)
            beside.replace(target)
        except (OSError, ValueError) as error:
            beside.unlink(missing_ok=True)
            raise DataError(f"--draw {target}: cannot be written ({error})") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._video is not None:
            self._video.finish() if kind is None else self._video.discard()
        if self._partial is not None and self.path is not None:
            if kind is None and self._partial.is_dir():
                with suppress(FileNotFoundError):
                    self.path.rmdir()
                self._partial.rename(self.path)
            else:
                shutil.rmtree(self._partial, ignore_errors=True)
