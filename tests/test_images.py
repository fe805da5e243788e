"""Reading images of all supported formats, and rejecting anything else safely with an error of one line."""

import io
import os
import random
import struct
import sys
import tempfile
import tracemalloc
import warnings
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import ExifTags, Image, ImageOps

from fercli import images
from fercli.errors import ImageError
from fercli.images import (
    as_color,
    decode,
    encode_png,
    fit_square,
    has_image_suffix,
    has_suffix,
    image_info,
    is_image_file,
    is_nearly_black,
    pixel_digest,
    read_image,
    stem_of,
    suffix_of,
)
from tests.helpers.datasets import encoded, noise, python, write_tree

pictures = hnp.arrays(
    np.uint8,
    st.one_of(
        st.tuples(st.integers(1, 40), st.integers(1, 40)),
        st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3)),
    ),
)


def reason_of(data: bytes) -> str:
    with pytest.raises(ImageError) as caught:
        decode(data, "a.png")
    assert str(caught.value).startswith("a.png: ")
    return caught.value.reason


def png(width: int, height: int, depth: int = 8, color: int = 0, data: bytes = b"") -> bytes:
    """Return a hand-made PNG with an arbitrary header and a small IDAT."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    idat = zlib.compress(data)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", idat) + chunk(b"IEND", b"")


# --- reading ---


@pytest.mark.slow
@given(pictures)
@settings(deadline=None)
def test_png_keeps_every_pixel(pixels: np.ndarray) -> None:
    data = encode_png(pixels)
    again = decode(data, "x")
    assert again.dtype == np.uint8
    assert again.shape == pixels.shape
    assert (again == pixels).all()
    with Image.open(io.BytesIO(data)) as other:  # the reference: Pillow
        assert (np.asarray(other) == pixels).all()


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "PPM", "GIF"])
def test_grey_is_kept_in_lossless_formats(form: str) -> None:
    pixels = noise(1, 9, 7)
    assert (decode(encoded(pixels, form), "x") == pixels).all()


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "PPM", "WEBP"])
def test_rgb_is_kept_in_lossless_formats(form: str) -> None:
    pixels = noise(1, 9, 7, 3)
    options = {"lossless": True} if form == "WEBP" else {}
    assert (decode(encoded(pixels, form, **options), "x") == pixels).all()


def test_16_bit_grey_is_scaled() -> None:
    values = np.array([[0, 128, 257, 32768], [65535, 65278, 256, 385]], np.uint16)
    expected = [[0, 0, 1, 128], [255, 254, 1, 1]]
    for form in ("PNG", "TIFF"):
        assert decode(encoded(values, form), "x").tolist() == expected
    raw = png(4, 2, depth=16, data=b"".join(b"\0" + row.astype(">u2").tobytes() for row in values))
    assert decode(raw, "x").tolist() == expected


def test_dark_16_bit_image_stays_dark() -> None:
    assert decode(encoded(np.full((2, 2), 300, np.uint16)), "x").tolist() == [[1, 1], [1, 1]]


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_16_bit_grey_with_8_bit_values_is_not_scaled(form: str) -> None:
    pixels = noise(1, 9, 7)
    assert (decode(encoded(pixels.astype(np.uint16), form), "x") == pixels).all()


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [3, 4])
def test_16_bit_colour_with_8_bit_values_is_not_scaled(suffix: str, channels: int) -> None:
    pixels = noise(1, 9, 7, 3)
    deep = pixels[..., ::-1].astype(np.uint16)
    if channels == 4:
        deep = np.dstack([deep, np.full((9, 7), 65_535, np.uint16)])
    data = bytes(cv2.imencode(suffix, deep)[1])
    assert (decode(data, "x") == pixels).all()
    scaled = bytes(cv2.imencode(suffix, pixels[..., ::-1].astype(np.uint16) * 257)[1])
    assert (decode(scaled, "x") == pixels).all()


@pytest.mark.parametrize(
    ("tag", "expected"), [(4095, [[0, 255]]), (4000, [[0, 16]]), (255, [[0, 16]]), (None, [[0, 16]])]
)
def test_tiff_is_scaled_by_its_declared_maximum(tag: int | None, expected: list) -> None:
    values = np.array([[7, 4095]], np.uint16)
    data = encoded(values, "TIFF", tiffinfo={281: tag} if tag else {})
    assert decode(data, "x").tolist() == expected


def test_floats_are_scaled_if_in_0_to_1() -> None:
    for values, expected in (
        ([[0, 0.5, 1]], [[0, 128, 255]]),
        ([[-0.02, 0.2, 1.03]], [[0, 51, 255]]),
        ([[0, 2, 255]], [[0, 2, 255]]),
        ([[0, 257, 65535]], [[0, 1, 255]]),
        ([[0, 0, 0]], [[0, 0, 0]]),
        ([[np.nan, np.inf, 0.2]], [[0, 255, 51]]),
    ):
        assert decode(encoded(np.array(values, np.float32), "TIFF"), "x").tolist() == expected


@pytest.mark.parametrize("values", [[-1.0, 1.0], [0.0, 70_000.0]])
def test_unknown_value_range_is_an_error(values: list[float]) -> None:
    assert reason_of(encoded(np.array([values], np.float32), "TIFF")) == "unknown value range"
    assert reason_of(encoded(np.array([[0, 1 << 20]], np.int32), "TIFF")) == "unknown value range"


@given(st.integers(256, 65_535), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=30)
def test_16_bit_values_above_255_are_scaled(high: int, seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, high + 1, (5, 4)).astype(np.uint16)
    values[0, 0] = high
    assert (decode(encoded(values), "x") == np.rint(values / 257.0)).all()


def test_nearly_black() -> None:
    assert is_nearly_black(np.full((4, 4, 3), 16, np.uint8))
    assert not is_nearly_black(np.array([[0, 17]], np.uint8))
    assert is_nearly_black(decode(encoded(np.array([[0, 4095]], np.uint16)), "x"))


def test_float_and_32_bit_are_clipped() -> None:
    values = np.array([[-5, 0.4], [254.6, np.nan]], np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decode(encoded(values, "TIFF"), "x").tolist() == [[0, 0], [255, 0]]
        assert decode(encoded(np.array([[-1, 7]], np.int32), "TIFF"), "x").tolist() == [[0, 7]]
        assert decode(encoded(np.full((2, 2), np.inf, np.float32), "TIFF"), "x").dtype == np.uint8


def test_1_bit_becomes_black_and_white() -> None:
    assert decode(encoded(Image.fromarray(np.array([[True, False]]))), "x").tolist() == [[255, 0]]


def test_palette_becomes_colour_or_grey() -> None:
    indices = Image.fromarray(np.array([[0, 1]], np.uint8)).convert("P")
    indices.putpalette([10, 20, 30, 200, 100, 0])
    indices = indices.copy()
    expected = np.asarray(indices.convert("RGB"))
    assert decode(encoded(indices), "x").tolist() == expected.tolist()
    indices.putpalette([v for i in range(256) for v in (i, i, i)])
    assert decode(encoded(indices), "x").shape == (1, 2)


def test_transparent_palette_colour_is_composited_over_white() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 0])
    image.putpixel((1, 0), 1)
    assert decode(encoded(image, transparency=0), "x").tolist() == [[[255, 255, 255], [200, 100, 0]]]


def test_transparency_is_composited_over_white() -> None:
    rgba = np.array([[[255, 0, 0, 255], [255, 0, 0, 0], [0, 0, 0, 128]]], np.uint8)
    assert decode(encoded(rgba), "x").tolist() == [[[255, 0, 0], [255, 255, 255], [127, 127, 127]]]
    la = np.array([[[7, 255], [7, 0]]], np.uint8)
    assert decode(encoded(Image.fromarray(la, "LA")), "x").tolist() == [[7, 255]]


@pytest.mark.parametrize(
    ("mode", "transparent", "expected"), [("L", 7, [[255, 8]]), ("RGB", (7, 7, 7), [[[255] * 3, [8] * 3]])]
)
def test_transparent_colour_is_composited_over_white(
    mode: str, transparent: object, expected: list, tmp_path: Path
) -> None:
    image = Image.fromarray(np.array([[7, 8]], np.uint8)).convert(mode)
    data = encoded(image, transparency=transparent)
    pixels = decode(data, "x")
    assert pixels.tolist() == expected
    write_tree(tmp_path, {"a.png": data})
    assert image_info(tmp_path / "a.png") == (1, 2, pixels.ndim == 2)


def test_cmyk_jpeg_becomes_rgb() -> None:
    pixels = decode(encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG"), "x")
    assert pixels.shape == (16, 16, 3)
    assert abs(pixels.astype(int) - [255, 0, 0]).max() < 12


@pytest.mark.parametrize("form", ["GIF", "PNG"])
def test_animation_yields_its_first_frame(form: str) -> None:
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "blue", "lime")]
    data = encoded(frames[0], form, save_all=True, append_images=frames[1:], duration=10)
    assert decode(data, "x").reshape(-1, 3).tolist() == [[255, 0, 0]] * 16


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF"])
def test_exif_orientation_is_applied(orientation: int, form: str, tmp_path: Path) -> None:
    upright = np.zeros((24, 16), np.uint8)
    upright[:8, :8], upright[:8, 8:], upright[8:, :8] = 255, 160, 80
    # A camera stores the inverse of the transform that makes the image upright.
    inverse = {
        1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]  # fmt: skip
    stored = Image.fromarray(upright) if inverse is None else Image.fromarray(upright).transpose(inverse)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path = write_tree(tmp_path, {"a": encoded(stored, form, exif=exif)}) / "a"
    pixels = read_image(path)
    assert pixels.shape == upright.shape
    assert abs(pixels.astype(int) - upright).max() <= 6
    assert image_info(path) == (24, 16, True)


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b""]
)
def test_broken_exif_is_ignored(exif: bytes, tmp_path: Path) -> None:
    data = encoded(np.full((8, 8), 90, np.uint8), "JPEG", exif=exif)
    write_tree(tmp_path, {"a.jpg": data})
    assert image_info(tmp_path / "a.jpg") == (8, 8, True)
    assert decode(data, "x").tolist() == [[90] * 8] * 8


# --- errors ---


@pytest.mark.parametrize("error", [struct.error("x"), KeyError("x"), TypeError("x"), zlib.error("x"), MemoryError()])
def test_all_pillow_errors_become_image_errors(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(image: object) -> None:
        raise error

    monkeypatch.setattr(ImageOps, "exif_transpose", fail)
    assert reason_of(encode_png(noise(1, 4, 4))) == "unreadable"


def test_missing_file_and_folder(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "no.png", "missing"), (tmp_path, "unreadable")):
        with pytest.raises(ImageError) as caught:
            read_image(path)
        assert caught.value.reason == reason
        with pytest.raises(ImageError):
            image_info(path)


def test_empty_and_text_files_are_not_images() -> None:
    assert reason_of(b"") == "empty"
    assert reason_of(b"this is a text, called face.jpg\n" * 9) == "not an image"
    assert reason_of(b"<svg xmlns='http://www.w3.org/2000/svg'/>") == "not an image"
    assert reason_of(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n") == "not an image"


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "TIFF", "PPM"])
def test_truncated_image_is_an_error(form: str) -> None:
    data = encoded(noise(1, 48, 48), form)
    assert reason_of(data[: len(data) * 2 // 3]) in ("truncated", "unreadable")
    assert reason_of(data[:3]) in ("truncated", "unreadable", "not an image")


def test_truncated_png_and_jpeg_are_reported_as_truncated() -> None:
    for form in ("PNG", "JPEG"):
        data = encoded(noise(1, 48, 48), form)
        assert reason_of(data[: len(data) // 2]) == "truncated"


@pytest.mark.parametrize("side", [10_001, 12_000, 30_000, 2**31 - 1])
def test_huge_image_is_rejected_by_its_header(side: int) -> None:
    data = png(side, side, data=bytes(100))
    tracemalloc.start()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert reason_of(data) == "too large"
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_huge_image_is_never_decoded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("decoded"))
    assert reason_of(png(10_001, 10_000)) == "too large"


def test_decompression_bomb_is_rejected(tmp_path: Path) -> None:
    bomb = png(20_000, 20_000, data=bytes(4_000_000))
    assert len(bomb) < 10_000
    assert reason_of(bomb) == "too large"
    write_tree(tmp_path, {"a.png": bomb})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ImageError, match=r"at most 100 million|exceeds limit"):
            image_info(tmp_path / "a.png")


def test_image_at_the_limit_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_PIXELS", 100)
    assert decode(encode_png(noise(1, 10, 10)), "x").shape == (10, 10)
    assert reason_of(encode_png(noise(1, 10, 11))) == "too large"


@pytest.mark.slow
def test_decompression_bomb_in_a_text_chunk_is_rejected() -> None:
    body = b"Comment\0\0" + zlib.compress(bytes(80_000_000), 9)
    chunk = struct.pack(">I", len(body)) + b"zTXt" + body + struct.pack(">I", zlib.crc32(b"zTXt" + body))
    data = encode_png(noise(1, 4, 4))
    assert reason_of(data[:33] + chunk + data[33:]) == "unreadable"


@pytest.mark.parametrize(("width", "height"), [(0, 0), (0, 5), (5, 0)])
def test_image_without_pixels_is_an_error(width: int, height: int) -> None:
    assert reason_of(png(width, height)) in ("unreadable", "not an image", "truncated", "empty")


@pytest.mark.slow
@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM", "AVIF", "HEIF"])
def test_damaged_images_raise_only_image_errors(form: str, tmp_path: Path) -> None:
    source, rng = encode_as(noise(2, 12, 12, 3), form), random.Random(7)
    path, reasons = tmp_path / "a", set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(150):
            data = bytearray(source)
            for _ in range(rng.choice((1, 2, 8))):
                data[rng.randrange(min(len(data), 200))] = rng.randrange(256)
            path.write_bytes(data)
            for read in (read_image, image_info):
                try:
                    read(path)
                except ImageError as error:
                    reasons.add(error.reason)
    assert reasons <= {"not an image", "too large", "truncated", "unreadable"}


# --- digests, conversion and file names ---


@pytest.mark.slow
@given(pictures)
@settings(deadline=None)
def test_digest_depends_only_on_shape_and_pixels(pixels: np.ndarray) -> None:
    digest = pixel_digest(pixels)
    assert len(bytes.fromhex(digest)) == 32
    assert pixel_digest(np.asfortranarray(pixels)) == digest
    assert pixel_digest(decode(encoded(pixels, "BMP"), "x")) == digest
    assert pixel_digest(pixels.reshape(-1, 1)) != digest or pixels.shape[1:] == (1,)
    changed = pixels.copy()
    changed.flat[-1] ^= 1
    assert pixel_digest(changed) != digest


@pytest.mark.slow
@given(pictures)
@settings(deadline=None)
def test_image_info_reads_only_the_header(pixels: np.ndarray) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        file = Path(folder) / "a.png"
        file.write_bytes(encode_png(pixels))
        patch.setattr(images, "read_bytes", lambda path: pytest.fail("read beyond the header"))
        info = image_info(file)
    assert info == (*pixels.shape[:2], pixels.ndim == 2)


def test_as_color() -> None:
    grey, rgb = noise(1, 3, 4), noise(2, 3, 4, 3)
    assert as_color(grey, "gray") is grey
    assert as_color(rgb, "rgb") is rgb
    assert (as_color(grey, "rgb") == grey[..., None]).all()
    assert (as_color(as_color(grey, "rgb"), "gray") == grey).all()
    luma = rgb @ np.array([0.299, 0.587, 0.114])
    assert abs(as_color(rgb, "gray") - luma).max() <= 1


@pytest.mark.slow
@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 64), st.booleans())
@settings(deadline=None)
def test_fit_square_keeps_the_aspect_ratio(height: int, width: int, size: int, color: bool) -> None:
    pixels = np.full((height, width, 3) if color else (height, width), 200, np.uint8)
    fitted = fit_square(pixels, size)
    assert fitted.shape[:2] == (size, size)
    assert fitted.ndim == pixels.ndim
    plane = fitted[..., 0] if color else fitted
    assert set(np.unique(plane)) <= {0, 200}
    rows, columns = np.flatnonzero(plane.any(1)), np.flatnonzero(plane.any(0))
    inner_height, inner_width = len(rows), len(columns)
    assert (plane[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] == 200).all()
    assert max(inner_height, inner_width) == size
    scale = size / max(height, width)
    assert abs(inner_height - max(1, height * scale)) <= 0.5
    assert abs(inner_width - max(1, width * scale)) <= 0.5
    assert abs(rows[0] - (size - 1 - rows[-1])) <= 1  # equal bars on both sides
    assert abs(columns[0] - (size - 1 - columns[-1])) <= 1


def test_fit_square_is_the_identity_or_averages_areas() -> None:
    pixels = noise(1, 8, 8)
    assert fit_square(pixels, 8) is pixels
    means = pixels.reshape(4, 2, 4, 2).mean((1, 3))
    assert abs(fit_square(pixels, 4) - means).max() <= 1  # Pillow rounds up once per axis
    assert fit_square(pixels, 16).shape == (16, 16)


def test_suffixes(tmp_path: Path) -> None:
    assert all(has_image_suffix(Path(f"a{suffix}")) for suffix in (".JPG", ".jfif", ".jpe", ".avif", ".heic"))
    assert not any(has_image_suffix(Path(name)) for name in ("a", "a.txt", "a.npy", ".png", "a.png.zip"))
    for name, suffix, stem in (
        ("KA.AN1.39", False, "KA.AN1.39"),
        ("KA.AN1.39.png", True, "KA.AN1.39"),
        ("a.jpg_large", False, "a.jpg_large"),
        ("Mr. Smith 1", False, "Mr. Smith 1"),
        ("a.7z", True, "a"),
        ("a.jpg~", True, "a"),
        (".hidden", False, ".hidden"),
    ):
        assert (has_suffix(Path(name)), stem_of(Path(name))) == (suffix, stem)


@pytest.mark.parametrize(
    ("form", "suffix"),
    [
        *(("PNG", ".png"), ("JPEG", ".jpg"), ("BMP", ".bmp"), ("TIFF", ".tif"), ("WEBP", ".webp"), ("GIF", ".gif")),
        *(("PPM", ".ppm"), ("AVIF", ".avif"), ("HEIF", ".heic")),
    ],
)
def test_files_without_suffix_are_recognised_by_their_signature(form: str, suffix: str, tmp_path: Path) -> None:
    data = encode_as(noise(1, 64, 64, 3), form)
    for name in ("face", "KA.AN1.39"):
        write_tree(tmp_path, {name: data})
        assert suffix_of(tmp_path / name) == suffix
        assert is_image_file(tmp_path / name)
        assert read_image(tmp_path / name).shape == (64, 64, 3)
    write_tree(tmp_path, {"face.txt": data})
    assert not is_image_file(tmp_path / "face.txt")


@pytest.mark.parametrize("content", [b"", b"a text", b"BMW and others", b"P5.js", b"....ftypmp42....isom"])
def test_other_files_without_suffix_are_not_images(content: bytes, tmp_path: Path) -> None:
    write_tree(tmp_path, {"face": content})
    assert not is_image_file(tmp_path / "face")
    assert not is_image_file(tmp_path / "none")
    os.mkfifo(tmp_path / "pipe")
    assert not is_image_file(tmp_path / "pipe")
    assert not is_image_file(tmp_path)


@pytest.mark.parametrize("form", ["AVIF", "HEIF"])
def test_avif_and_heif_are_read_whatever_the_suffix(form: str, tmp_path: Path) -> None:
    grey = np.full((64, 64, 3), 90, np.uint8)
    write_tree(tmp_path, {"a.jpg": encode_as(grey, form)})
    pixels = read_image(tmp_path / "a.jpg")
    assert pixels.shape == (64, 64, 3)
    assert abs(pixels.astype(int) - 90).max() <= 3
    assert image_info(tmp_path / "a.jpg") == (64, 64, False)


def test_missing_heic_reader_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ImageError, match=r"pip install 'fercli\[heic\]'") as caught:
        decode(b"\0\0\0\x1cftypheic\0\0\0\0mif1heicmiaf", "x")
    assert caught.value.reason == images.NEEDS_HEIC


def test_missing_avif_support_error_names_the_pillow_version(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode_as(noise(1, 64, 64, 3), "AVIF")
    monkeypatch.setattr(images, "READS_AVIF", False)
    assert reason_of(data) == images.NEEDS_AVIF


@pytest.mark.slow
def test_pillow_heif_is_imported_lazily() -> None:
    code = "import sys; from fercli.images import decode, encode_png; import numpy as np; "
    code += "decode(encode_png(np.zeros((4, 4), np.uint8)), 'x'); sys.exit('pillow_heif' in sys.modules)"
    assert python(code).wait(timeout=60) == 0


def encode_as(pixels: np.ndarray, form: str) -> bytes:
    """Encode an image, or skip the test if the format cannot be written here."""
    if form == "HEIF":
        buffer = io.BytesIO()
        pytest.importorskip("pillow_heif").from_pillow(Image.fromarray(pixels)).save(buffer)
        return buffer.getvalue()
    if form == "AVIF" and not images.READS_AVIF:
        pytest.skip("this Pillow has no AVIF")
    return encoded(pixels, form)


def test_exif_orientation_matches_pillow() -> None:
    """The orientations in the test above are the standard's, as applied by Pillow."""
    stored = Image.fromarray(noise(3, 4, 6))
    exif = stored.getexif()
    exif[ExifTags.Base.Orientation] = 6
    data = encoded(stored, "PNG", exif=exif)
    with Image.open(io.BytesIO(data)) as image:
        oriented = ImageOps.exif_transpose(image)
    assert (decode(data, "x") == np.asarray(oriented)).all()
    assert (decode(data, "x") == np.rot90(np.asarray(stored), -1)).all()
