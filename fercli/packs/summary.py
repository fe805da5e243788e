"""Summary of a pack."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from fercli.artifacts.summary import Summary


class FoldSummary(Summary):
    """The held-out fold, the number of folds, its split (`as`), and the number of derived images left out."""

    fold: int
    folds: int
    part: str = Field(validation_alias="as", serialization_alias="as")
    left_out: int


class SoftTargetsSummary(Summary):
    """The train images whose targets contain out-of-fold predictions, and the label's share in these targets.

    `agreement` is the share of these images whose label is the prediction.
    """

    images: int
    share: float
    agreement: float


class StorageSummary(Summary):
    """The files with the images of a large pack: their number, how they store an image, and their size.

    Within each split the images are `order`: shuffled. `quality` is that of JPEG, which is lossy; otherwise it is None.
    """

    shards: int
    codec: Literal["raw", "jpeg"]
    bytes: int
    order: Literal["shuffled"]
    quality: int | None = None


class PackSummary(Summary):
    """The output of `fer pack --json`: images by split, their format, and the number of pairs that leak between splits.

    `votes` and `affect` count the images with votes, and with valence and arousal, by split, if any. `fold` is None
    unless a fold is held out, `soft_targets` unless predictions are mixed into the targets, `storage` unless the images
    are in shards.
    """

    images: dict[str, int]
    emotions: list[str]
    size: int
    color: Literal["gray", "rgb"]
    leaks: int
    votes: dict[str, int] | None = None
    affect: dict[str, int] | None = None
    fold: FoldSummary | None = None
    soft_targets: SoftTargetsSummary | None = None
    storage: StorageSummary | None = None
