"""A table of pictures and labels beside or above the pictures: how most private data sets are kept.

`labels.csv` has a line a picture, `path,label[,split][,subject]`, in any order, among any other columns, with commas,
tabs, semicolons, bars or blanks between them. The columns go by their usual names (`file`, `emotion`, `set`, `person`,
…) or by `--columns path=COLUMN,label=COLUMN`, COLUMN being a name of the header or a number from 1, by which a table
without a header is read as well. Labels are words, or codes with `--map`. Paths start at the table's folder or at a
folder beside it, and none leads out of there. Of a folder that holds train.csv and test.csv each is its split.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from fercli.datasets.names import printable
from fercli.datasets.readers.base import ANY, ImportOptions, Item, pictures_in
from fercli.datasets.readers.codes import Codes, Labels, code_of, count_codes
from fercli.datasets.readers.columns import Layout, layout_of, rows_of
from fercli.datasets.readers.folders import SPLIT_NAMES
from fercli.datasets.readers.lists import NO_LABEL, OUTSIDE, UNKNOWN_LABEL, within
from fercli.datasets.readers.resolver import PathResolver
from fercli.errors import DataError

ENDINGS = (".csv", ".tsv", ".txt")
FOLDERS = ("labels", "label", "annotations", "annotation", "lists", "metadata", "meta")
"""Sub-folders in which a folder's table may stand."""
TWICE = "listed twice"
CONFLICT = "listed again with another label or split"
UNLISTED = "not in the table"
NO_SPLIT = "no split"
UNKNOWN_SPLIT = "unknown split"
_FEW = 5
_LOOKED_AT = 50


class Table:
    """One table, or one for each split."""

    name = "table"
    title = "a table of pictures and labels"
    wants = (
        "labels.csv with columns path and label, and split and subject if any (--columns where they are called "
        "conflicts), beside its pictures; or a folder with both"
    )
    published: ClassVar[dict[str, int]] = {}

    def recognises(self, source: Path, wanted: ImportOptions = ANY) -> bool:
        """Tell whether the source is a CSV or TSV, or holds a table of the usual columns and pictures that it lists."""
        if source.is_file():
            return source.suffix.lower() in ENDINGS[:2] or not isinstance(layout_of(source, wanted.columns), str)
        for table in _candidates(source):
            layout = layout_of(table, wanted.columns)
            if not isinstance(layout, str) and (layout.header or wanted.columns):
                return _resolver(source, table, layout).hits > 0
        return False

    def read(self, source: Path, wanted: ImportOptions = ANY) -> Iterator[Item]:
        """Yield the rows in order, table by table, then of a folder the pictures that no table names.

        Raises:
            DataError: it has no such columns, no label or split in it is known, or its labels are codes without a map.
        """
        try:
            yield from _Reading(source, self._tables(source, wanted), wanted).items()
        except OSError as error:
            raise DataError(f"{error.filename or source}: {error.strerror or error}") from error

    def files(self, source: Path, wanted: ImportOptions = ANY) -> Iterator[Path]:
        """Yield the pictures that the table lists and that are there, which its own bytes say nothing of."""
        for _, item in _Reading(source, self._tables(source, wanted), wanted).rows():
            if item.file is not None and item.file.is_file():
                yield item.file

    def why_not(self, source: Path, wanted: ImportOptions = ANY) -> str:
        """Return why the one table that the source is or holds cannot be read, or nothing."""
        if source.is_file():
            tables = [source] if source.suffix.lower() in ENDINGS else []
        else:
            tables = [table for table in _candidates(source) if table.suffix.lower() in ENDINGS[:2]]
        why = layout_of(tables[0], wanted.columns) if len(tables) == 1 else ""
        return f"{tables[0].name}: {why}" if why and isinstance(why, str) else ""

    def _tables(self, source: Path, wanted: ImportOptions) -> list[tuple[Path, Layout, str]]:
        """Return (table, columns, split): the one given, or those of the folder."""
        if source.is_file():
            layout = layout_of(source, wanted.columns)
            if isinstance(layout, str):
                pixels = "; a CSV of pixels has the columns emotion, pixels, Usage" if "pixel" in layout.lower() else ""
                raise DataError(f"{source}: {layout}{pixels}")
            return [(source, layout, "")]
        every = [(table, layout_of(table, wanted.columns)) for table in _candidates(source)]
        found = [(table, layout) for table, layout in every if not isinstance(layout, str)]
        if not found:
            why = self.why_not(source, wanted)
            raise DataError(f"{source}: no table of pictures and labels in it{f'; {why}' if why else ''}")
        splits = [_split_by_name(table) for table, _ in found]
        if len(found) == 1:
            splits = [""]
        elif "" in splits or len(set(splits)) < len(splits):
            names = ", ".join(table.name for table, _ in found[:_FEW])
            raise DataError(f"{source}: several tables ({names}); give the one to read in place of the folder")
        return [(table, layout, split) for (table, layout), split in zip(found, splits, strict=True)]


