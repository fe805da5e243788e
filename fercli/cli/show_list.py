"""`fer show FOLDER`: the artifacts of a folder as a table that fits the terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from shutil import get_terminal_size
from typing import Any

from rich.cells import cell_len
from rich.console import Console

from fercli.artifacts import MANIFEST, Artifact, Manifest, open_artifact
from fercli.artifacts.key_metrics import key_metrics
from fercli.cli.output import name, table
from fercli.errors import FerError, UsageError, did_you_mean, one_line, shorten

COLUMNS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "artifact": lambda row: row["name"],
    "kind": lambda row: row["kind"],
    "model": lambda row: row["model"],
    "seed": lambda row: row["seeds"],
    "images": lambda row: row["images"],
    "seconds": lambda row: row["seconds"],
    "accuracy": lambda row: row["accuracy"],
    "macro-f1": lambda row: row["macro_f1"],
    "on": lambda row: (row["pack"] or "", row["split"]) if row["split"] else None,
}
"""The columns by which a folder's artifacts can be sorted."""
_LARGEST_FIRST = ("images", "seconds", "accuracy", "macro-f1")
_GAP = 2
_DROP_ORDER = ("seconds", "images", "kind", "seed", "95 % interval", "model")
"""The order in which columns are dropped on narrow terminals."""
_MIN_WIDTHS = (24, 14, 6)
"""Minimum widths of names before the third column is dropped, before the fourth, and after all are."""
_SHORT_KINDS = {
    "crossvalidation": "cross",
    "photographs": "photos",
    "evaluation": "eval",
    "explanation": "explain",
    "checkpoint": "ckpt",
}


@dataclass(frozen=True)
class Broken:
    """An artifact that cannot be opened, and the reason."""

    path: Path
    why: str


def artifacts_in(folder: Path) -> list[Artifact | Broken]:
    """Return the artifacts in a folder by time of creation, followed by the broken ones."""
    found: list[Artifact] = []
    broken: list[Artifact | Broken] = []
    try:
        children = sorted(folder.iterdir()) if folder.is_dir() else []
    except OSError as error:
        raise FerError(f"{folder}: {error.strerror or error}") from error
    for path in children:
        if path.name.startswith(".") or not os.path.lexists(path / MANIFEST):
            continue
        try:
            found.append(open_artifact(path))
        except FerError as error:
            broken.append(Broken(path, str(error)))
    return sorted(found, key=lambda one: (one.manifest.ended, one.manifest.started)) + broken


def rows_of(artifacts: Iterable[Artifact | Broken], sort: str = "") -> list[dict[str, Any]]:
    """Return one row per artifact, as `--json` prints them.

    Args:
        artifacts: Artifacts, including broken ones.
        sort: The column to sort by; images, seconds and metrics in descending order, missing values last.

    Raises:
        UsageError: there is no such column.
    """
    rows = [_broken_row(one) if isinstance(one, Broken) else _row(one) for one in artifacts]
    if not sort:
        return rows
    column = sort.strip().lower().replace("_", "-").replace(" ", "-")
    if column not in COLUMNS:
        raise UsageError(f"--sort: {did_you_mean('column', sort, list(COLUMNS))}")
    value = COLUMNS[column]
    known = [row for row in rows if value(row) not in (None, "", [])]
    unknown = [row for row in rows if value(row) in (None, "", [])]
    return sorted(known, key=value, reverse=column in _LARGEST_FIRST) + unknown


def _row(artifact: Artifact) -> dict[str, Any]:
    m, metrics = artifact.manifest, key_metrics(artifact)
    return {
        "name": artifact.path.name,
        "kind": m.kind,
        "model": metrics.model,
        "seeds": list(metrics.seeds),
        "images": sum(sum(by_emotion.values()) for by_emotion in m.counts.values()),
        "seconds": _seconds(m.started, m.ended),
        "accuracy": metrics.accuracy,
        "accuracy_interval": list(metrics.interval) if metrics.interval else None,
        "macro_f1": metrics.macro_f1,
        "split": metrics.split or None,
        "pack": metrics.data.pack or None,
        "dataset": metrics.data.dataset or None,
        "source": metrics.data.source or None,
        "error": None,
    }


def _broken_row(broken: Broken) -> dict[str, Any]:
    return {**_row(Artifact(broken.path, Manifest(kind="", stage=""))), "kind": None, "error": broken.why}


