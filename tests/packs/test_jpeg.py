"""JPEG-coded faces: close to the original, and hostile bytes are refused by their header."""

import io
import struct

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fercli.errors import DataError
from fercli.images import Color
from fercli.packs.jpeg import decode_face, encode_face, frame_of, max_bytes
from tests.helpers.datasets import encoded, face, noise

SIDE = 32
GRAY = face(1, SIDE)
RGB = np.stack([face(1, SIDE), face(2, SIDE), face(3, SIDE)], 2)


@pytest.mark.parametrize(("pixels", "color"), [(GRAY, "gray"), (RGB, "rgb")])
def test_decoded_faces_are_those_of_pillow_and_near_the_original(pixels: np.ndarray, color: Color) -> None:
    data = encode_face(pixels, 95)
    assert frame_of(data) == (SIDE, SIDE, 1 if color == "gray" else 3)
    found = decode_face(data, SIDE, color, "face")
    assert found.dtype == np.uint8
    assert found.shape == pixels.shape
    pillow = np.asarray(Image.open(io.BytesIO(data)))
    assert np.abs(found.astype(int) - pillow).max() <= 2  # another implementation of the same transform
    assert np.abs(found.astype(int) - pixels).mean() < (2 if color == "gray" else 12)  # colour at half resolution


def test_lower_quality_takes_fewer_bytes() -> None:
    sizes = [len(encode_face(RGB, quality)) for quality in (10, 50, 95, 100)]
    assert sizes == sorted(sizes)


@pytest.mark.parametrize("side", [8, 33, 224])
@pytest.mark.parametrize("channels", [1, 3])
def test_no_face_exceeds_the_limit(side: int, channels: int) -> None:
    pixels = noise(side, side, side, 3)  # noise at the best quality takes the most
    color: Color = "gray" if channels == 1 else "rgb"
    assert len(encode_face(pixels if channels == 3 else pixels[..., 0], 100)) <= max_bytes(side, color)


def claim(data: bytes, height: int, width: int) -> bytes:
    """Return a JPEG whose header claims another size."""
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


GOOD = encode_face(RGB, 90)
HOSTILE = {
    "empty": b"",
    "two bytes": b"\xff\xd8",
    "a PNG": encoded(RGB),
    "grey in a pack of colour": encode_face(GRAY, 90),
    "another size": encode_face(RGB[:16, :16], 90),
    "a claim of 65,535 x 65,535 pixels": claim(GOOD, 65535, 65535),
    "progressive": encoded(RGB, "JPEG", progressive=True),
    "CMYK": encoded(Image.fromarray(RGB).convert("CMYK"), "JPEG"),
    "header alone": GOOD[: GOOD.index(b"\xff\xda")],
    "a segment of no length": b"\xff\xd8\xff\xe0\x00\x00" + GOOD[2:],
    "a segment past the end": b"\xff\xd8\xff\xe0\xff\xff" + bytes(20),
    "no image but a scan": b"\xff\xd8" + GOOD[GOOD.index(b"\xff\xda") :],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bytes_are_refused_before_they_are_decoded(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name != "header alone":  # that is a matter of the decoder
        monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    with pytest.raises(DataError, match=r"^shard 1: is not a baseline JPEG of the pack's size and colour; re-pack"):
        decode_face(HOSTILE[name], SIDE, "rgb", "shard 1")


@given(st.binary(max_size=64), st.integers(0, len(GOOD)), st.integers(0, len(GOOD)))
def test_any_bytes_give_a_face_or_an_error(inserted: bytes, first: int, last: int) -> None:
    data = GOOD[:first] + inserted + GOOD[max(first, last) :]
    try:
        found = decode_face(data, SIDE, "rgb", "face")
    except DataError:
        return
    assert found.shape == (SIDE, SIDE, 3)
