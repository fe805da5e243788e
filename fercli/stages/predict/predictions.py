"""The result of `fercli.predict`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from fercli.stages.predict.row_store import Rows
from fercli.stages.predict.summary import PredictionSummary


@dataclass
class Predictions:
    """The result of a prediction.

    Attributes:
        rows: One row per face and frame, in order; a frame without a face has one row. A sequence like a list, of which
            all but the first ten thousand are kept in a temporary file.
        emotions: The model's emotions, in order of the probabilities.
        summary: images, faces, without_face, unreadable, passed_over (files that are neither images nor videos),
            images_per_second; emotions: faces by predicted emotion; notes: caveats.
        skipped: Files that could not be read, by reason; the first thousand each.
        csv: The CSV file written.
        drawn: The image, folder or video written.
        timeline: The page of emotions over time written.
    """

    rows: Rows
    emotions: list[str]
    summary: PredictionSummary
    skipped: dict[str, list[str]] = field(default_factory=dict)
    csv: Path | None = None
    drawn: Path | None = None
    timeline: Path | None = None

    def _repr_html_(self) -> str:
        """Return a table of the key values, and the annotated image, for a notebook."""
        from fercli.report.notebook import result_html

        s = self.summary
        values = [("images", f"{s.images:,}"), ("faces", f"{s.faces:,} ({s.without_face:,} images without)")]
        values += [(emotion, f"{n:,}") for emotion, n in s.emotions.items() if n]
        if s.unreadable:
            values.append(("unreadable", f"{s.unreadable:,}"))
        values += [("note", note) for note in s.notes]
        values += [(name, str(path)) for name, path in (("csv", self.csv), ("drawn", self.drawn)) if path]
        return result_html(type(self).__name__, values, [self.drawn] if self.drawn else [])
