"""Metrics by group of images: the groups from a column of the dataset's index or a table, and the metrics of each."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fercli.artifacts import Artifact, open_artifact
from fercli.artifacts.lineage import ancestors
from fercli.artifacts.tables import write_csv
from fercli.datasets.index import COLUMNS, read_index
from fercli.errors import DataError, UsageError, did_you_mean, shorten
from fercli.evaluation.part_summaries import GapSummary, GroupsSummary, GroupSummary
from fercli.files import missing_message, open_text
from fercli.metrics.confusion import classification_metrics, confusion_matrix
from fercli.metrics.groups import DRAWS, gap_test
from fercli.metrics.intervals import wilson_interval
from fercli.packs.file import PackInfo, read_paths
from fercli.sanitize import from_path_cell, from_word_cell, word_cell

NO_GROUP = "(none)"
"""The group of the images without one."""
MIN_N = 10
"""Groups of fewer images are not compared: their accuracy is known to 0.3 at best."""
MAX_GROUPS = 200
"""More groups than this are most likely a mistake, such as a column that is different for each image."""
MAX_NUMBERS = 12
"""A column of more different numbers than this is divided into BINS bins."""
BINS = 4
_SEED = 0
_TABLE = ("path", "group")
_SHOWN = 60  # characters of a cell in an error's line

Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Groups:
    """The groups of a split's images.

    Attributes:
        by: The column, or the name of the file, for display.
        names: The groups in order; that without a name is last.
        numbers: The group of each image, (N,), indices into `names`.
        binned: Whether the groups are bins of a column of numbers.
        unknown_rows: Number of rows of the file whose images are not in the pack.
    """

    by: str
    names: tuple[str, ...]
    numbers: npt.NDArray[np.int64]
    binned: bool = False
    unknown_rows: int = 0


def is_column(by: str) -> bool:
    """Return whether `--by` names a column of a dataset's index; otherwise it is a file."""
    return by in COLUMNS


def check_by(by: str) -> None:
    """Check that `--by` is a column of an index, or a file that exists.

    Raises:
        UsageError: it is neither.
        DataError: it is a folder, a pipe, a device or a socket.
    """
    if is_column(by) or Path(by).is_file():
        return
    if Path(by).exists() or Path(by).suffix:
        raise DataError(missing_message(Path(by), "table"))
    hint = "or give a table, FILE.csv, with the columns path,group"
    raise UsageError(f"by: {did_you_mean('column', by[:80], list(COLUMNS), hint)}")


def read_groups(by: str, pack: Artifact, info: PackInfo, paths: Sequence[str]) -> Groups:
    """Return the groups of a split's images.

    Args:
        by: A column of the index of the pack's dataset, or a CSV file with the columns path and group.
        pack: The pack.
        info: Its metadata.
        paths: The paths of the split's N images within the dataset.

    Raises:
        UsageError: there is no such column.
        DataError: the dataset is gone, the table is invalid, no image has a group, or there are too many groups.
    """
    found, where, unknown = group_names(by, pack), by, 0
    if is_column(by):
        where = f"{pack.path}: --by {by}"
    else:
        known = {path for split in info.counts for path in read_paths(info, split)}
        unknown = sum(path not in known for path in found)
    values = [found.get(path, "").strip() for path in paths]
    if not any(values):
        reason = "the column is empty" if is_column(by) else "no path is that of an image of the evaluated split"
        raise DataError(f"{where}: {reason}, so no image has a group")
    names, numbers, binned = _divide(values)
    if len(names) > MAX_GROUPS or len(names) > max(MAX_NUMBERS, len(values) / 2):
        raise DataError(
            f"{where}: {len(names):,} different values for {len(values):,} images, too many for groups (at most "
            f"{MAX_GROUPS}, of two images each on average); use another column or a table with the columns path,group"
        )
    if (numbers == len(names)).any():
        names = [*names, NO_GROUP]
    return Groups(by if is_column(by) else Path(by).name, tuple(names), numbers, binned, unknown)


def group_names(by: str, pack: Artifact) -> dict[str, str]:
    """Return the name of the group of each image, by its path; empty for none.

    Args:
        by: A column of the index of the dataset, or a CSV file with the columns path and group.
        pack: The pack, or another artifact that was made from the dataset.

    Raises:
        UsageError: there is no such column.
        DataError: the dataset is gone, or the table is invalid.
    """
    check_by(by)
    return _read_column(by, pack) if is_column(by) else _read_table(Path(by))


def _read_column(column: str, pack: Artifact) -> dict[str, str]:
    """Return a column of the index of a pack's dataset, by path."""
    advice = "re-create it, or pass a table instead, --by FILE.csv with the columns path,group"
    for one in ancestors(pack):
        if one.depth == 1 and one.input.kind == "dataset":
            if one.state != "there":
                state = "no longer exists" if one.state == "gone" else "was changed since"
                raise DataError(
                    f"{one.path}: the dataset of the pack {pack.path}, for --by {column}, {state}; {advice}"
                )
            return {row.path: getattr(row, column) for row in read_index(open_artifact(one.path, "dataset"))}
    raise DataError(f"{pack.path}: names no dataset, for --by {column}; {advice}")


