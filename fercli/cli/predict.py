"""`fer predict`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import fercli
from fercli.cli.options import stage_command
from fercli.cli.output import Output, name, table
from fercli.stages.predict.config import PredictConfig

SHOWN = 20
"""Rows that are printed; --csv and --json have all."""


def show(found: Any) -> Iterator[Any]:
    """Yield the first rows, and what all come to."""
    rows = table("photograph", "face at", "emotion", "probability", "next")
    timed = any(row.time is not None for row in found.rows)
    if timed:
        rows = table("seconds", "face at", "emotion", "probability", "next")
    for row in found.rows[:SHOWN]:
        where = f"{row.time:.2f}" if timed else name(row.source)
        if row.face is None:
            rows.add_row(where, "", "[dim]no face[/dim]", "", "")
            continue
        left, top, width, height = (round(value) for value in row.face.box)
        order = sorted(range(len(found.emotions)), key=lambda k: -row.probabilities[k])
        following = f"{found.emotions[order[1]]} {row.probabilities[order[1]]:.0%}" if len(order) > 1 else ""
        cells = [f"{left},{top} {width}x{height}", name(row.emotion), f"{max(row.probabilities):.1%}", name(following)]
        rows.add_row(where, *cells)
    yield rows
    if len(found.rows) > SHOWN:
        yield f"[dim]and {len(found.rows) - SHOWN:,} more rows; --csv and --json have all[/dim]"
    s = found.summary
    emotions = ", ".join(f"{name(e)} {n:,}" for e, n in sorted(s["emotions"].items(), key=lambda x: -x[1]) if n)
    looked = f"{s['images']:,} pictures" if s["images"] != 1 else "one picture"
    yield f"{s['faces']:,} faces in {looked} ({s['without_face']:,} without): {emotions or 'none'}"
    yield f"{s['images_per_second']:,.1f} images/s"


def deliver(output: Output, found: Any) -> None:
    """Print the rows and figures, or the JSON object: the summary's keys, and `predictions` where no CSV has them."""
    if output.as_json:
        predictions = {} if found.csv else {"predictions": [row.as_dict(found.emotions) for row in found.rows]}
        output.json({**found.summary, **predictions})
        return
    output.print(*show(found))
    for kind, path in (("table", found.csv), ("drawn", found.drawn)):
        if path:
            output.path(kind, path)


command = stage_command(
    PredictConfig,
    fercli.predict,
    show,
    """Tell the emotions of the faces in photographs, videos or before a webcam.

    A frame without a face has a row of its own, with empty cells. A webcam is read until Ctrl-C.

    Example: [bold]fer predict run holiday.jpg --draw drawn.png[/bold]
    """,
    deliver=deliver,
)
