"""Splits and folds: the published ones kept, what is missing cut, and said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fercli.datasets.index import UNLABELLED, Row
from fercli.datasets.splitting import SHARES, VALIDATION, cut, cut_folds, groups_of
from fercli.errors import UsageError
from fercli.stages.import_dataset.writing import Writer

PUBLISHED = "as published"
NONE = "none: the images have no labels"


def cut_missing(writer: Writer, seed: int) -> str:
    """Cut the splits that the source leaves open, and validation from train where it has none.

    Files move to their places, persons and equal pictures stay together. `writer.rows` is replaced.

    Returns:
        What was done, for people.
    """
    there = {row.split for row in writer.rows}
    if writer.split:
        return f"all in {writer.split}, as --split says"
    if there == {UNLABELLED}:
        return NONE
    if "" in there:
        open_ = [k for k, row in enumerate(writer.rows) if row.split == ""]
        shares, done = SHARES, "cut 80/10/10"
    elif "train" in there and "validation" not in there:
        open_ = [k for k, row in enumerate(writer.rows) if row.split == "train"]
        shares, done = VALIDATION, "validation cut from train (10 %)"
    else:
        return PUBLISHED
    rows = [writer.rows[k] for k in open_]
    emotions, subjects, pictures = _columns(rows)
    for k, split in zip(open_, cut(emotions, subjects, pictures, shares, seed), strict=True):
        if writer.rows[k].split != split:
            writer.rows[k] = writer.move(writer.rows[k], split)
    writer.remove_empty()
    return f"{done} by emotion{_together(rows)}"


def with_folds(rows: list[Row], count: int, test_published: bool, seed: int) -> tuple[list[Row], str]:
    """Return the rows with folds 1 to `count` outside a published test split, and what was done, for people.

    Raises:
        UsageError: there are fewer persons, or without persons fewer distinct pictures, than folds.
    """
    chosen = [k for k, row in enumerate(rows) if not (test_published and row.split == "test")]
    emotions, subjects, pictures = _columns([rows[k] for k in chosen])
    where = " outside the published test split" if test_published else ""
    groups = len(set(groups_of(subjects, pictures)))
    if groups < count:
        what = "persons, photographs or films, each in one fold alone" if any(subjects) else "distinct pictures"
        raise UsageError(f"folds {count}: the data set has {groups} {what}{where}; take at most {groups}")
    result = list(rows)
    for k, fold in zip(chosen, cut_folds(emotions, subjects, pictures, count, seed), strict=True):
        result[k] = replace(rows[k], fold=fold)
    held = {(row.fold, row.emotion) for row in result if row.fold}
    lacking = sorted({e for e in emotions for number in range(count) if (str(number + 1), e) not in held})
    told = f"; not every fold has {' and '.join(lacking)}" if lacking else ""
    if count < 3 and not test_published:
        told += "; too few for fer pack --fold, which needs a fold each for test, validation and train"
    return result, f"{count} folds{where}{_together([rows[k] for k in chosen])}{told}"


def _columns(rows: Sequence[Row]) -> tuple[list[str], list[str], list[str]]:
    return [row.emotion for row in rows], [row.subject for row in rows], [row.sha256 for row in rows]


def _together(rows: Sequence[Row]) -> str:
    subjects = len({row.subject for row in rows} - {""})
    if subjects == 1:
        return ", one person, photograph or film kept whole"
    return f", {subjects:,} persons, photographs or films kept whole" if subjects else ""
