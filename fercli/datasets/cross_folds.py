"""The folds of a cross-validation: made from a dataset's images alone, so that every model gets the same ones.

Only real images are assigned to folds. Images of one person, of one photograph or film, and with equal pixels are one
group, which is never divided; an augmented or generated image follows its parent, and is used for training only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from fercli.artifacts.digests import digest_json
from fercli.datasets.duplicates import ancestors
from fercli.datasets.index import SPLITS, Row
from fercli.datasets.splitting import balanced, groups_of, round_robin, stratified
from fercli.errors import UsageError

_VALIDATION = "validation"


@dataclass(frozen=True)
class CrossFolds:
    """The folds of each repeat.

    Attributes:
        rows: The real images that are assigned to folds, (N,).
        groups: Group of each image, (N,).
        folds: Fold of each image, from 1, by repeat: (R, N).
        imported: Whether those of the first repeat are the dataset's own (`fer import --folds`).
        divided: Number of groups that the dataset's own folds divide, for which reason they are not used.
    """

    rows: list[Row]
    groups: list[str]
    folds: list[list[int]]
    imported: bool = False
    divided: int = 0


@dataclass(frozen=True)
class HeldOut:
    """A dataset's rows with one fold held out as test.

    Attributes:
        rows: Ordered by split: train, validation, test.
        left_out: Paths of derived images whose original is not in train.
        generated: Number of generated images without a parent, all of them in train.
    """

    rows: list[Row]
    left_out: list[str] = field(default_factory=list)
    generated: int = 0


def cross_folds(
    rows: Sequence[Row], splits: Sequence[str], *, folds: int, repeats: int, seed: int, stratify: bool
) -> CrossFolds:
    """Assign the real images of some splits to folds, once for each repeat.

    The folds depend on these images (their pixels, emotions and groups, in order), the number of folds, the seed and
    the repeat. A balanced copy of a dataset therefore has the same folds as the dataset. With the seed 0, a dataset
    imported with as many folds keeps its own in the first repeat.

    Args:
        rows: All labelled rows of the dataset.
        splits: The splits to use.
        folds: Number of folds, at least 2.
        repeats: Number of repeats, each with other folds.
        seed: Seed of the folds.
        stratify: Distribute each emotion over the folds as equally as the groups allow.

    Raises:
        UsageError: there are more folds than groups or, if stratified, than images of an emotion.
    """
    chosen = [row for row in rows if row.origin == "real" and row.split in splits]
    groups = _groups(chosen)
    _check_counts(chosen, groups, splits, folds, stratify)
    own, divided = _own_folds(chosen, groups, folds) if seed == 0 else (None, 0)
    found = []
    for repeat in range(1, repeats + 1):
        if repeat == 1 and own is not None:
            found.append(own)
        else:
            found.append(_assign(chosen, groups, folds, _seed(chosen, seed, "folds", repeat), stratify))
    return CrossFolds(chosen, groups, found, own is not None, divided)


def hold_out_fold(
    rows: Sequence[Row], cross: CrossFolds, repeat: int, fold: int, *, validation: float, seed: int, stratify: bool
) -> HeldOut:
    """Return the rows with a fold as test, a part of the other folds as validation, and the rest as train.

    Derived images are kept, in train, if the original they were made from is in train; generated images without a
    parent if they are in train already.

    Args:
        rows: All labelled rows of the dataset.
        cross: Its folds.
        repeat: The repeat, from 1.
        fold: The fold, from 1.
        validation: Share of the images outside the fold that become validation.
        seed: Seed of the folds.
        stratify: Distribute each emotion equally.

    Raises:
        UsageError: no image is left for validation or train.
    """
    numbers = [i for i, own in enumerate(cross.folds[repeat - 1]) if own != fold]
    groups = [cross.groups[i] for i in numbers]
    emotions = [cross.rows[i].emotion if stratify else "" for i in numbers]
    shares = {"train": 1 - validation, _VALIDATION: validation}
    share_out = balanced if _has_persons([cross.rows[i] for i in numbers], groups) else stratified
    number = _seed(cross.rows, seed, "validation", repeat, fold)
    found = share_out(emotions, groups=groups, shares=shares, seed=number)
    for split in shares:
        if split not in found:
            raise UsageError(
                f"validation: {validation:g} of the {len(numbers):,} images outside a fold leaves none for {split}; "
                "use fewer folds, or another share"
            )
    split_of = {row.path: "test" for row in cross.rows}
    split_of.update((cross.rows[i].path, split) for i, split in zip(numbers, found, strict=True))
    return _with_splits(rows, split_of)


def _with_splits(rows: Sequence[Row], split_of: dict[str, str]) -> HeldOut:
    lines = ancestors(rows)
    kept: list[Row] = []
    left_out: list[str] = []
    generated = 0
    for i, row in enumerate(rows):
        if row.origin == "real":
            if row.path in split_of:
                kept.append(replace(row, split=split_of[row.path]))
            continue
        parentless = row.origin == "generated" and not row.parent
        original = rows[lines[i][-1]] if i in lines else None
        if parentless and row.split == "train":
            kept.append(row)
            generated += 1
        elif original is not None and split_of.get(original.path) == "train":
            kept.append(replace(row, split="train"))
        elif not parentless:
            left_out.append(row.path)
    kept.sort(key=lambda row: SPLITS.index(row.split))
    return HeldOut(kept, left_out, generated)


def _groups(rows: Sequence[Row]) -> list[str]:
    subjects, pictures = [row.subject for row in rows], [row.sha256 for row in rows]
    return groups_of(subjects, pictures, [row.photograph for row in rows])


def _has_persons(rows: Sequence[Row], groups: Sequence[str]) -> bool:
    """Return whether any group has several pictures, so that a group may have several emotions."""
    return len({row.sha256 for row in rows}) > len(set(groups))


def _assign(rows: Sequence[Row], groups: list[str], folds: int, seed: int, stratify: bool) -> list[int]:
    """Return the fold of each image, from 1."""
    emotions = [row.emotion if stratify else "" for row in rows]
    if _has_persons(rows, groups):
        shares = {str(number + 1): 1 / folds for number in range(folds)}
        found = balanced(emotions, groups=groups, shares=shares, seed=seed)
    else:
        found = round_robin(emotions, groups=groups, count=folds, seed=seed)
    return [int(fold) for fold in found]


def _seed(rows: Sequence[Row], *parts: int | str) -> int:
    """Return a seed from the images and what is drawn for them: never from a model or its training."""
    images = [[row.sha256, row.emotion, row.subject, row.photograph] for row in rows]
    return int(digest_json([digest_json(images), *parts])[:15], 16)


def _own_folds(rows: Sequence[Row], groups: Sequence[str], folds: int) -> tuple[list[int] | None, int]:
    """Return the dataset's own folds, if there are as many; and the number of groups that they divide."""
    own = [row.fold_number or 0 for row in rows]
    if set(own) != set(range(1, folds + 1)):
        return None, 0
    of_group: dict[str, set[int]] = {}
    for group, fold in zip(groups, own, strict=True):
        of_group.setdefault(group, set()).add(fold)
    divided = sum(len(found) > 1 for found in of_group.values())
    return (None, divided) if divided else (own, 0)


def _check_counts(
    rows: Sequence[Row], groups: Sequence[str], splits: Sequence[str], folds: int, stratify: bool
) -> None:
    where = " and ".join(splits)
    if not rows:
        raise UsageError(f"splits: the dataset has no images in {where}")
    if (number := len(set(groups))) < folds:
        what = "persons or photographs, none of which can be divided" if _has_persons(rows, groups) else "images"
        raise UsageError(f"folds: {folds} are more than the {number} distinct {what}, in {where}; use fewer")
    emotion, count = min(Counter(row.emotion for row in rows).items(), key=lambda item: (item[1], item[0]))
    if stratify and count < folds:
        raise UsageError(
            f"folds: {folds} are more than the {count} image{'s' if count > 1 else ''} of {emotion} in {where}; use "
            f"{f'at most {count}' if count > 1 else 'another dataset'}, or --no-stratify"
        )
