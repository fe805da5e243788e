"""Safe reading and writing of images.

Images are untrusted: a pixel limit is checked before decoding, the EXIF orientation is applied, and the result is
converted to 8 bits, grey or RGB: a uint8 array (H, W) or (H, W, 3) in RGB order.
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

from fercli.bit_depth import declared_max, has_low_bytes, low_bytes, scale_to_uint8
from fercli.errors import ImageError
from fercli.files import open_file, read_bytes
from fercli.png_header import plain_png

Pixels = npt.NDArray[np.uint8]
Color = Literal["gray", "rgb"]

MISSING = "missing"
"""The `reason` of the error for a missing file."""
MAX_PIXELS = 100_000_000
"""Larger images are not decoded: a 100-megapixel RGB image already takes 300 MB."""

SUFFIXES = frozenset(
    {
        *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".avif"),
        *(".pbm", ".pgm", ".ppm", ".pnm", ".pfm", ".heic", ".heif", ".hif"),
    }
)
"""The file extensions that count as images when a folder is searched."""
NEARLY_BLACK = 16
"""An image without a brighter value is nearly black, such as 12-bit data stored as 16 bits."""
NEEDS_HEIC = "HEIC (read with the extra heic)"
NEEDS_AVIF = "AVIF (read with Pillow 11.3 or later)"

READS_AVIF = find_spec("PIL._avif") is not None
"""Whether the installed Pillow decodes AVIF."""
_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM", *(("AVIF",) if READS_AVIF else ()))
"""The formats of photographs among those that Pillow opens, with well-maintained decoders."""

_HEAD = 64
_SMALL_FILE = 1 << 20
_SUFFIX = re.compile(r"\.(?=[0-9]*[a-z])[a-z0-9]{1,12}~?", re.IGNORECASE | re.ASCII)
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
"""Signatures of image files and the matching extensions. AVIF comes before HEIC, since its major brand may be mif1."""


def has_image_suffix(path: Path) -> bool:
    """Return whether a path has the extension of an image."""
    return path.suffix.lower() in SUFFIXES


def has_suffix(path: Path) -> bool:
    """Return whether a name ends in a file extension: letters and digits after a dot, not digits alone.

    >>> has_suffix(Path("a.jpg")), has_suffix(Path("KA.AN1.39")), has_suffix(Path("notes"))
    (True, False, False)
    """
    return _SUFFIX.fullmatch(path.suffix) is not None


def stem_of(path: Path) -> str:
    """Return a file name without its extension; the whole name if it has none (`KA.AN1.39`)."""
    return path.stem if has_suffix(path) else path.name


def suffix_of(path: Path) -> str:
    """Return a file's extension in lower case; without one, the extension implied by its first bytes, or ''."""
    return path.suffix.lower() if has_suffix(path) else _suffix_by_signature(_head(path))


def is_image_file(path: Path) -> bool:
    """Return whether a regular file is an image, by its extension, or by its first bytes if it has none."""
    return suffix_of(path) in SUFFIXES


def _head(path: Path) -> bytes:
    if path.is_file():  # reading a pipe would block forever
        with suppress(OSError), path.open("rb") as file:
            return file.read(_HEAD)
    return b""


def _suffix_by_signature(head: bytes) -> str:
    return next((suffix for signature, suffix in _SIGNATURES if signature.match(head)), "")


def is_nearly_black(pixels: Pixels) -> bool:
    """Return whether no value of an image exceeds NEARLY_BLACK."""
    return int(pixels.max(initial=0)) <= NEARLY_BLACK


def read_image(path: Path) -> Pixels:
    """Read an image as uint8: (H, W) if it is grey, else (H, W, 3) RGB.

    16-bit and float values are scaled to 8 bits according to their range (see `fercli.bit_depth`), CMYK and palettes
    become RGB, transparency is composited over white, animations yield their first frame, and the EXIF orientation is
    applied. HEIC is read by pillow-heif if that is installed.

    Raises:
        ImageError: with `reason` one of `missing`, `empty`, `not an image`, `too large`, `truncated`, `unreadable`,
            `unknown value range`, NEEDS_HEIC and NEEDS_AVIF.
    """
    try:
        data = read_bytes(path)
    except FileNotFoundError as error:
        raise ImageError(MISSING, f"{path}: no such file") from error
    except OSError as error:
        raise ImageError("unreadable", f"{path}: {error.strerror or error}") from error
    return decode(data, str(path))


