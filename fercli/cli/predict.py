"""`fer predict`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from rich.cells import cell_len
from rich.markup import escape

import fercli
from fercli.cli.options import stage_command
from fercli.cli.output import Output, name, table
from fercli.cli.show_list import output_width
from fercli.errors import one_line, shorten
from fercli.files import as_text
from fercli.stages.model_options import OF_WEIGHTS
from fercli.stages.predict.config import PredictConfig

MAX_ROWS_SHOWN = 20
"""Number of rows printed; --csv and --json have all."""
MIN_NAME_WIDTH = 12
"""Minimum width of the file name column."""
GAP = 2
"""Width of the gap between columns."""


def show(found: Any) -> Iterator[Any]:
    """Yield the first rows and a summary."""
    shown = found.rows[:MAX_ROWS_SHOWN]
    timed = any(row.time is not None for row in shown)
    titles = [*(["seconds", "id"] if timed else []), "face at", "emotion", "probability", "next"]
    cells = [_cells(row, found.emotions, timed) for row in shown]
    named = not timed or len({row.source for row in shown}) > 1
    rows = table(*(["photograph"] if named else []), *titles)
    for column in rows.columns:
        column.no_wrap = True
    taken = sum(max(map(cell_len, column)) + GAP for column in zip(titles, *cells, strict=True))
    for row, own in zip(shown, cells, strict=True):
        rows.add_row(*([escape(_fit_path(row.source, taken))] if named else []), *map(escape, own))
    yield rows
    if len(found.rows) > MAX_ROWS_SHOWN:
        yield f"[dim]and {len(found.rows) - MAX_ROWS_SHOWN:,} more rows; --csv and --json have all[/dim]"
    s = found.summary
    emotions = ", ".join(f"{name(e)} {n:,}" for e, n in sorted(s["emotions"].items(), key=lambda x: -x[1]) if n)
    images = f"{s['images']:,} images" if s["images"] != 1 else "one image"
    faces = f"{s['faces']:,} faces" if s["faces"] != 1 else "one face"
    yield f"{faces} in {images} ({s['without_face']:,} without): {emotions or 'none'}"
    yield f"{s['images_per_second']:,.1f} images/s"


def deliver(output: Output, found: Any) -> None:
    """Print the rows and the summary, or the JSON object: the summary, with `predictions` unless there is a CSV."""
    if output.as_json:
        if found.csv:
            output.json(dict(found.summary))
        else:
            sys.stdout.writelines(_json(found))
        return
    output.print(*show(found))
    for kind, path in (("table", found.csv), ("drawn", found.drawn), ("timeline", found.timeline)):
        if path:
            output.path(kind, path)


def _cells(row: Any, emotions: list[str], timed: bool) -> list[str]:
    """Return the cells of a row, without the file name."""
    when = [f"{row.time:.2f}" if row.time is not None else "", row.face_id] if timed else []
    if row.face is None:
        return [*when, "", "no face", "", ""]
    left, top, width, height = (round(value) for value in row.face.box)
    order = sorted(range(len(emotions)), key=lambda k: -row.probabilities[k])
    following = f"{emotions[order[1]]} {row.probabilities[order[1]]:.0%}" if len(order) > 1 else ""
    texts = [f"{left},{top} {width}x{height}", row.emotion, f"{max(row.probabilities):.1%}", following]
    return [*when, *map(one_line, texts)]


def _fit_path(path: str, taken: int) -> str:
    """Shorten a path at its beginning to fit next to the other cells; unchanged if stdout is not a terminal."""
    line = one_line(as_text(path))
    width = output_width()
    if width is None:
        return line
    return shorten(line, max(MIN_NAME_WIDTH, width - taken), "end", cell_len)


def _json(found: Any) -> Iterator[str]:
    """Yield the JSON object in pieces, since all rows may not fit into memory."""
    yield json.dumps(dict(found.summary), indent=1, allow_nan=False).removesuffix("\n}")
    yield ',\n "predictions": ['
    for number, row in enumerate(found.rows):
        yield (",\n  " if number else "\n  ") + json.dumps(row.as_dict(found.emotions), allow_nan=False)
    yield "\n ]\n}\n"


command = stage_command(
    PredictConfig,
    fercli.predict,
    show,
    """Predict the emotions of the faces in photographs, videos or a webcam stream.

    A frame without a face yields a row with empty cells. A webcam is read until Ctrl-C. Datasets and packs contain
    face crops; for other images of cropped faces, use --faces crop.

    Example: [bold]fer predict run holiday.jpg --draw drawn.png[/bold]
    """,
    deliver=deliver,
    last=OF_WEIGHTS,
)