def _seconds(started: str, ended: str) -> float | None:
    try:
        return (datetime.fromisoformat(ended) - datetime.fromisoformat(started)).total_seconds()
    except (ValueError, TypeError):  # a checkpoint has no times; or only one time has a zone
        return None


def output_width() -> int | None:
    """Return the width for tables: the terminal's, or COLUMNS; None (unlimited) if stdout is not a terminal."""
    if sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdecimal():
        return get_terminal_size().columns
    return None


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print the rows as a table that fits the terminal, shortening or dropping the least important columns."""
    columns = _fitting(rows, output_width())
    shown = table(*columns)
    for column in shown.columns:
        column.no_wrap = True
    for cells in zip(*columns.values(), strict=True):
        shown.add_row(*map(name, cells))
    Console(highlight=False, width=max(1, _width(columns))).print(shown)


def _fitting(rows: list[dict[str, Any]], width: int | None) -> dict[str, list[str]]:
    """Return the cells of each column by header, at most `width` wide in total (None for no limit)."""
    columns = _columns(rows, 0, short=False)
    if width is None or _width(columns) <= width:
        return columns
    for dropped in range(len(_DROP_ORDER) + 1):
        columns = _columns(rows, dropped, short=True)
        if dropped >= 2:
            columns = _cut(columns, width, _MIN_WIDTHS[min(dropped - 2, 1)])
        if _width(columns) <= width:
            return columns
    return _cut(columns, width, _MIN_WIDTHS[-1])


def _columns(rows: list[dict[str, Any]], dropped: int, short: bool) -> dict[str, list[str]]:
    """Return the cells of each column by header, without empty columns and the first `dropped` of `_DROP_ORDER`."""
    columns = {
        "artifact": [one_line(row["name"]) for row in rows],
        "kind": [_kind_cell(row["kind"], short) for row in rows],
        "model": [one_line(row["model"]) for row in rows],
        "seed": [", ".join(map(str, row["seeds"])) for row in rows],
        "images": [f"{row['images']:,}" if row["images"] else "" for row in rows],
        "seconds": [_time_cell(row["seconds"]) for row in rows],
        "accuracy": ["" if row["accuracy"] is None else f"{row['accuracy']:.1%}" for row in rows],
        "95 % interval": [_interval_cell(row["accuracy_interval"], short) for row in rows],
        "macro F1": ["" if row["macro_f1"] is None else f"{row['macro_f1']:.3f}" for row in rows],
        "on": [_on_cell(row, short) for row in rows],
    }
    for header in _DROP_ORDER[:dropped]:
        del columns[header]
    if short:
        renamed = {"95 % interval": "95 %", "macro F1": "F1"}
        columns = {renamed.get(header, header): cells for header, cells in columns.items()}
    return {header: cells for header, cells in columns.items() if header in ("artifact", "kind") or any(cells)}


def _kind_cell(kind: str | None, short: bool) -> str:
    if kind is None:
        return "broken"
    return _SHORT_KINDS.get(kind, one_line(kind)) if short else one_line(kind)


def _time_cell(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds:,.0f}" if seconds >= 1 else "< 1"


def _interval_cell(bounds: list[float] | None, short: bool) -> str:
    if not bounds:
        return ""
    low, high = bounds
    return f"{100 * low:.1f} - {100 * high:.1f}" if short else f"{low:.1%} to {high:.1%}"


def _on_cell(row: dict[str, Any], short: bool) -> str:
    if not row["split"]:
        return ""
    split = "val" if short and row["split"] == "validation" else row["split"]
    return one_line(f"{row['pack'] or ''} {split}")


def _width(columns: dict[str, list[str]]) -> int:
    return sum(max(map(cell_len, [header, *cells])) + _GAP for header, cells in columns.items()) - _GAP


def _cut(columns: dict[str, list[str]], width: int, min_width: int) -> dict[str, list[str]]:
    """Shorten the longest texts until the columns fit, but none to less than `min_width` characters."""
    texts = [header for header in ("artifact", "model", "on") if header in columns]
    columns = dict(columns)
    while (over := _width(columns) - width) > 0:
        longest = max(texts, key=lambda header: max(map(cell_len, columns[header])))
        length = max(map(cell_len, columns[longest]))
        if length <= min_width:
            break
        room = max(min_width, length - max(1, over // len(texts)))
        columns[longest] = [shorten(cell, room, "middle", cell_len) for cell in columns[longest]]
    return columns
