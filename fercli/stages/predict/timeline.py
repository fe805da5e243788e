"""Writing the timeline of a film: a page, a picture and a table beside it."""

from __future__ import annotations

import io
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from PIL import Image

from fercli._version import __version__
from fercli.artifacts import publish, temporary_path
from fercli.artifacts.building import now
from fercli.artifacts.staging import locked
from fercli.artifacts.tables import write_csv
from fercli.errors import UsageError
from fercli.files import open_text
from fercli.images import Pixels
from fercli.progress import clock
from fercli.report.style import line_styles
from fercli.stages.predict.frames import FrameSource
from fercli.stages.predict.media_writer import is_drawn, save_drawn
from fercli.stages.predict.outputs import check_replaceable, disk_errors
from fercli.stages.predict.people import Person, Timeline
from fercli.stages.predict.rows import Row, safe_cell

MARK = "made by fer predict --timeline"
OPTION = "--timeline"
SHOWN = 8
"""People with a panel of their own: those who are seen longest."""
_COLUMNS = ["time", "face_id", "emotion"]


@dataclass(frozen=True)
class _Page:
    title: str
    command: str
    device: str
    version: str
    ended: str


class TimelineWriter:
    """Collects rows and writes PATH (a page), and beside it the picture (.png) and the table (.csv), at the end.

    Args:
        path: Path of the page, ending in .html; None writes nothing.
        source: The film.
        emotions: The model's emotions, in order.
        smooth: Window of the moving mean, seconds.
        overwrite: Replace an earlier timeline.
        model: The model's name, for display.
        device: The device that it runs on, for display.

    Raises:
        UsageError: the path is not a page's, the source is not a film, or a file exists and `overwrite` is not set.
        DataError: an existing file is not of an earlier timeline, or another call is writing it.
        FerError: the path cannot be written.
    """

    def __init__(
        self,
        path: Path | None,
        source: FrameSource,
        emotions: Sequence[str],
        smooth: float,
        *,
        overwrite: bool,
        model: str,
        device: str,
    ) -> None:
        self._path, self._source, self._smooth, self._overwrite = path, source, smooth, overwrite
        self._model, self._device, self._stack = model, device, ExitStack()
        self._timeline = Timeline(emotions, source.rate, smooth)
        if path is not None:
            if path.suffix.lower() not in (".html", ".htm"):
                raise UsageError(
                    f"{OPTION} {path}: give a name ending in .html; a .png and a .csv are written beside it"
                )
            if source.kind not in ("video", "webcam"):
                raise UsageError(f"{OPTION}: {source.name} is not one film; give a video, or webcam")
            self.check()

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files to write: page, picture, table."""
        path = self._path
        return () if path is None else (path, path.with_suffix(".png"), path.with_suffix(".csv"))

    def check(self) -> None:
        """Refuse paths that may not be replaced."""
        for path, ours in zip(self.paths, (_is_page, is_drawn, _is_table), strict=False):
            check_replaceable(OPTION, path, self._overwrite, ours(path))

    def write(self, rows: Sequence[Row], crops: Sequence[Pixels]) -> None:
        """Add a frame's rows, and the crop of each face in it."""
        if self._path is not None:
            self._timeline.add(rows, crops)

    def __enter__(self) -> Self:
        if self._path is not None:
            with disk_errors(OPTION, self._path), ExitStack() as stack:
                stack.enter_context(locked(self._path))
                self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._path is None:
            return
        with self._stack, disk_errors(OPTION, self._path):
            if kind is None and self._timeline.frames:
                people = list(self._timeline.people())
                picture = self._picture(people)
                self.check()  # again: they may have been created in the meantime
                page, png, table = self.paths
                with temporary_path(png) as written:
                    with written.open("wb") as file:
                        save_drawn(np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")), file, "PNG")
                    publish(written, png)
                with temporary_path(table) as written:
                    write_csv(written, self._header(), self._rows(people))
                    publish(written, table)
                with temporary_path(page) as written:
                    written.write_text(self._html(people, picture), "utf-8")
                    publish(written, page)

    def _picture(self, people: list[Person]) -> bytes:
        from fercli.report.timeline_plot import Band, timeline_plot  # slow to import, and rarely used

        emotions = self._timeline.emotions
        bands = []
        for person in _longest(people):
            best = int(person.shares.argmax())
            title = f"{person.face_id}: {emotions[best]} in {person.shares[best]:.0%} of {person.seconds:.3g} s"
            bands.append(Band(title, person.times, person.smoothed, person.pieces))
        return timeline_plot(bands, emotions, self._timeline.end, self._timeline.step)

    def _header(self) -> list[str]:
        names = [safe_cell(name) for name in self._timeline.emotions]
        return [*_COLUMNS, *names, *(f"smoothed {name}" for name in names)]

    def _rows(self, people: list[Person]) -> Iterator[list[str]]:
        """Yield the table's rows by person and time; `emotion` is the one with the largest smoothed probability."""
        emotions = [safe_cell(name) for name in self._timeline.emotions]
        for person in people:
            for time, raw, smoothed in zip(person.times, person.raw, person.smoothed, strict=True):
                emotion = emotions[int(smoothed.argmax())]
                yield [f"{time:.3f}", person.face_id, emotion, *(f"{value:.6f}" for value in (*raw, *smoothed))]

    def _html(self, people: list[Person], picture: bytes) -> str:
        from fercli.report.pages import render  # slow to import, and rarely used
        from fercli.report.plots import face_uri

        timeline = self._timeline
        command = shlex.join(["fer", *sys.argv[1:]]) if Path(sys.argv[0]).name in ("fer", "__main__.py") else ""
        film = self._source.path.name if self._source.path else self._source.name
        context = {
            "page": _Page(f"Emotions over time: {film}", command, self._device, __version__, now()),
            "model": self._model,
            "length": clock(timeline.end + timeline.step),
            "frames": timeline.frames,
            "step": f"{timeline.step:.3g} s",
            "without_face": timeline.without_face,
            "smooth": self._smooth,
            "emotions": timeline.emotions,
            "colors": {name: style.color for name, style in line_styles(timeline.emotions).items()},
            "people": [
                {
                    "face_id": person.face_id,
                    "start": clock(person.times[0]),
                    "end": clock(person.times[-1]),
                    "seconds": person.seconds,
                    "shares": person.shares.tolist(),
                    "picture": face_uri(person.crop),
                }
                for person in people
            ],
            "hidden": max(0, len(people) - SHOWN),
            "picture": picture,
            "table_name": self.paths[2].name,
            "mark": MARK,
        }
        return render("timeline.html.j2", context)


def _longest(people: list[Person]) -> list[Person]:
    """Return the people who are seen longest, in order of their first frame."""
    chosen = sorted(people, key=lambda person: -person.seconds)[:SHOWN]
    return [person for person in people if person in chosen]


def _is_page(path: Path) -> bool:
    try:
        with open_text(path, errors="replace") as file:
            return MARK in file.read()
    except OSError:
        return False


def _is_table(path: Path) -> bool:
    try:
        with open_text(path, errors="replace") as file:
            return file.readline(1000).startswith(",".join(_COLUMNS))
    except OSError:
        return False