class _Reading:
    """One reading of a source: its tables, looked through once before the first row is handed on."""

    def __init__(self, source: Path, tables: Sequence[tuple[Path, Layout, str]], wanted: ImportOptions) -> None:
        self._source = source
        self._root = source if source.is_dir() else source.parent
        self._wanted = wanted
        self._tables = [(table, layout, split, _resolver(self._root, table, layout)) for table, layout, split in tables]
        for table, _, _, resolver in self._tables:
            if resolver.several:
                names = " and ".join(folder.relative_to(self._root).as_posix() for folder in resolver.several)
                raise DataError(
                    f"{table}: pictures that it lists lie in {names} alike; write the folder into its paths, or give a "
                    "folder that holds the table and one of them"
                )
        self._labels = Labels(Codes("", {}), wanted)
        self._named: frozenset[str] = frozenset()

    def items(self) -> Iterator[Item]:
        """Yield the items; what does not hold of the tables as a whole is refused before the first."""
        first, conflicts = self._look_through()
        for number, (label, item) in enumerate(self.rows()):
            if item.file is not None and not item.problem:
                if item.source in conflicts:
                    item.problem = CONFLICT
                elif first[item.source][0] != number:
                    item.problem, item.counted = TWICE, False
            if item.problem == UNKNOWN_LABEL and label in self._named:
                item.problem = f"{UNKNOWN_LABEL} '{printable(label)[:30]}'"
            yield item
        if self._source.is_dir():
            for file in pictures_in(self._source):
                path = file.relative_to(self._root).as_posix()
                if path not in first:
                    yield Item("", "", file.stem, path, file=file, left_out=UNLISTED, counted=False)

    def _look_through(self) -> tuple[dict[str, tuple[int, tuple[str, str]]], set[str]]:
        """Look at every row once, and refuse labels and splits of which none has a meaning.

        Returns:
            By path the number of its first row with label and split, and the paths that have several of these.
        """
        first: dict[str, tuple[int, tuple[str, str]]] = {}
        pairs: dict[tuple[str, str], tuple[str, str]] = {}  # each once: a million rows have a few
        conflicts: set[str] = set()
        codes, strange, unsplit = Counter[str](), Counter[str](), Counter[str]()
        known, outside = 0, ""
        for number, (label, item) in enumerate(self.rows()):
            if item.file is not None:
                pair = pairs.setdefault((label, item.split), (label, item.split))
                if first.setdefault(item.source, (number, pair))[1] != pair:
                    conflicts.add(item.source)
            elif item.problem == OUTSIDE:
                outside = outside or item.source
            codes.update(count_codes([label]))
            if item.problem == UNKNOWN_LABEL and code_of(label) is None:
                if len(strange) <= _LOOKED_AT:
                    strange[label] += 1
            elif item.problem.startswith(UNKNOWN_SPLIT):
                unsplit[item.problem] += 1
            elif not item.problem:
                known += 1
        place = self._tables[0][0] if len(self._tables) == 1 else self._source
        if outside and not first:
            raise DataError(
                f"{place}: every path in it leads out of its folder ('{printable(outside)[:60]}'); paths start at the "
                "table's folder, or at one beside it"
            )
        self._labels.check(place, codes)
        if not known and (unsplit or strange):
            raise DataError(f"{place}: {_describe_unknown(strange, unsplit)}")
        self._named = frozenset(strange) if len(strange) <= _FEW else frozenset()
        return first, conflicts

    def rows(self) -> Iterator[tuple[str, Item]]:
        """Yield each row's label as it is written, and its item."""
        for table, layout, split, resolver in self._tables:
            for row, (values, why) in enumerate(rows_of(table, layout)):
                item = Item(split, "", f"{row:05d}", table.name, row=row, problem=why)
                if values is None:
                    yield "", item
                    continue
                by_role = {role: values[at].strip() for role, at in layout.positions.items()}
                self._fill(item, by_role, resolver)
                yield by_role["label"], item

    def _fill(self, item: Item, values: Mapping[str, str], resolver: PathResolver) -> None:
        """Put into the item what its row says, or why it cannot be used."""
        item.subject = values.get("subject", "")
        path = within(values["path"])
        if path is None:
            item.problem, item.source = OUTSIDE, values["path"] or item.source
            return
        item.file, item.source = resolver.resolve(path)
        item.name = os.path.splitext(path.rpartition("/")[2])[0]
        item.emotion, item.problem, item.left_out = self._labels.of(values["label"])
        if item.problem and not values["label"]:
            item.problem = NO_LABEL
        elif "split" in values and not item.problem:
            item.split, item.problem = _split_of(values["split"])


