"""Splits from folds: one fold is held out, all others are train."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from fercli.datasets.index import SPLITS, Row
from fercli.errors import DataError, UsageError
from fercli.packs.summary import FoldSummary


@dataclass(frozen=True)
class FoldSplit:
    """A dataset's rows with the splits that result from holding out a fold.

    Attributes:
        fold: The fold held out.
        folds: Number of folds.
        part: Split of the held-out fold: validation, or test if the dataset has no test split of its own.
        validation: The fold used for validation.
        rows: Ordered by split.
        left_out: Derived images whose original is held out; training on them would leak it.
        generated: Number of generated images, all of them in train.
    """

    fold: int
    folds: int
    part: str
    validation: int
    rows: list[Row]
    left_out: list[str] = field(default_factory=list)
    generated: int = 0

    def summary(self) -> FoldSummary:
        """Return the summary that `--json` prints."""
        return FoldSummary(fold=self.fold, folds=self.folds, part=self.part, left_out=len(self.left_out))


def hold_out(path: Path, rows: Sequence[Row], fold: int) -> FoldSplit:
    """Assign splits to a dataset's rows with one fold held out.

    If the dataset has a published test split, whose images have no fold, the fold becomes validation and test is kept.
    If every image has a fold, the fold becomes test, and the next one (cyclically) validation. All other folds are
    train. Derived images are kept only if their original is in train.

    Args:
        path: Path of the dataset, for messages.
        rows: Its labelled rows.
        fold: Number of the fold, from 1.

    Raises:
        DataError: an image's fold is invalid or missing.
        UsageError: there are no folds, too few, or not this one.
    """
    fold_of = {row.path: _fold_number(path, row) for row in rows if row.origin == "real" and row.fold}
    if not fold_of:
        raise UsageError(f"fold: {path} has no folds; import it with --folds 5")
    outside = [row for row in rows if row.origin == "real" and row.path not in fold_of]
    if lost := [row.path for row in outside if row.split != "test"]:
        raise DataError(f"{path}: {len(lost):,} images outside test have no fold, such as {lost[0]}; re-import it")
    part, folds = ("validation" if outside else "test"), max(fold_of.values())
    if outside and any(row.split == "test" for row in rows if row.path in fold_of):
        raise DataError(f"{path}: only some test images have a fold; re-import it")
    if folds < (2 if outside else 3):
        least = "at least 2 folds are needed" if outside else "without a published test split, at least 3 are needed"
        raise UsageError(f"fold: {path} has {folds}; {least}; import it with --folds 5")
    if fold > folds:
        raise UsageError(f"fold: {path} has folds 1 to {folds} (given: {fold})")
    validation = fold if outside else fold % folds + 1
    split_of = {validation: "validation", fold: part}
    if empty := sorted(set(split_of) - set(fold_of.values())):
        raise DataError(f"{path}: fold {empty[0]} has no images; re-import it")
    held = FoldSplit(fold, folds, part, validation, [])
    for row in rows:
        if row.origin == "real":
            own = fold_of.get(row.path)
            held.rows.append(row if own is None else replace(row, split=split_of.get(own, "train")))
        elif _belongs_to_train(row, fold_of, split_of):
            held.rows.append(replace(row, split="train"))
        else:
            held.left_out.append(row.path)
    held.rows.sort(key=lambda row: SPLITS.index(row.split) if row.split in SPLITS else len(SPLITS))
    generated = sum(row.origin == "generated" for row in held.rows)
    return replace(held, generated=generated)


def _fold_number(path: Path, row: Row) -> int:
    if (number := row.fold_number) and number < 10**6:
        return number
    raise DataError(f"{path}: the fold of {row.path} is '{row.fold}', not a number from 1; re-import it")


def _belongs_to_train(row: Row, fold_of: dict[str, int], split_of: dict[int, str]) -> bool:
    """Return whether a derived or generated image belongs to train, and does not derive from a held-out image."""
    if row.origin == "generated" and not row.parent:
        return row.split == "train"
    own = fold_of.get(row.parent) or row.fold_number
    return own is not None and own not in split_of
