"""Published datasets as targets: their counts, and the format of their images."""

from __future__ import annotations

from dataclasses import dataclass

from fercli.datasets.index import SPLITS, Counts
from fercli.emotions import EMOTIONS
from fercli.images import Color, Pixels, as_color, fit_square


@dataclass(frozen=True)
class Target:
    """One published dataset.

    Attributes:
        name: Its name in `--target`.
        title: Its name in messages.
        size: Side of its images in pixels.
        color: Their colour.
        counts: Number of its images by split and emotion.
    """

    name: str
    title: str
    size: int
    color: Color
    counts: Counts

    def fit(self, pixels: Pixels) -> Pixels:
        """Return an image in this format; an image that already has it is returned unchanged, as the same object."""
        return fit_square(as_color(pixels, self.color), self.size)


def _counts(*splits: tuple[int, ...]) -> Counts:
    return {split: dict(zip(EMOTIONS, counts, strict=True)) for split, counts in zip(SPLITS, splits, strict=True)}


# Goodfellow et al. 2013, counted in the challenge's own file. Tables in papers contain slips: ResEmoteNet's
# Table II permutes the test column, ResNet50-CBAM's Table II calls 7,178 test images 3,589.
_FER2013 = _counts(
    (3995, 436, 4097, 7215, 4830, 3171, 4965),
    (467, 56, 496, 895, 653, 415, 607),
    (491, 55, 528, 879, 594, 416, 626),
)

TARGETS: dict[str, Target] = {
    target.name: target for target in (Target("fer2013", "FER2013", size=48, color="gray", counts=_FER2013),)
}
"""The targets by name."""
DEFAULT = "fer2013"
"""The target if neither a dataset nor a target is given."""
