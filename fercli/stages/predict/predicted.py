"""The faces that a loaded model finds: a sequence, a table, a picture."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

from fercli.datasets.affect import AFFECT
from fercli.errors import FerError, UsageError
from fercli.faces.base import Box, Point
from fercli.images import Pixels, has_image_suffix
from fercli.stages.predict.frames import Frame, FrameSource
from fercli.stages.predict.rows import Row
from fercli.videos import is_video

if TYPE_CHECKING:
    import pandas

SHOWN = 4
"""Number of photographs drawn in a notebook."""


@dataclass(frozen=True, slots=True)
class PredictedFace:
    """One face in a photograph or in a frame of a video.

    Attributes:
        emotion: The most probable emotion.
        probabilities: Probability of each emotion, by name, in the model's order; they sum to 1.
        box: Left, top, width and height, pixels.
        score: The detector's confidence, on its own scale; NaN for a face crop.
        landmarks: Five points, or the two eyes; None if the detector finds none.
        source: The photograph or video: its path, or for one in memory its number in the list.
        frame: Frame number of a video, from 0; 0 in a photograph.
        time: Seconds from the start of the video; None in a photograph.
        face_id: Track of the face in a video, from 0001; empty in a photograph.
        valence: How pleasant the expression is, -1 to 1; None if the model does not predict it.
        arousal: How excited it is, likewise.
    """

    emotion: str
    probabilities: dict[str, float]
    box: Box
    score: float
    landmarks: tuple[Point, ...] | None
    source: str
    frame: int
    time: float | None
    face_id: str
    valence: float | None = None
    arousal: float | None = None


class PredictedFaces(Sequence[PredictedFace]):
    """The faces of one or several photographs or videos, in order; within a picture the largest first.

    Attributes:
        emotions: The model's emotions.
        without_face: Photographs without a face.
        skipped: Files that could not be read, by reason.
    """

    def __init__(
        self,
        rows: Iterable[Row],
        emotions: Sequence[str],
        reopen: Callable[[], FrameSource],
        skipped: dict[str, list[str]],
    ) -> None:
        self.emotions, self.skipped, self._reopen = list(emotions), skipped, reopen
        rows = list(rows)
        self._rows = [row for row in rows if row.face is not None]
        self.without_face = list(dict.fromkeys(row.source for row in rows if row.face is None and row.time is None))

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: SupportsIndex) -> PredictedFace: ...
    @overload
    def __getitem__(self, index: slice) -> list[PredictedFace]: ...
    def __getitem__(self, index: SupportsIndex | slice) -> PredictedFace | list[PredictedFace]:
        if isinstance(index, slice):
            return [self._face(row) for row in self._rows[index]]
        return self._face(self._rows[index])

    def _face(self, row: Row) -> PredictedFace:
        assert row.face is not None
        probabilities = dict(zip(self.emotions, row.probabilities, strict=True))
        own = row.face
        return PredictedFace(
            row.emotion, probabilities, own.box, own.score, own.landmarks, row.source, row.frame, row.time, row.face_id,
            *(row.affect or ()),
        )  # fmt: skip

    def __repr__(self) -> str:
        first = ", ".join(f"{row.emotion} {max(row.probabilities):.0%}" for row in self._rows[:SHOWN])
        return f"<{self._count()}{': ' + first if first else ''}{', …' if len(self) > SHOWN else ''}>"

    def _count(self) -> str:
        return "1 face" if len(self) == 1 else f"{len(self):,} faces"

    def to_pandas(self) -> pandas.DataFrame:
        """Return a table with a row per face: source, frame, time, face_id, the box, score, emotion, a column for each.

        If the model predicts them, valence and arousal are the last columns.

        Raises:
            FerError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise FerError("to_pandas needs pandas; pip install pandas") from error
        rows: list[dict[str, Any]] = []
        for face in self:
            left, top, width, height = face.box
            place = {"left": left, "top": top, "width": width, "height": height, "score": face.score}
            origin = {"source": face.source, "frame": face.frame, "time": face.time, "face_id": face.face_id}
            own = {} if face.valence is None else {"valence": face.valence, "arousal": face.arousal}
            rows.append({**origin, **place, "emotion": face.emotion, **face.probabilities, **own})
        columns = ["source", "frame", "time", "face_id", "left", "top", "width", "height", "score", "emotion"]
        affect = AFFECT if any(row.affect for row in self._rows) else ()
        return pandas.DataFrame(rows, columns=[*columns, *self.emotions, *affect])

    def draw(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the photograph with boxes and emotions drawn in; for several a folder, for a video a video.

        Args:
            path: An image file such as `out.jpg`, a new folder, or a video file.
            overwrite: Replace an image or video that fercli drew.

        Raises:
            UsageError: the path exists, or its suffix does not suit the source.
            FerError: it cannot be written.
        """
        from fercli.stages.predict.media_writer import MediaWriter

        source, target = self._reopen(), Path(path)
        if source.kind == "folder" and (has_image_suffix(target) or is_video(target)):
            raise UsageError(f"{target}: there are several photographs; give a folder to draw them into")
        names = source.kind == "folder" and source.path is None  # given one by one: drawn by their last name
        with MediaWriter(target, source, self.emotions, overwrite, _ignore) as writer:
            for frame, pixels, rows in self._drawable(source):
                writer.write(replace(frame, source=Path(frame.source).name) if names else frame, pixels, rows)
        return target

    def _drawable(self, source: FrameSource) -> Iterable[tuple[Frame, Pixels, list[Row]]]:
        """Yield each readable frame of the source with its rows."""
        if source.kind == "webcam":
            raise UsageError("draw: a webcam's frames are gone; use fercli.predict with draw")
        rows: dict[tuple[str, int], list[Row]] = defaultdict(list)
        for row in self._rows:
            rows[row.source, row.frame].append(row)
        for read in source.frames(_ignore):
            frame = read()
            if frame.pixels is not None:
                yield frame, frame.pixels, rows[frame.source, frame.number]

    def _repr_html_(self) -> str:
        """Return the first photographs with their faces drawn in, for a notebook."""
        import numpy as np
        from PIL import Image

        from fercli.images import encode_png
        from fercli.report.notebook import MAX_SIDE, result_html
        from fercli.report.plots import data_uri
        from fercli.stages.predict.annotation import draw_faces

        counts = {emotion: sum(row.emotion == emotion for row in self._rows) for emotion in self.emotions}
        values = [(emotion, f"{count:,}") for emotion, count in counts.items() if count]
        html = result_html(self._count(), values)
        try:
            source = self._reopen()
            for number, (_, pixels, rows) in enumerate(self._drawable(source)):
                if number == SHOWN:
                    break
                image = Image.fromarray(draw_faces(pixels, rows, self.emotions))
                image.thumbnail((MAX_SIDE, MAX_SIDE))
                uri = data_uri(encode_png(np.asarray(image)))
                html += f'<img src="{uri}" alt="faces" style="max-width:100%">'
        except (FerError, OSError):  # the files are gone: displaying a result must never fail
            pass
        return html


def _ignore(message: str) -> None:
    del message
