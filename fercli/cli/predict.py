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
from fercli.cli.show_list import width_of_output
from fercli.errors import one_line, shorten
from fercli.files import as_text
from fercli.stages.predict.config import PredictConfig

SHOWN = 20
"""Rows that are printed; --csv and --json have all."""
LEAST = 12
"""Columns of the screen that a file's name has at least."""
GAP = 2
"""Columns of the screen between two cells."""


def show(found: Any) -> Iterator[Any]:
    """Yield the first rows, and what all come to."""
    shown = found.rows[:SHOWN]
    timed = any(row.time is not None for row in shown)
    titles = [*(["seconds", "id"] if timed else []), "face at", "emotion", "probability", "next"]
    cells = [_cells(row, found.emotions, timed) for row in shown]
    named = not timed or len({row.source for row in shown}) > 1
    rows = table(*(["photograph"] if named else []), *titles)
    for column in rows.columns:
        column.no_wrap = True
    taken = sum(max(map(cell_len, column)) + GAP for column in zip(titles, *cells, strict=True))
    for row, own in zip(shown, cells, strict=True):
        rows.add_row(*([escape(_short(row.source, taken))] if named else []), *map(escape, own))
    yield rows
    if len(found.rows) > SHOWN:
        yield f"[dim]and {len(found.rows) - SHOWN:,} more rows; --csv and --json have all[/dim]"
    s = found.summary
    emotions = ", ".join(f"{name(e)} {n:,}" for e, n in sorted(s["emotions"].items(), key=lambda x: -x[1]) if n)
    looked = f"{s['images']:,} pictures" if s["images"] != 1 else "one picture"
    faces = f"{s['faces']:,} faces" if s["faces"] != 1 else "one face"
    yield f"{faces} in {looked} ({s['without_face']:,} without): {emotions or 'none'}"
    yield f"{s['images_per_second']:,.1f} images/s"


def deliver(output: Output, found: Any) -> None:
    """Print the rows and figures, or the JSON object: the summary's keys, and `predictions` where no CSV has them."""
    if output.as_json:
        if found.csv:
            output.json(found.summary)
        else:
            sys.stdout.writelines(_json(found))
        return
    output.print(*show(found))
    for kind, path in (("table", found.csv), ("drawn", found.drawn)):
        if path:
            output.path(kind, path)


def _cells(row: Any, emotions: list[str], timed: bool) -> list[str]:
    """Return a row as a person reads it, but for the name of its file."""
    when = [f"{row.time:.2f}" if row.time is not None else "", row.face_id] if timed else []
    if row.face is None:
        return [*when, "", "no face", "", ""]
    left, top, width, height = (round(value) for value in row.face.box)
    order = sorted(range(len(emotions)), key=lambda k: -row.probabilities[k])
    following = f"{emotions[order[1]]} {row.probabilities[order[1]]:.0%}" if len(order) > 1 else ""
    texts = [f"{left},{top} {width}x{height}", row.emotion, f"{max(row.probabilities):.1%}", following]
    return [*when, *map(one_line, texts)]


def _short(path: str, taken: int) -> str:
    """Return a path that fits beside what the other cells take: its end tells more than its beginning.

    Where no terminal shows it, it is whole.
    """
    line = one_line(as_text(path))
    width = width_of_output()
    if width is None:
        return line
    return shorten(line, max(LEAST, width - taken), "end", cell_len)


def _json(found: Any) -> Iterator[str]:
    """Yield the JSON object in pieces: all its rows at once may be more than memory holds."""
    yield json.dumps(found.summary, indent=1, allow_nan=False).removesuffix("\n}")
    yield ',\n "predictions": ['
    for number, row in enumerate(found.rows):
        yield (",\n  " if number else "\n  ") + json.dumps(row.as_dict(found.emotions), allow_nan=False)
    yield "\n ]\n}\n"


command = stage_command(
    PredictConfig,
    fercli.predict,
    show,
    """Tell the emotions of the faces in photographs, videos or before a webcam.

    A frame without a face has a row of its own, with empty cells. A webcam is read until Ctrl-C.
    Data sets and packs hold faces that are cut out already; of pictures of such, say --faces crop.

    Example: [bold]fer predict run holiday.jpg --draw drawn.png[/bold]
    """,
    deliver=deliver,
)
