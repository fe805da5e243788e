"""What pack reports of a pack."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from fercli.artifacts.summary import Summary


class FoldSummary(Summary):
    """The fold that is held out, of how many, as which split (`as`), and the images left out with it."""

    fold: int
    folds: int
    part: str = Field(alias="as")
    left_out: int


class PackSummary(Summary):
    """What `fer pack --json` prints: images by split, their form, and the pairs of equal images in two splits.

    `votes` counts the images with votes by split, where there are any; `fold` is None where none is held out.
    """

    images: dict[str, int]
    emotions: list[str]
    size: int
    color: Literal["gray", "rgb"]
    leaks: int
    votes: dict[str, int] | None = None
    fold: FoldSummary | None = None
