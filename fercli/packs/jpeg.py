"""JPEG-coded faces of a pack: encoding, and decoding of untrusted bytes.

A pack contains baseline JPEGs alone, each of the pack's size and colour. Both are read from the header before anything
is decoded: a header could claim any size, and progressive scans any amount of work.
"""

from __future__ import annotations

from fercli.errors import DataError
from fercli.images import Color, Pixels

_START = b"\xff\xd8"
_BASELINE, _SCAN, _END = 0xC0, 0xDA, 0xD9
_BAD = "is not a baseline JPEG of the pack's size and colour"


def max_bytes(size: int, color: Color) -> int:
    """Return the maximum length of an encoded face, generous at any quality: more is not read."""
    return 4096 + 4 * size * size * (1 if color == "gray" else 3)


def encode_face(pixels: Pixels, quality: int) -> bytes:
    """Encode a face, uint8 (H, W) or (H, W, 3), as a baseline JPEG of `quality`, 1 to 100."""
    import cv2

    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
    return bytes(cv2.imencode(".jpg", pixels if pixels.ndim == 2 else pixels[..., ::-1], options)[1])


def decode_face(data: bytes | memoryview, size: int, color: Color, name: str) -> Pixels:
    """Decode a face, uint8 (size, size) or (size, size, 3).

    Args:
        data: The encoded bytes.
        size: The pack's height and width.
        color: The pack's colour.
        name: The face's name in the error message.

    Raises:
        DataError: the bytes are not a baseline JPEG of this size and colour, or are damaged.
    """
    import cv2
    import numpy as np

    channels = 1 if color == "gray" else 3
    if frame_of(data) != (size, size, channels):
        raise DataError(f"{name}: {_BAD}; re-pack the dataset")
    flag = cv2.IMREAD_GRAYSCALE if color == "gray" else cv2.IMREAD_COLOR
    try:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), flag | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        decoded = None
    if decoded is None or decoded.shape != ((size, size) if color == "gray" else (size, size, 3)):
        raise DataError(f"{name}: {_BAD}; re-pack the dataset")
    if color == "rgb":
        cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB, dst=decoded)
    return np.asarray(decoded, np.uint8)


def frame_of(data: bytes | memoryview) -> tuple[int, int, int] | None:
    """Return the height, width and channels in a baseline JPEG's header; None for any other bytes."""
    if bytes(data[:2]) != _START:
        return None
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == _BASELINE and length >= 8 and at + 10 <= len(data):
            # Precision, height, width, channels (ITU-T T.81, B.2.2).
            height, width = (int.from_bytes(data[k : k + 2], "big") for k in (at + 5, at + 7))
            return (height, width, data[at + 9]) if data[at + 4] == 8 else None
        # The markers without a length, the other kinds of frames, and a scan before any frame.
        if (0xC1 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)) or marker in (_SCAN, _END) or length < 2:
            return None
        at += 2 + length
    return None
