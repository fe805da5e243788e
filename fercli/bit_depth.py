"""Pictures of more than 8 bits: which range their values are in, and how they come to 8 bits.

A picture is scaled by what its own file says, never by its neighbours, and alike every time.
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


def scale_to_uint8(array: npt.NDArray[np.generic], top: int = 0, name: str = "picture") -> npt.NDArray[np.uint8]:
    """Bring grey values of more than 8 bits to 0..255, by the one picture's own largest value.

    - Up to 255 they are 8-bit values in a larger type, and stay: as 16 bits such a picture would have no value but 0
      and 1.
    - Floats below 2 are of 0..1 (resampling leaves some a little beyond), and are multiplied by 255.
    - Up to `top`, the largest value that the file says there can be, `top` becomes 255.
    - Up to 65,535 they are 16-bit ones, and 65,535 becomes 255. A dark picture stays dark.
    - Beyond that, or of -1..1, nobody can tell what is white: refused.

    What lies below 0 becomes 0, what is no number 0, infinity 255. PNG's sBIT is not asked: by PNG's specification the
    samples are scaled to all 16 bits whatever it says.

    Args:
        array: (H, W), whole numbers or floats.
        top: 2^n - 1 where the file says that its values have n bits, n from 9 to 15; else 0.
        name: What the error calls the picture.

    Raises:
        ImageError: nobody can tell the range of the values.
    """
    values = array.astype(np.float64)
    finite = values[np.isfinite(values)] if array.dtype.kind == "f" else values
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    unit = array.dtype.kind == "f" and high < _UNIT_RANGE_LIMIT
    if high > _MAX_UINT16 or (unit and low < -_UNIT_RANGE_LIMIT / 4):
        raise ImageError(
            "values of no known range", f"{name}: values from {low:g} to {high:g}; wanted are 0..1, 0..255 or 0..65535"
        )
    values = np.nan_to_num(values, posinf=_MAX_UINT16, neginf=0.0)
    if unit:
        values = values * 255.0
    elif high > 255:
        values = values * (255.0 / top) if high <= top else values / 257.0
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def declared_max(image: Any) -> int:
    """Return the largest value that a TIFF says its samples can have, where it says 9 to 15 bits; else 0.

    By BitsPerSample, or by MaxSampleValue where that is 2^n - 1: other values of it are what the brightest sample of
    the one picture happens to be, by which nothing is to be scaled.
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
    """Tell whether a loaded picture is 16-bit colour whose values are all 0 to 255.

    Of 16-bit colour Pillow gives the high bytes alone. Where these are all 0, the low ones are the picture.

    Args:
        image: Loaded.
        tiles: Its `tile` before it was loaded.
    """
    if not (tiles and all(_is_16_bit(tile.args) for tile in tiles)):
        return False
    return not any(band.getextrema()[1] for band in image.split()[:3])


def low_bytes(tiles: list[Any]) -> list[Any]:
    """Return the tiles so that Pillow's decoders give the low bytes: as if the values had the other byte order."""
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
