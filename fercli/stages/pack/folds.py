"""Splits by fold: one fold is held out, all others are train."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fercli.datasets.index import SPLITS, Row
from fercli.errors import DataError, UsageError

LEFT_OUT = "made from an image outside train"


@dataclass(frozen=True)
class FoldSplit:
    """A dataset's rows with the splits that a fold gives them.

    Attributes:
        fold: The fold held out.
        folds: How many there are.
        part: The split that it is: validation, or test where the dataset has no test split of its own.
        validation: The fold that is validation.
        rows: In order of the splits' rank.
        left_out: Made images whose original is held out: they would show it to the training.
        generated: Generated images, which all are in train.
    """

    fold: int
    folds: int
    part: str
    validation: int
    rows: list[Row]
    left_out: list[str] = field(default_factory=list)
    generated: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return what `--json` prints of it."""
        return {"fold": self.fold, "folds": self.folds, "as": self.part, "left_out": len(self.left_out)}


def hold_out(path: Path, rows: Sequence[Row], fold: int) -> FoldSplit:
    """Give a dataset's rows the splits that they have where one fold is held out.

    Where the dataset has a published test split, whose images have no fold, the fold is validation and test stays.
    Where every image has a fold, the fold is test and the next one (after the last, the first) validation. All other
    folds are train. Made images are in train where their original is, and in no split elsewhere.

    Args:
        path: The dataset's, for errors.
        rows: Its labelled rows.
        fold: From 1.

    Raises:
        DataError: an image's fold is no number, or is missing.
        UsageError: there are no folds, not this one, or too few.
    """
    fold_of = {row.path: _number(path, row) for row in rows if row.origin == "real" and row.fold}
    if not fold_of:
        raise UsageError(f"fold: {path} has no folds; import it with --folds 5")
    outside = [row for row in rows if row.origin == "real" and row.path not in fold_of]
    if lost := [row.path for row in outside if row.split != "test"]:
        raise DataError(f"{path}: {len(lost):,} images outside test have no fold, as {lost[0]}; re-import it")
    part, folds = ("validation" if outside else "test"), max(fold_of.values())
    if outside and any(row.split == "test" for row in rows if row.path in fold_of):
        raise DataError(f"{path}: some images of test have a fold and some have none; re-import it")
    if folds < (2 if outside else 3):
        least = "2 folds are needed" if outside else "without a published test split 3 folds are needed, for a train"
        raise UsageError(f"fold: {path} has {folds}; {least}; import it with --folds 5")
    if fold > folds:
        raise UsageError(f"fold: {path} has folds 1 to {folds} (given: {fold})")
    validation = fold if outside else fold % folds + 1
    split_of = {validation: "validation", fold: part}
    if empty := sorted(set(split_of) - set(fold_of.values())):
        raise DataError(f"{path}: fold {empty[0]} has no image; re-import it")
    held = FoldSplit(fold, folds, part, validation, [])
    for row in rows:
        if row.origin == "real":
            own = fold_of.get(row.path)
            held.rows.append(row if own is None else replace(row, split=split_of.get(own, "train")))
        elif _made_for_train(row, fold_of, split_of):
            held.rows.append(replace(row, split="train"))
        else:
            held.left_out.append(row.path)
    held.rows.sort(key=lambda row: SPLITS.index(row.split) if row.split in SPLITS else len(SPLITS))
    generated = sum(row.origin == "generated" for row in held.rows)
    return replace(held, generated=generated)


def _number(path: Path, row: Row) -> int:
    if row.fold.isascii() and row.fold.isdigit() and 1 <= int(row.fold[:9]) < 10**6:
        return int(row.fold)
    raise DataError(f"{path}: the fold of {row.path} is '{row.fold}', not a number from 1; re-import it")


def _made_for_train(row: Row, fold_of: dict[str, int], split_of: dict[int, str]) -> bool:
    """Tell whether a made image is for the training: made to fill train, and of no image that is held out."""
    if row.origin == "generated" and not row.parent:
        return row.split == "train"
    own = fold_of.get(row.parent) or (int(row.fold) if row.fold.isascii() and row.fold.isdigit() else None)
    return own is not None and own not in split_of
