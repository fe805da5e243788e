"""Reading and writing pictures, safely.

Pictures come from strangers: each is read under a pixel limit that is checked before decoding, turned as its EXIF data
say, and brought to 8 bits, grey or RGB. The result is a numpy array (H, W) or (H, W, 3), uint8, RGB order.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from fercli.errors import ImageError
from fercli.files import open_file, read_bytes

Pixels = npt.NDArray[np.uint8]
Color = Literal["gray", "rgb"]

MISSING = "missing"
"""The reason of a file that is not there, by which it is counted."""
MAX_PIXELS = 100_000_000
"""Pictures of more pixels are not decoded: a 100-megapixel RGB picture already takes 300 MB."""

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".pgm", ".ppm"})
"""The endings that count as pictures when a folder is walked."""

# Pillow warns of what is told in other ways here (size, damage). Once, and for its modules alone: catching warnings
# around each call is not safe among threads.
warnings.filterwarnings("ignore", module=r"PIL\..*")

_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM")


def is_picture(path: Path) -> bool:
    """Tell whether a file's ending is a picture's."""
    return path.suffix.lower() in SUFFIXES


def read_image(path: Path) -> Pixels:
    """Read a picture as uint8, (H, W) where it is grey and (H, W, 3) RGB where it is not.

    16-bit grey is scaled to 8 bits, CMYK and palettes become RGB, transparency is laid over white, the first frame of
    an animation is taken, and the EXIF turn is applied.

    Raises:
        ImageError: with `reason` one of `missing`, `empty`, `not an image`, `too large`, `truncated`, `unreadable`.
    """
    try:
        data = read_bytes(path)
    except FileNotFoundError as error:
        raise ImageError(MISSING, f"{path}: no such file") from error
    except OSError as error:
        raise ImageError("unreadable", f"{path}: {error.strerror or error}") from error
    return decode(data, str(path))


def decode(data: bytes, name: str) -> Pixels:
    """Decode a picture's bytes as `read_image` does; `name` is what errors call it."""
    if not data:
        raise ImageError("empty", f"{name}: the file is empty")
    try:
        image = Image.open(io.BytesIO(data), formats=_FORMATS)
        width, height = image.size
        if width * height > MAX_PIXELS:
            limit = MAX_PIXELS // 1_000_000
            raise ImageError("too large", f"{name}: {width} x {height} pixels; at most {limit} million are read")
        image.load()
        return _to_uint8(ImageOps.exif_transpose(image))
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError("not an image", f"{name}: not a picture, whatever its name says") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:  # a caller may raise warnings
        raise ImageError("too large", f"{name}: {error}") from error
    except Exception as error:  # on damaged files Pillow raises anything: struct.error by EXIF data, for one
        reason = "truncated" if "truncated" in str(error).lower() else "unreadable"
        raise ImageError(reason, f"{name}: {reason} ({error})") from error


def look(path: Path) -> tuple[int, int, bool]:
    """Return a picture's height, width and whether it is grey, from its header alone where that tells.

    Raises:
        ImageError: as `read_image`.
    """
    # What cannot be told here is read, or told of, below.
    with suppress(Exception), open_file(path) as file, Image.open(file, formats=_FORMATS) as image:
        plain = image.mode in ("L", "RGB", "CMYK") and "transparency" not in image.info
        if plain and not image.getexif().get(ExifTags.Base.Orientation):
            return image.height, image.width, image.mode == "L"
    pixels = read_image(path)
    return pixels.shape[0], pixels.shape[1], pixels.ndim == 2


def _to_uint8(image: Image.Image) -> Pixels:
    mode = image.mode
    if mode in ("I", "F") or mode.startswith("I;16"):
        return _scaled(np.asarray(image))
    if mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, "white")
        flat = np.asarray(Image.alpha_composite(ground, image).convert("RGB"))
        return np.ascontiguousarray(flat[..., 0]) if mode in ("1", "L", "LA", "La") else flat
    if mode in ("1", "L", "RGB"):
        return np.asarray(image.convert("L") if mode == "1" else image)
    if mode == "P":
        palette = image.convert("RGB")
        array = np.asarray(palette)
        grey = bool((array[..., 0] == array[..., 1]).all() and (array[..., 1] == array[..., 2]).all())
        return np.ascontiguousarray(array[..., 0]) if grey else array
    return np.asarray(image.convert("RGB"))


def _scaled(array: npt.NDArray[np.generic]) -> Pixels:
    """Bring 16-bit grey to 8 bits by scaling its whole range, 32-bit and float by clipping to 0..255.

    32-bit values beyond 255 are 16-bit ones: some writers and readers know no other type for them.
    """
    values = np.nan_to_num(array.astype(np.float64))
    if array.dtype.itemsize == 2 or (values.size and values.max() > 255):
        values = values / 257.0
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def pixel_digest(pixels: Pixels) -> str:
    """Return the SHA-256 of a picture's shape and decoded pixels, as 64 hex digits.

    Two files of the same picture (PNG and BMP, say) have the same digest.
    """
    digest = hashlib.sha256("x".join(map(str, pixels.shape)).encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def encode_png(pixels: Pixels) -> bytes:
    """Encode (H, W) or (H, W, 3) uint8 as PNG, by OpenCV: on a face it takes half the time of Pillow."""
    import cv2

    return bytes(cv2.imencode(".png", pixels if pixels.ndim == 2 else pixels[..., ::-1])[1])


def as_color(pixels: Pixels, color: Color) -> Pixels:
    """Return the picture as grey (H, W) or RGB (H, W, 3), by ITU-R 601 luma."""
    if color == "gray" and pixels.ndim == 3:
        return np.asarray(Image.fromarray(pixels).convert("L"))
    if color == "rgb" and pixels.ndim == 2:
        return np.repeat(pixels[..., None], 3, axis=2)
    return pixels


def fit_square(pixels: Pixels, size: int) -> Pixels:
    """Return the picture as size x size, its aspect ratio kept: black bars where it is not square, never squashed.

    Reduced by area averaging, enlarged bilinearly; a picture that already has the size is returned as it is.
    """
    height, width = pixels.shape[:2]
    if height == width == size:
        return pixels
    scale = size / max(height, width)
    inner = (max(1, round(width * scale)), max(1, round(height * scale)))
    image = Image.fromarray(pixels)
    resized = np.asarray(image.resize(inner, Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR))
    if inner == (size, size):
        return resized
    canvas = np.zeros((size, size, *pixels.shape[2:]), np.uint8)
    top, left = (size - inner[1]) // 2, (size - inner[0]) // 2
    canvas[top : top + inner[1], left : left + inner[0]] = resized
    return canvas


def fit_frame(pixels: Pixels, width: int, height: int) -> Pixels:
    """Return an RGB picture as width x height, its aspect ratio kept: black bars where it differs, never squashed."""
    if pixels.shape[:2] == (height, width):
        return pixels
    image = ImageOps.pad(Image.fromarray(pixels), (width, height), Image.Resampling.BILINEAR)
    return np.asarray(image)