def _candidates(source: Path) -> list[Path]:
    """Return the files of a folder that may be tables, in order; those of its folder of labels where it has none."""
    for folder in (source, *(source / name for name in FOLDERS)):
        if not folder.is_dir():
            continue
        files = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in ENDINGS]
        if found := [path for path in files if not path.name.startswith(".") and path.is_file()]:
            return found
    return []


def _split_by_name(table: Path) -> str:
    """Return the split that a table's name tells: val_labels.csv, train.csv."""
    words = table.stem.lower().replace("-", "_").replace(".", "_").split("_")
    found = {SPLIT_NAMES[each] for each in words if each in SPLIT_NAMES}
    return found.pop() if len(found) == 1 else ""


def _resolver(root: Path, table: Path, layout: Layout) -> PathResolver:
    """Return what finds the pictures of a table, by the first paths that it lists."""
    found: list[str] = []
    for values, _ in rows_of(table, layout):
        if values is not None and (path := within(values[layout.positions["path"]])):
            found.append(path)
        if len(found) == _LOOKED_AT:
            break
    return PathResolver(root, table, found, _split_by_name(table))


def _split_of(text: str) -> tuple[str, str]:
    """Return the split that a value names, and why it is a problem."""
    split = SPLIT_NAMES.get(text.strip().lower(), "")
    if split:
        return split, ""
    return "", f"{UNKNOWN_SPLIT} '{printable(text.strip())[:30]}'" if text.strip() else NO_SPLIT


def _describe_unknown(strange: Counter[str], unsplit: Counter[str]) -> str:
    """Return what is wrong with a table none of whose labels, or none of whose splits, is known."""
    if unsplit:
        shown = ", ".join(reason.removeprefix(UNKNOWN_SPLIT).strip() for reason, _ in unsplit.most_common(_FEW))
        return (
            f"no value of the split's column names a split ({shown}), such as train, validation, test; "
            "--columns split=COLUMN names another column, split=- leaves it out"
        )
    words = [label for label, _ in strange.most_common(_FEW)]
    return (
        f"no label in it is an emotion ({', '.join(repr(printable(label)[:30]) for label in words)}); say with "
        f"--map '{printable(words[0])[:30]}=EMOTION,…' what they are, or with --columns label=COLUMN where they stand"
    )
