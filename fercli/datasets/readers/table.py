"""A table of images and labels beside or above the images, as most private datasets are kept.

`labels.csv` has one line per image, `path,label[,split][,subject]`, with the columns in any order, among any others,
separated by commas, tabs, semicolons, bars or spaces. Columns are found by their common names (`file`, `emotion`,
`set`, `person`, …) or given as `--columns path=COLUMN,label=COLUMN`, where COLUMN is a name in the header or a number
from 1 (which also works without a header). Labels are names, or codes with `--map`. Paths are relative to the table's
folder or one beside it, and must not leave it. In a folder with train.csv and test.csv each table is one split.
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

SUFFIXES = (".csv", ".tsv", ".txt")
FOLDERS = ("labels", "label", "annotations", "annotation", "lists", "metadata", "meta")
"""Sub-folders that may contain the table."""
TWICE = "listed twice"
CONFLICT = "listed again with another label or split"
UNLISTED = "not in the table"
NO_SPLIT = "no split"
UNKNOWN_SPLIT = "unknown split"
_FEW = 5
_SAMPLE = 50


class Table:
    """A single table, or one per split."""

    name = "table"
    title = "a table of images and labels"
    expects = (
        "labels.csv with columns path and label, optionally split and subject (--columns selects others), beside its "
        "images; or a folder with both"
    )
    published: ClassVar[dict[str, int]] = {}

    def matches(self, source: Path, options: ImportOptions = ANY) -> bool:
        """Return whether the source is a CSV or TSV, or contains a table with known columns and its images."""
        if source.is_file():
            return source.suffix.lower() in SUFFIXES[:2] or not isinstance(layout_of(source, options.columns), str)
        for table in _candidates(source):
            layout = layout_of(table, options.columns)
            if not isinstance(layout, str) and (layout.header or options.columns):
                return _resolver(source, table, layout).hits > 0
        return False

    def read(self, source: Path, options: ImportOptions = ANY) -> Iterator[Item]:
        """Yield the rows in order, table by table, then the folder's images that no table lists.

        Raises:
            DataError: columns are missing, no label or split is known, or the labels are codes without a map.
        """
        try:
            yield from _Reading(source, self._tables(source, options), options).items()
        except OSError as error:
            raise DataError(f"{error.filename or source}: {error.strerror or error}") from error

    def files(self, source: Path, options: ImportOptions = ANY) -> Iterator[Path]:
        """Yield the existing images listed in the table, which the table's own digest does not cover."""
        for _, item in _Reading(source, self._tables(source, options), options).rows():
            if item.file is not None and item.file.is_file():
                yield item.file

    def why_not(self, source: Path, options: ImportOptions = ANY) -> str:
        """Return why the source's only table cannot be read, or an empty string."""
        if source.is_file():
            tables = [source] if source.suffix.lower() in SUFFIXES else []
        else:
            tables = [table for table in _candidates(source) if table.suffix.lower() in SUFFIXES[:2]]
        why = layout_of(tables[0], options.columns) if len(tables) == 1 else ""
        return f"{tables[0].name}: {why}" if why and isinstance(why, str) else ""

    def _tables(self, source: Path, options: ImportOptions) -> list[tuple[Path, Layout, str]]:
        """Return (table, format, split) for the given table, or for each table in the folder."""
        if source.is_file():
            layout = layout_of(source, options.columns)
            if isinstance(layout, str):
                pixels = "; a CSV of pixels has the columns emotion, pixels, Usage" if "pixel" in layout.lower() else ""
                raise DataError(f"{source}: {layout}{pixels}")
            return [(source, layout, "")]
        every = [(table, layout_of(table, options.columns)) for table in _candidates(source)]
        found = [(table, layout) for table, layout in every if not isinstance(layout, str)]
        if not found:
            why = self.why_not(source, options)
            raise DataError(f"{source}: no table of images and labels found{f'; {why}' if why else ''}")
        splits = [_split_by_name(table) for table, _ in found]
        if len(found) == 1:
            splits = [""]
        elif "" in splits or len(set(splits)) < len(splits):
            names = ", ".join(table.name for table, _ in found[:_FEW])
            raise DataError(f"{source}: several tables ({names}); give one of them instead of the folder")
        return [(table, layout, split) for (table, layout), split in zip(found, splits, strict=True)]


