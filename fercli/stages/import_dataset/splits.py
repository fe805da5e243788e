"""Splits and folds: published ones are kept, missing ones are created and reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fercli.datasets.index import UNLABELLED, Row
from fercli.datasets.splitting import SHARES, VALIDATION, assign_folds, assign_splits, groups_of
from fercli.errors import UsageError
from fercli.stages.import_dataset.writing import Writer

PUBLISHED = "as published"
NONE = "none: the images have no labels"


def create_missing_splits(writer: Writer, seed: int) -> str:
    """Split the images that have no split, and take a validation split from train if there is none.

    Persons and equal images stay together. Files are moved, and `writer.rows` is updated.

    Returns:
        A description for messages.
    """
    there = {row.split for row in writer.rows}
    if writer.split:
        return f"all in {writer.split} (--split)"
    if there == {UNLABELLED}:
        return NONE
    if "" in there:
        unsplit = [k for k, row in enumerate(writer.rows) if row.split == ""]
        shares, done = SHARES, "split 80/10/10"
    elif "train" in there and "validation" not in there:
        unsplit = [k for k, row in enumerate(writer.rows) if row.split == "train"]
        shares, done = VALIDATION, "validation taken from train (10 %)"
    else:
        return PUBLISHED
    rows = [writer.rows[k] for k in unsplit]
    emotions, subjects, pictures = _columns(rows)
    for k, split in zip(unsplit, assign_splits(emotions, subjects, pictures, shares, seed), strict=True):
        if writer.rows[k].split != split:
            writer.rows[k] = writer.move(writer.rows[k], split)
    writer.remove_empty()
    return f"{done} by emotion{_together(rows)}"


def with_folds(rows: list[Row], count: int, test_published: bool, seed: int) -> tuple[list[Row], str]:
    """Return the rows with folds 1 to `count` outside a published test split, and a description for messages.

    Raises:
        UsageError: there are fewer persons (or, without persons, fewer distinct images) than folds.
    """
    chosen = [k for k, row in enumerate(rows) if not (test_published and row.split == "test")]
    emotions, subjects, pictures = _columns([rows[k] for k in chosen])
    where = " outside the published test split" if test_published else ""
    groups = len(set(groups_of(subjects, pictures)))
    if groups < count:
        what = "persons, photographs or films, none of which can be divided" if any(subjects) else "distinct images"
        raise UsageError(f"folds {count}: the dataset has {groups} {what}{where}; use at most {groups} folds")
    result = list(rows)
    for k, fold in zip(chosen, assign_folds(emotions, subjects, pictures, count, seed), strict=True):
        result[k] = replace(rows[k], fold=fold)
    held = {(row.fold, row.emotion) for row in result if row.fold}
    lacking = sorted({e for e in emotions for number in range(count) if (str(number + 1), e) not in held})
    note = f"; not every fold has {' and '.join(lacking)}" if lacking else ""
    if count < 3 and not test_published:
        note += "; too few for fer pack --fold, which needs at least one fold each for test, validation and train"
    return result, f"{count} folds{where}{_together([rows[k] for k in chosen])}{note}"


def _columns(rows: Sequence[Row]) -> tuple[list[str], list[str], list[str]]:
    return [row.emotion for row in rows], [row.subject for row in rows], [row.sha256 for row in rows]


def _together(rows: Sequence[Row]) -> str:
    subjects = len({row.subject for row in rows} - {""})
    if subjects == 1:
        return ", one person, photograph or film kept together"
    return f", {subjects:,} persons, photographs or films kept together" if subjects else ""
