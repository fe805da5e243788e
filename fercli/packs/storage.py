"""How a pack stores its images: in one file, or in shards, as pixels or as JPEG."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from fercli.errors import UsageError

if TYPE_CHECKING:
    from fercli.images import Color

Codec = Literal["raw", "jpeg"]

MAX_SHARDS = 10_000
WHOLE = 4_000_000_000
"""Pixels in bytes up to which a pack is a single file, unless something else is asked for."""
SHARD = 1_000_000_000
"""Pixels of a shard in bytes, unless their number is given."""


@dataclass(frozen=True)
class Storage:
    """How a pack stores its images.

    Attributes:
        shards: Number of shards; 0: none, a single file.
        codec: raw or jpeg.
        quality: Of JPEG, 1 to 100.
    """

    shards: int = 0
    codec: Codec = "raw"
    quality: int = 95


def plan_storage(images: int, size: int, color: Color, shards: int | None, codec: Codec, quality: int) -> Storage:
    """Return how a pack stores its images; the number of shards, if it is None, is chosen by the bytes of the pixels.

    Raises:
        UsageError: there are more shards than images, or JPEG is to be stored without a shard.
    """
    pixels = images * size * size * (1 if color == "gray" else 3)
    if shards is None:
        shards = 0 if pixels <= WHOLE and codec == "raw" else min(max(1, -(-pixels // SHARD)), MAX_SHARDS)
    if not shards and codec != "raw":
        raise UsageError("shards: JPEG is stored in shards; set shards to 1 or more, or codec to raw")
    if shards > images:
        raise UsageError(f"shards: {shards:,} shards for {images:,} images; set fewer")
    return Storage(shards, codec, quality)
