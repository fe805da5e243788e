"""Groups of images: a column of the index of the dataset that they come from, or a table of paths and groups."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from fercli.artifacts import Artifact, open_artifact
from fercli.artifacts.lineage import ancestors
from fercli.datasets.index import COLUMNS, read_index
from fercli.errors import DataError, UsageError, did_you_mean
from fercli.files import open_text
from fercli.sanitize import from_path_cell, from_word_cell


def read_groups(by: str, artifacts: Iterable[Artifact]) -> dict[str, str]:
    """Return the group of each image by its path.

    Args:
        by: A column of the index, or the path of a CSV file with the columns path and group.
        artifacts: Artifacts whose lineage is searched for the dataset.

    Raises:
        UsageError: it is neither a file nor a column.
        DataError: the file is invalid, or no dataset can be reached.
    """
    if Path(by).exists():
        return _read_table(Path(by))
    if by not in COLUMNS:
        raise UsageError(f"by: {did_you_mean('column', by, list(COLUMNS))}; or give a CSV file with path and group")
    for artifact in artifacts:
        for one in ancestors(artifact):
            if one.kind == "dataset" and one.state == "there":
                rows = read_index(open_artifact(one.path, "dataset"))
                return {row.path: str(getattr(row, by)) for row in rows}
    raise DataError(f"by: the dataset with the column {by} is gone or changed; give a CSV file with path and group")


def _read_table(path: Path) -> dict[str, str]:
    groups: dict[str, str] = {}
    try:
        with open_text(path, newline="") as file:
            reader = csv.DictReader(file)
            if not {"path", "group"} <= set(reader.fieldnames or ()):
                raise ValueError("expected the columns path and group")
            for line, row in enumerate(reader, 2):
                name, group = row["path"], row["group"]
                if name is None or group is None:
                    raise ValueError(f"line {line} has too few cells")
                if groups.setdefault(from_path_cell(name), from_word_cell(group)) != from_word_cell(group):
                    raise ValueError(f"line {line}: an image is in two groups")
    except (OSError, csv.Error, ValueError) as error:
        raise DataError(f"{path}: cannot be read as a table of groups ({error})") from error
    return groups
