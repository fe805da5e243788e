"""The header of a plain PNG, without decoding it."""

from __future__ import annotations

import struct

_START = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
_AFTER_HEADER = 33
_IGNORED = (b"IDAT", b"tEXt", b"tIME", b"pHYs")
"""Chunks that do not change how pixels are interpreted."""


def plain_png(data: bytes) -> tuple[int, int, bool] | None:
    """Return height, width and whether it is grey; None if it is no PNG of 8 bits grey or RGB, or any more is to know.

    Pillow decodes a PNG to look for an orientation, which takes five times as long for a face.

    Args:
        data: The whole file, or its beginning.
    """
    if not data.startswith(_START) or len(data) < _AFTER_HEADER:
        return None
    width, height, depth, kind = struct.unpack_from(">IIBB", data, len(_START))
    at = _AFTER_HEADER
    while depth == 8 and kind in (0, 2) and at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        if name == b"IEND":
            return height, width, kind == 0
        if name not in _IGNORED:
            return None
        at += length + 12
    return None