class _Reading:
    """Reads a source's tables, after one pass over all rows to validate them."""

    def __init__(self, source: Path, tables: Sequence[tuple[Path, Layout, str]], options: ImportOptions) -> None:
        self._source = source
        self._root = source if source.is_dir() else source.parent
        self._options = options
        self._tables = [(table, layout, split, _resolver(self._root, table, layout)) for table, layout, split in tables]
        for table, _, _, resolver in self._tables:
            if resolver.several:
                names = " and ".join(folder.relative_to(self._root).as_posix() for folder in resolver.several)
                raise DataError(
                    f"{table}: its images exist in both {names}; include the folder in the paths, or give a folder "
                    "that contains the table and one of them"
                )
        self._labels = Labels(Codes("", {}), options)
        self._named: frozenset[str] = frozenset()

    def items(self) -> Iterator[Item]:
        """Yield the items, after validating the tables as a whole."""
        first, conflicts = self._validate()
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

    def _validate(self) -> tuple[dict[str, tuple[int, tuple[str, str]]], set[str]]:
        """Check every row once, and refuse tables whose labels or splits are all unknown.

        Returns:
            The first row's number, label and split for each path, and the paths with conflicting rows.
        """
        first: dict[str, tuple[int, tuple[str, str]]] = {}
        pairs: dict[tuple[str, str], tuple[str, str]] = {}  # interned: a million rows share a few
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
                if len(strange) <= _SAMPLE:
                    strange[label] += 1
            elif item.problem.startswith(UNKNOWN_SPLIT):
                unsplit[item.problem] += 1
            elif not item.problem:
                known += 1
        place = self._tables[0][0] if len(self._tables) == 1 else self._source
        if outside and not first:
            raise DataError(
                f"{place}: every path leads outside its folder ('{printable(outside)[:60]}'); paths are relative to "
                "the table's folder, or one beside it"
            )
        self._labels.check(place, codes)
        if not known and (unsplit or strange):
            raise DataError(f"{place}: {_describe_unknown(strange, unsplit)}")
        self._named = frozenset(strange) if len(strange) <= _FEW else frozenset()
        return first, conflicts

    def rows(self) -> Iterator[tuple[str, Item]]:
        """Yield each row's raw label and its item."""
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
        """Fill in the item from its row, or set its problem."""
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
    """Return the possible tables of a folder in order; if there are none, those of its labels folder."""
    for folder in (source, *(source / name for name in FOLDERS)):
        if not folder.is_dir():
            continue
        files = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES]
        if found := [path for path in files if not path.name.startswith(".") and path.is_file()]:
            return found
    return []


def _split_by_name(table: Path) -> str:
    """Return the split named by a table's file name: val_labels.csv, train.csv."""
    words = table.stem.lower().replace("-", "_").replace(".", "_").split("_")
    found = {SPLIT_NAMES[each] for each in words if each in SPLIT_NAMES}
    return found.pop() if len(found) == 1 else ""


def _resolver(root: Path, table: Path, layout: Layout) -> PathResolver:
    """Return the resolver for a table, based on the first paths it lists."""
    found: list[str] = []
    for values, _ in rows_of(table, layout):
        if values is not None and (path := within(values[layout.positions["path"]])):
            found.append(path)
        if len(found) == _SAMPLE:
            break
    return PathResolver(root, table, found, _split_by_name(table))


def _split_of(text: str) -> tuple[str, str]:
    """Return the split for a value, and the problem if there is none."""
    split = SPLIT_NAMES.get(text.strip().lower(), "")
    if split:
        return split, ""
    return "", f"{UNKNOWN_SPLIT} '{printable(text.strip())[:30]}'" if text.strip() else NO_SPLIT


def _describe_unknown(strange: Counter[str], unsplit: Counter[str]) -> str:
    """Describe a table whose labels or splits are all unknown."""
    if unsplit:
        shown = ", ".join(reason.removeprefix(UNKNOWN_SPLIT).strip() for reason, _ in unsplit.most_common(_FEW))
        return (
            f"no value in the split column is a split such as train, validation or test ({shown}); "
            "select another column with --columns split=COLUMN, or ignore it with split=-"
        )
    words = [label for label, _ in strange.most_common(_FEW)]
    return (
        f"no label is an emotion ({', '.join(repr(printable(label)[:30]) for label in words)}); map them with "
        f"--map '{printable(words[0])[:30]}=EMOTION,…', or select another column with --columns label=COLUMN"
    )
