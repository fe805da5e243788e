"""Images of more than 8 bits: determining the range of their values, and converting them to 8 bits.

The scale depends only on the image's own file, never on other images.
"""

from __future__ import annotations

import re
import sys
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from fercli.errors import ImageError

_BITS_PER_SAMPLE, _MAX_SAMPLE_VALUE = 258, 281
_DECLARED_MAXIMA = frozenset(2**bits - 1 for bits in range(9, 16))
_MAX_UINT16, _UNIT_RANGE_LIMIT = 65_535, 2.0


def scale_to_uint8(array: npt.NDArray[np.generic], top: int = 0, name: str = "image") -> npt.NDArray[np.uint8]:
    """Scale grey values of more than 8 bits to 0..255, by the image's own largest value.

    - Values up to 255 are 8-bit values in a larger type and are kept: read as 16 bits, such an image would only have
      the values 0 and 1.
    - Floats below 2 are taken to be in 0..1 (resampling may overshoot a little) and are multiplied by 255.
    - Values up to `top`, the maximum that the file declares, are scaled so that `top` becomes 255.
    - Values up to 65,535 are 16-bit values, and 65,535 becomes 255. A dark image stays dark.
    - Larger values, and a range of -1..1, are rejected, since the white point is unknown.

    Negative values and NaN become 0, infinity becomes 255. PNG's sBIT chunk is ignored: by the PNG specification
    samples are scaled to all 16 bits regardless of it.

    Args:
        array: (H, W), integers or floats.
        top: 2^n - 1 if the file declares values of n bits (9 to 15), else 0.
        name: Name of the image in error messages.

    Raises:
        ImageError: the range of the values cannot be determined.
    """
    values = array.astype(np.float64)
    finite = values[np.isfinite(values)] if array.dtype.kind == "f" else values
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    unit = array.dtype.kind == "f" and high < _UNIT_RANGE_LIMIT
    if high > _MAX_UINT16 or (unit and low < -_UNIT_RANGE_LIMIT / 4):
        raise ImageError(
            "unknown value range", f"{name}: values from {low:g} to {high:g}; expected 0..1, 0..255 or 0..65535"
        )
    values = np.nan_to_num(values, posinf=_MAX_UINT16, neginf=0.0)
    if unit:
        values = values * 255.0
    elif high > 255:
        values = values * (255.0 / top) if high <= top else values / 257.0
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def declared_max(image: Any) -> int:
    """Return the maximum sample value that a TIFF declares, if that is one of 9 to 15 bits; else 0.

    Read from BitsPerSample, or from MaxSampleValue if that is 2^n - 1: other values are just the brightest sample of
    this image, which must not affect the scale.
    """
    tags = getattr(image, "tag_v2", {})
    for tag in (_BITS_PER_SAMPLE, _MAX_SAMPLE_VALUE):
        value = tags.get(tag, 0)
        value = value[0] if isinstance(value, tuple) and value else value
        if isinstance(value, int):
            top = 2 ** min(value, 32) - 1 if tag == _BITS_PER_SAMPLE else value
            if top in _DECLARED_MAXIMA:
                return top
    return 0


def has_low_bytes(image: Image.Image, tiles: list[Any]) -> bool:
    """Return whether a loaded image is 16-bit colour with all values in 0..255.

    Pillow returns only the high bytes of 16-bit colour. If these are all 0, the image is in the low bytes.

    Args:
        image: The loaded image.
        tiles: Its `tile` attribute before loading.
    """
    if not (tiles and all(_is_16_bit(tile.args) for tile in tiles)):
        return False
    return not any(band.getextrema()[1] for band in image.split()[:3])


def low_bytes(tiles: list[Any]) -> list[Any]:
    """Return tiles that make Pillow decode the low bytes, by swapping the declared byte order."""
    return [tile._replace(args=_swap_byte_order(tile.args)) for tile in tiles]


def _is_16_bit(args: Any) -> bool:
    raw = args[0] if isinstance(args, tuple) and args else args
    return isinstance(raw, str) and re.fullmatch(r"RGB[AXa]?;16[BLN]", raw) is not None


def _swap_byte_order(args: Any) -> Any:
    raw = args[0] if isinstance(args, tuple) else args
    native = "L" if sys.byteorder == "little" else "B"
    order = native if raw[-1] == "N" else raw[-1]
    other = raw[:-1] + ("B" if order == "L" else "L")
    return (other, *args[1:]) if isinstance(args, tuple) else other
