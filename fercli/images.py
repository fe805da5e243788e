"""Reading and writing pictures, safely.

Pictures come from strangers: each is read under a pixel limit that is checked before decoding, turned as its EXIF data
say, and brought to 8 bits, grey or RGB. The result is a numpy array (H, W) or (H, W, 3), uint8, RGB order.
"""

from __future__ import annotations

import hashlib
import importlib
import io
import re
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from fercli.bit_depth import declared_top, has_low_bytes, low_bytes, scaled
from fercli.errors import ImageError
from fercli.files import open_file, read_bytes

Pixels = npt.NDArray[np.uint8]
Color = Literal["gray", "rgb"]

MISSING = "missing"
"""The reason of a file that is not there, by which it is counted."""
MAX_PIXELS = 100_000_000
"""Pictures of more pixels are not decoded: a 100-megapixel RGB picture already takes 300 MB."""

SUFFIXES = frozenset(
    {
        *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".avif"),
        *(".pbm", ".pgm", ".ppm", ".pnm", ".pfm", ".heic", ".heif", ".hif"),
    }
)
"""The endings that count as pictures when a folder is walked."""
NEARLY_BLACK = 16
"""A picture without a brighter value is nearly black; 12 bits stored as if they were 16 have none."""
NEEDS_HEIC = "HEIC (read with the extra heic)"
NEEDS_AVIF = "AVIF (read with Pillow 11.3 or later)"

_READS_AVIF = find_spec("PIL._avif") is not None
_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM", *(("AVIF",) if _READS_AVIF else ()))
"""Of all that Pillow opens: what photographs come in, decoded by libraries that are kept up."""

_HEAD = 64
_ENDING = re.compile(r"\.(?=[0-9]*[a-z])[a-z0-9]{1,12}~?", re.IGNORECASE | re.ASCII)
_SIGNATURES = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), ".png"),
    (re.compile(rb"\xff\xd8\xff"), ".jpg"),
    (re.compile(rb"GIF8[79]a"), ".gif"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), ".webp"),
    (re.compile(rb"II\*\0|MM\0\*"), ".tif"),
    (re.compile(rb"BM....\0\0\0\0", re.DOTALL), ".bmp"),
    (re.compile(rb"P[1-6]\s+[0-9#]"), ".ppm"),
    (re.compile(rb"....ftyp(?:.{4}){0,12}?(?:avif|avis)", re.DOTALL), ".avif"),
    (re.compile(rb"....ftyp(?:hei[cxms]|hev[cmxs]|mif1|msf1)", re.DOTALL), ".heic"),
)
"""How pictures begin, and the ending that says so. An AVIF may call itself mif1 first, so it is asked before HEIC."""


def is_picture(path: Path) -> bool:
    """Tell whether a file's ending is a picture's."""
    return path.suffix.lower() in SUFFIXES


def has_ending(path: Path) -> bool:
    """Tell whether what follows a name's last dot is an ending: letters and digits, and not digits alone.

    >>> has_ending(Path("a.jpg")), has_ending(Path("KA.AN1.39")), has_ending(Path("notes"))
    (True, False, False)
    """
    return _ENDING.fullmatch(path.suffix) is not None


def stem_of(path: Path) -> str:
    """Return a file's name without its ending; all of it where it has none (`KA.AN1.39`)."""
    return path.stem if has_ending(path) else path.name


def ending_of(path: Path) -> str:
    """Return a file's ending in lower case; where it has none, the one that its first bytes tell, or ''."""
    return path.suffix.lower() if has_ending(path) else _told_by(_head(path))


def holds_picture(path: Path) -> bool:
    """Tell whether a regular file is a picture's, by its ending, or by its first bytes where it has none."""
    return ending_of(path) in SUFFIXES


def _head(path: Path) -> bytes:
    if path.is_file():  # a pipe would wait for ever
        with suppress(OSError), path.open("rb") as file:
            return file.read(_HEAD)
    return b""


def _told_by(head: bytes) -> str:
    return next((ending for signature, ending in _SIGNATURES if signature.match(head)), "")


def is_nearly_black(pixels: Pixels) -> bool:
    """Tell whether no value of a picture is over NEARLY_BLACK: nothing can be seen in it."""
    return int(pixels.max(initial=0)) <= NEARLY_BLACK


def read_image(path: Path) -> Pixels:
    """Read a picture as uint8, (H, W) where it is grey and (H, W, 3) RGB where it is not.

    16-bit and float values are scaled to 8 bits by the range that they are in (see `fercli.bit_depth`), CMYK and
    palettes become RGB, transparency is laid over white, the first frame of an animation is taken, and the EXIF turn
    is applied.
    HEIC is read by pillow-heif, where that is installed.

    Raises:
        ImageError: with `reason` one of `missing`, `empty`, `not an image`, `too large`, `truncated`, `unreadable`,
            `values of no known range`, NEEDS_HEIC and NEEDS_AVIF.
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
        image = _opened(data, name)
        width, height = image.size
        if width * height > MAX_PIXELS:
            limit = MAX_PIXELS // 1_000_000
            raise ImageError("too large", f"{name}: {width} x {height} pixels; at most {limit} million are read")
        image, top = _loaded(image, data), declared_top(image)
        return _to_uint8(ImageOps.exif_transpose(image), top, name)
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError("not an image", f"{name}: not a picture, whatever its name says") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:  # a caller may raise warnings
        raise ImageError("too large", f"{name}: {error}") from error
    except Exception as error:  # on damaged files Pillow raises anything: struct.error by EXIF data, for one
        reason = "truncated" if "truncated" in str(error).lower() else "unreadable"
        raise ImageError(reason, f"{name}: {reason} ({error})") from error


def _opened(data: bytes, name: str) -> Any:
    """Return a picture whose header has been read: Pillow's, or one of pillow-heif's that is not decoded yet."""
    ending = _told_by(data[:_HEAD])
    if ending == ".avif" and not _READS_AVIF:
        raise ImageError(NEEDS_AVIF, f"{name}: AVIF, which this Pillow does not read; install Pillow 11.3 or later")
    if ending != ".heic":
        return Image.open(io.BytesIO(data), formats=_FORMATS)
    try:
        heif = importlib.import_module("pillow_heif")
    except ImportError as error:
        raise ImageError(NEEDS_HEIC, f"{name}: HEIC, which needs pillow-heif; pip install 'fercli[heic]'") from error
    return heif.open_heif(data)


def _loaded(image: Any, data: bytes) -> Image.Image:
    if not isinstance(image, Image.Image):
        decoded: Image.Image = image.to_pillow()
        return decoded
    tiles = list(getattr(image, "tile", []))
    image.load()
    if not has_low_bytes(image, tiles):
        return image
    low = Image.open(io.BytesIO(data), formats=_FORMATS)
    low.tile = low_bytes(tiles)
    low.load()
    return low


def image_info(path: Path) -> tuple[int, int, bool]:
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


def _to_uint8(image: Image.Image, top: int, name: str) -> Pixels:
    mode = image.mode
    if mode in ("I", "F") or mode.startswith("I;16"):
        return scaled(np.asarray(image), top, name)
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
