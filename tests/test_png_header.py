"""The header of a PNG says what its pixels say, or nothing."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fercli.errors import ImageError
from fercli.images import image_info, read_image
from fercli.png_header import plain_png
from tests.helpers.datasets import encoded, noise


def test_plain() -> None:
    data = encoded(noise(0, 5, 7))
    assert plain_png(data) == (5, 7, True)
    for end in range(len(data) - 4):
        assert plain_png(data[:end]) is None
    assert plain_png(b"\xff\xd8\xff" + data) is None


@given(
    st.sampled_from(["L", "RGB", "1", "P", "LA", "RGBA", "I;16"]), st.integers(1, 9), st.integers(1, 9),
    st.sampled_from([{}, {"transparency": 0}, {"exif": 6}, {"dpi": (72, 72)}, {"compress_level": 0}]),
    st.integers(0, 80),
)  # fmt: skip
@settings(max_examples=80, deadline=None)
def test_info_of_a_png_is_that_of_its_pixels(
    mode: str, width: int, height: int, extra: dict[str, Any], cut: int
) -> None:
    image = Image.new(mode, (width, height))
    if "exif" in extra:
        exif = Image.Exif()
        exif[274] = extra["exif"]
        extra = {"exif": exif}
    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        try:
            image.save(file, "png", **extra)
        except (OSError, ValueError):  # Pillow cannot save all combinations
            return
        file.truncate(max(0, file.tell() - cut))
        path = Path(file.name)
        try:
            pixels = read_image(path)
        except ImageError:
            with pytest.raises(ImageError):
                image_info(path)
        else:
            assert image_info(path) == (pixels.shape[0], pixels.shape[1], pixels.ndim == 2)
