"""The number of images in a source, determined in advance."""

from pathlib import Path

import pytest

import fercli
from fercli.datasets.readers import find_reader
from fercli.progress import Progress
from fercli.stages.import_dataset.totals import total_of
from tests.helpers.datasets import face, small_csv, write_tree


class Counting(Progress):
    """Records the total and the progress of each task."""

    def __init__(self) -> None:
        self.totals: dict[str, int | None] = {}
        self.done: dict[str, int] = {}
        self.label = ""

    def start(self, label: str, total: int | None = None) -> None:
        self.label, self.totals[label], self.done[label] = label, total, 0

    def advance(self, count: int = 1, note: str = "") -> None:
        self.done[self.label] += count


@pytest.mark.parametrize("layout", ["table", "emotions", "splits"])
def test_progress_ends_at_the_total(layout: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    if layout == "table":
        source = small_csv(tmp_path / "a.csv", each=1)
    else:
        splits = ("train/", "test/") if layout == "splits" else ("",)
        places = [f"{split}{emotion}/{n}.png" for split in splits for emotion in ("sad", "happy") for n in range(3)]
        write_tree(source, {place: face(number) for number, place in enumerate(places)})
        (source / "notes.txt").write_text("no picture")
    counting = Counting()
    fercli.import_dataset(source, tmp_path / "out", progress=counting)
    total = counting.totals["importing"]
    assert total == {"table": 21, "emotions": 6, "splits": 12}[layout]
    assert counting.done["importing"] == total


def test_last_line_without_a_newline_counts(tmp_path: Path) -> None:
    table = small_csv(tmp_path / "a.csv", each=1)
    table.write_text(table.read_text().rstrip("\n"))
    assert total_of(table, find_reader(table)) == 21
