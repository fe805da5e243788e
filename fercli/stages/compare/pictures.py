"""A comparison's pictures: the forest plot, and the images on which two sides disagree."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import numpy as np

from fercli.artifacts import open_artifact
from fercli.artifacts.lineage import ancestors
from fercli.datasets.index import read_index
from fercli.datasets.reading import read_checked
from fercli.errors import FerError, one_line, shorten
from fercli.images import Pixels, as_color, encode_png, fit_square
from fercli.report.contact_sheet import Cell, Group, contact_sheet
from fercli.report.forest_plot import ForestRow, forest_plot
from fercli.report.style import BLUE, MUTED, ORANGE
from fercli.stages.compare.alignment import Aligned
from fercli.stages.compare.members import Member
from fercli.stages.compare.pairs import OVERALL
from fercli.stages.compare.summary import ComparisonSummary, DifferenceSummary
from fercli.stages.compare.wording import MINUS

SHOWN = 14
"""Maximum number of images in each group of the sheet."""
_COLUMNS = 7
_SIDE = 104
TITLES = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "macro_f1": "macro F1 (× 100)"}


def plot_differences(summary: ComparisonSummary) -> bytes:
    """Plot all metrics of a single pair, or the three overall metrics of several pairs; PNG."""
    x = "difference in percentage points, 95 % interval"
    if len(summary.pairs) == 1:
        pair = summary.pairs[0]
        rows = [
            _row(TITLES.get(name, name), one, gap=number == len(OVERALL))
            for number, (name, one) in enumerate(pair.differences.items())
        ]
        first, second = (shorten(one_line(name), 32, "middle") for name in (pair.first, pair.second))
        return forest_plot([(f"{first} {MINUS} {second}", rows)], f"{x}; above zero {first} is better")
    panels = [
        (
            TITLES[metric],
            [_row(f"{pair.first}\n{MINUS} {pair.second}", pair.differences[metric]) for pair in summary.pairs],
        )
        for metric in OVERALL
    ]
    return forest_plot(panels, "points, 95 % interval")


def _row(name: str, one: DifferenceSummary, *, gap: bool = False) -> ForestRow:
    interval = None if one.interval is None else (100 * one.interval[0], 100 * one.interval[1])
    return ForestRow(name, None if one.difference is None else 100 * one.difference, interval, gap)


def disagreement_sheet(
    members: Sequence[Sequence[Member]], data: Aligned, pair: tuple[int, int], names: tuple[str, str]
) -> bytes | None:
    """Return a contact sheet of images on which two sides predict different emotions; None without images. PNG.

    The images of each group are those on which the two are surest of their different predictions.
    """
    first, second = (data.mean[side] for side in pair)
    a, b = first.argmax(1), second.argmax(1)
    rows = np.arange(len(data.labels))
    sureness = first[rows, a] + second[rows, b]
    kinds = (
        (f"only {names[0]}", "is right", (a == data.labels) & (b != data.labels), BLUE),
        (f"only {names[1]}", "is right", (b == data.labels) & (a != data.labels), ORANGE),
        ("neither", "is right", (a != data.labels) & (b != data.labels) & (a != b), MUTED),
    )
    chosen = []
    for title, note, mask, color in kinds:
        where = np.flatnonzero(mask)
        found = where[np.argsort(-sureness[where], kind="stable")]
        if data.repeats > 1:  # each image once, though it was predicted in every repeat
            found = np.array(list({data.paths[row]: row for row in found[::-1]}.values())[::-1], np.int64)
        chosen.append((title, note, len(where), found[:SHOWN], color))
    wanted = [int(row) for *_, found, _ in chosen for row in found]
    images = _read_images(members, data, wanted)
    if not images:
        return None
    groups = []
    for title, note, count, found, color in chosen:
        cells = [
            Cell(
                fit_square(as_color(images[int(row)], "rgb"), _SIDE),
                data.emotions[data.labels[row]],
                f"{data.emotions[a[row]]} / {data.emotions[b[row]]}",
                color,
            )
            for row in found
            if int(row) in images
        ]
        if cells:
            groups.append(Group(cells, title, f"{note}: {count:,}"))
    return encode_png(contact_sheet(groups, columns=_COLUMNS)) if groups else None


def _read_images(members: Sequence[Sequence[Member]], data: Aligned, rows: Sequence[int]) -> dict[int, Pixels]:
    """Return the images of rows, from the first pack or dataset that still exists unchanged; none without."""
    for member in (one for side in members for one in side):
        with suppress(FerError):
            if found := _from_pack(member, data, rows) if member.pack else _from_dataset(member, data, rows):
                return found
    return {}


def _from_pack(member: Member, data: Aligned, rows: Sequence[int]) -> dict[int, Pixels]:
    from fercli.packs.file import read_paths, stored_images
    from fercli.packs.opening import open_pack

    assert member.pack is not None
    info = open_pack(member.pack)
    found = {}
    split_of = {row: data.splits[row] if data.splits else member.split for row in rows}
    for split in dict.fromkeys(split_of.values()):
        faces = stored_images(info, split)
        place = {path: number for number, path in enumerate(read_paths(info, split))}
        for row in rows:
            if split_of[row] == split and data.paths[row] in place:
                found[row] = faces[place[data.paths[row]]]
    return found


def _from_dataset(member: Member, data: Aligned, rows: Sequence[int]) -> dict[int, Pixels]:
    for one in ancestors(member.artifact):
        if one.kind == "dataset" and one.state == "there":
            index = {row.path: row for row in read_index(open_artifact(one.path, "dataset"))}
            known = [row for row in rows if data.paths[row] in index]
            return {row: read_checked(one.path, index[data.paths[row]]) for row in known}
    return {}