def decode(data: bytes, name: str, max_pixels: int | None = None) -> Pixels:
    """Decode the bytes of an image like `read_image`.

    Args:
        data: The bytes.
        name: Its name in error messages.
        max_pixels: Images with more pixels are not decoded (default: MAX_PIXELS).

    Raises:
        ImageError: as in `read_image`.
    """
    if not data:
        raise ImageError("empty", f"{name}: the file is empty")
    max_pixels = MAX_PIXELS if max_pixels is None else max_pixels
    try:
        image = _open(data, name)
        width, height = image.size
        if width * height > max_pixels:
            limit = f"{max_pixels / 1e6:.3g} million"
            raise ImageError("too large", f"{name}: {width} x {height} pixels; the limit is {limit}")
        image, top = _load(image, data), declared_max(image)
        ImageOps.exif_transpose(image, in_place=True)
        return _to_uint8(image, top, name)
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError("not an image", f"{name}: not an image in a supported format") from error
    except (
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ) as error:  # warnings may be errors
        raise ImageError("too large", f"{name}: {error}") from error
    except Exception as error:  # Pillow raises all kinds of errors on damaged files, such as struct.error
        reason = "truncated" if "truncated" in str(error).lower() else "unreadable"
        raise ImageError(reason, f"{name}: {reason} ({error})") from error


def from_pillow(image: Image.Image) -> Pixels:
    """Convert a Pillow image like `read_image`."""
    return _to_uint8(ImageOps.exif_transpose(image), declared_max(image), "the image")


def _open(data: bytes, name: str) -> Any:
    """Read an image's header; return a Pillow image, or one of pillow-heif that is not decoded yet."""
    suffix = _suffix_by_signature(data[:_HEAD])
    if suffix == ".avif" and not READS_AVIF:
        raise ImageError(NEEDS_AVIF, f"{name}: this Pillow cannot read AVIF; install Pillow 11.3 or later")
    if suffix != ".heic":
        return Image.open(io.BytesIO(data), formats=_FORMATS)
    try:
        heif = importlib.import_module("pillow_heif")
    except ImportError as error:
        raise ImageError(NEEDS_HEIC, f"{name}: HEIC needs pillow-heif; pip install 'fercli[heic]'") from error
    return heif.open_heif(data)


def _load(image: Any, data: bytes) -> Image.Image:
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
    """Return an image's height, width and whether it is grey, from its header alone if possible.

    Raises:
        ImageError: like `read_image`.
    """
    # Images that the header does not describe are read, or reported as errors, below.
    with suppress(OSError), open_file(path) as file:
        if (known := plain_png(file.read(_SMALL_FILE))) and known[0] * known[1] <= MAX_PIXELS:
            return known
    with suppress(Exception), open_file(path) as file, Image.open(file, formats=_FORMATS) as image:
        plain = image.mode in ("L", "RGB", "CMYK") and "transparency" not in image.info
        if plain and not image.getexif().get(ExifTags.Base.Orientation):
            return image.height, image.width, image.mode == "L"
    pixels = read_image(path)
    return pixels.shape[0], pixels.shape[1], pixels.ndim == 2


def _to_uint8(image: Image.Image, top: int, name: str) -> Pixels:
    mode = image.mode
    if mode in ("I", "F") or mode.startswith("I;16"):
        return scale_to_uint8(np.asarray(image), top, name)
    if mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        background = Image.new("RGBA", image.size, "white")
        flat = np.asarray(Image.alpha_composite(background, image).convert("RGB"))
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
    """Return the SHA-256 of an image's shape and decoded pixels, as 64 hex digits.

    Files of different formats with the same pixels have the same digest.
    """
    digest = hashlib.sha256("x".join(map(str, pixels.shape)).encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def encode_png(pixels: Pixels) -> bytes:
    """Encode (H, W) or (H, W, 3) uint8 as PNG with OpenCV, which takes half the time of Pillow for a face."""
    import cv2

    return bytes(cv2.imencode(".png", pixels if pixels.ndim == 2 else pixels[..., ::-1])[1])


def as_color(pixels: Pixels, color: Color) -> Pixels:
    """Convert an image to grey (H, W), by ITU-R 601 luma, or to RGB (H, W, 3)."""
    if color == "gray" and pixels.ndim == 3:
        return np.asarray(Image.fromarray(pixels).convert("L"))
    if color == "rgb" and pixels.ndim == 2:
        return np.repeat(pixels[..., None], 3, axis=2)
    return pixels


def fit_square(pixels: Pixels, size: int) -> Pixels:
    """Resize an image to size x size, keeping its aspect ratio by black bars.

    Downscaled by area averaging, upscaled bilinearly; an image of the right size is returned unchanged.
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
    """Resize an RGB image to width x height, keeping its aspect ratio by black bars."""
    if pixels.shape[:2] == (height, width):
        return pixels
    image = ImageOps.pad(Image.fromarray(pixels), (width, height), Image.Resampling.BILINEAR)
    return np.asarray(image)