def _read_table(file: Path) -> dict[str, str]:
    """Return the group of each path of a table.

    Raises:
        DataError: it cannot be read, lacks a column, or lists an image with two groups.
    """
    found: dict[str, str] = {}
    try:
        with open_text(file, encoding="utf-8-sig", newline="") as text:
            reader = csv.reader(text)
            header = [name.strip() for name in next(reader, [])]
            if missing := [name for name in _TABLE if header.count(name) != 1]:
                shown = shorten(", ".join(header), _SHOWN)
                raise DataError(f"{file}: expected one column '{missing[0]}' in the first line, which is: {shown}")
            at, own = (header.index(name) for name in _TABLE)
            for row in reader:
                if len(row) <= max(at, own):
                    if row:
                        raise DataError(f"{file}: line {reader.line_num} has {len(row)} of {len(header)} cells")
                    continue
                path, group = from_path_cell(row[at].strip()), from_word_cell(row[own].strip())
                if found.setdefault(path, group) != group:
                    raise DataError(
                        f"{file}: line {reader.line_num}: a second group for {shorten(path, _SHOWN, 'end')}"
                    )
    except (OSError, csv.Error, ValueError) as error:  # UnicodeDecodeError is a ValueError
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{file}: cannot be read as a table ({reason}); save it as CSV in UTF-8") from error
    return found


def _divide(values: Sequence[str]) -> tuple[list[str], Labels, bool]:
    """Return the groups, the group of each value (N,), len(groups) for an empty one, and whether they are bins.

    More than MAX_NUMBERS different numbers are divided at their quartiles. A bin contains its lower end.
    """
    given = {value for value in values if value and value != NO_GROUP}
    numbers = {value: number for value in given if (number := _number(value)) is not None}
    if len(numbers) == len(given) and len(set(numbers.values())) > MAX_NUMBERS:
        known = np.array([numbers[value] for value in values if value in numbers])
        edges = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)))
        names = _bin_names(edges)
        index = {v: int(np.clip(np.searchsorted(edges, x, "right") - 1, 0, len(names) - 1)) for v, x in numbers.items()}
    else:
        names = sorted(given, key=lambda value: (value not in numbers, numbers.get(value, 0.0), value))
        index = {value: number for number, value in enumerate(names)}
    own = np.array([index.get(value, len(names)) for value in values], np.int64)
    return names, own, len(set(index.values())) < len(index)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _bin_names(edges: npt.NDArray[np.float64]) -> list[str]:
    """Return `low to high` for each bin, with as few digits as tell the edges apart."""
    for digits in range(3, 18):
        shown = [f"{edge:.{digits}g}" for edge in edges]
        if len(set(shown)) == len(shown):
            break
    return [f"{low} to {high}" for low, high in pairwise(shown)]


def measure_groups(
    groups: Groups, labels: Labels, predicted: Labels, emotions: Sequence[str], *, min_n: int = MIN_N
) -> GroupsSummary:
    """Return the metrics of each group, and the largest gap between two.

    Args:
        groups: The groups of N images.
        labels: (N,), indices into the emotions.
        predicted: (N,), likewise.
        emotions: The names.
        min_n: Groups of fewer images are not compared.
    """
    found: dict[str, GroupSummary] = {}
    for number, name in enumerate(groups.names):
        own = groups.numbers == number
        matrix = confusion_matrix(labels[own], predicted[own], len(emotions))
        metrics = classification_metrics(matrix, emotions)
        found[name] = GroupSummary(
            n=int(own.sum()),
            accuracy=metrics.accuracy,
            accuracy_interval=list(wilson_interval(int(np.trace(matrix)), int(own.sum()))),
            recalls={emotion: one.recall for emotion, one in metrics.per_class.items()},
        )
    return GroupsSummary(
        by=groups.by,
        binned=groups.binned,
        groups=found,
        gap=_gap(groups, labels == predicted, min_n),
        unknown_rows=groups.unknown_rows,
    )


def _gap(groups: Groups, right: npt.NDArray[np.bool_], min_n: int) -> GapSummary | None:
    """Return the largest gap between two groups of at least `min_n` images; None if there are no two."""
    n = np.bincount(groups.numbers, minlength=len(groups.names))
    correct = np.bincount(groups.numbers, right, len(groups.names)).astype(np.int64)
    large = [k for k, name in enumerate(groups.names) if n[k] >= min_n and name != NO_GROUP]
    if len(large) < 2:
        return None
    test = gap_test(correct[large], n[large], draws=DRAWS, seed=_SEED)
    return GapSummary(
        high=groups.names[large[test.high]],
        low=groups.names[large[test.low]],
        gap=test.gap,
        p_value=test.p_value,
        compared=len(large),
        min_n=min_n,
        permutations=DRAWS,
        seed=_SEED,
    )


def write_groups(file: Path, summary: GroupsSummary, emotions: Sequence[str]) -> None:
    """Write groups.csv: group, n, accuracy and its interval, and each recall, empty where undefined."""
    columns = ["group", "n", "accuracy", "low", "high", *(word_cell(f"recall_{emotion}") for emotion in emotions)]
    rows = (
        [
            word_cell(name),
            group.n,
            *(f"{value:.6f}" for value in (group.accuracy, *group.accuracy_interval)),
            *("" if (value := group.recalls[emotion]) is None else f"{value:.6f}" for emotion in emotions),
        ]
        for name, group in summary.groups.items()
    )
    write_csv(file, columns, rows)
