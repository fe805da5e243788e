"""Photographs and face crops in memory: every form gives the same pixels, wrong ones are one clear line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from fercli.errors import DataError, ImageError, UsageError
from fercli.images import read_image
from fercli.stages.predict.arrays import InMemory, crops_of, photograph_of
from tests.helpers.prediction import picture

RGB = picture(5, seed=1)
GREY = RGB[..., 0].copy()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (RGB, RGB),
        (GREY, GREY),
        (GREY[..., None], GREY),
        (RGB[::-1, :, ::-1], RGB[::-1, :, ::-1]),  # a view, as from BGR to RGB
        (torch.from_numpy(RGB).permute(2, 0, 1), RGB),
        (torch.from_numpy(GREY), GREY),
        (torch.from_numpy(GREY)[None], GREY),
        (Image.fromarray(RGB), RGB),
        (Image.fromarray(GREY), GREY),
        (Image.fromarray(RGB).convert("RGBA"), RGB),
    ],
)
def test_all_forms_give_the_same_pixels(value: Any, expected: np.ndarray) -> None:
    found = photograph_of(value)
    assert found.dtype == np.uint8
    assert found.flags.c_contiguous
    assert np.array_equal(found, expected)


def test_orientation_of_a_pillow_image_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(RGB).save(tmp_path / "turned.png", exif=exif)
    assert np.array_equal(photograph_of(Image.open(tmp_path / "turned.png")), read_image(tmp_path / "turned.png"))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (RGB / 255, r"values of type float64: .*uint8.*\(255 \* x\)\.astype"),
        (RGB.astype(np.int64), r"values of type int64: .*values in 0\.\.255 by x\.astype"),
        (RGB.astype(np.uint16), r"values in 0\.\.65535 by \(x // 257\)"),
        (torch.zeros(3, 4, 4, dtype=torch.bfloat16), r"values of type bfloat16: .*x\.to\(torch\.uint8\)"),
        (RGB[None], r"shape \(1, 60, 160, 3\): .*list.*predict_faces"),
        (np.moveaxis(RGB, 2, 0), r"shape \(3, 60, 160\): .*np\.moveaxis"),
        (RGB[..., :2], r"shape \(60, 160, 2\)"),
        (RGB[:0], r"shape \(0, 160, 3\)"),
        (np.zeros(5, np.uint8), r"shape \(5,\)"),
        (torch.from_numpy(RGB), r"shape \(60, 160, 3\): a tensor is .*x\.permute\(2, 0, 1\)"),
        (7, "int: expected a path, an array, a tensor or a Pillow image"),
        (None, "NoneType: expected a path"),
    ],
)
def test_other_values_are_one_clear_line(value: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        photograph_of(value)
    assert "\n" not in str(raised.value)


def shapes(crops: list[np.ndarray]) -> list[tuple[int, ...]]:
    return [crop.shape for crop in crops]


def test_square_crops_are_unchanged() -> None:
    faces = np.random.default_rng(0).integers(0, 256, (5, 30, 30), np.uint8)
    assert np.array_equal(crops_of(faces, 24, "gray")[0], faces)
    colored = np.repeat(faces[..., None], 3, 3)
    assert np.array_equal(crops_of(torch.from_numpy(colored).permute(0, 3, 1, 2), 24, "gray")[0], colored)
    assert np.array_equal(crops_of(faces[..., None], 24, "gray")[0], faces)
    assert np.array_equal(np.concatenate(crops_of(list(faces), 24, "gray")), faces)
    assert crops_of(faces[:0], 24, "gray") == []
    assert crops_of([], 24, "gray") == []


def test_other_crops_are_padded_to_the_face_size(tmp_path: Path) -> None:
    assert shapes(crops_of(np.zeros((2, 40, 30, 3), np.uint8), 24, "gray")) == [(1, 24, 24)] * 2
    Image.fromarray(RGB).save(tmp_path / "a.png")
    mixed = [GREY, RGB[:50, :50], tmp_path / "a.png", Image.fromarray(RGB)]
    assert shapes(crops_of(mixed, 24, "rgb")) == [(1, 24, 24, 3), (1, 50, 50, 3), (1, 24, 24, 3), (1, 24, 24, 3)]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (RGB, r"for one face, add an axis"),
        (GREY, r"for one face, add an axis"),
        (np.zeros((2, 30, 30), np.float32), "values of type float32"),
        (np.zeros((2, 3, 30, 30), np.uint8), r"shape \(2, 3, 30, 30\)"),
        (np.zeros((2, 0, 0), np.uint8), r"shape \(2, 0, 0\)"),
        ("photo.jpg", "str: expected"),
    ],
)
def test_other_crops_are_one_clear_line(value: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        crops_of(value, 24, "gray")


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.png: no such file"):
        InMemory([RGB, tmp_path / "none.png"])
    (tmp_path / "film.mp4").touch()
    with pytest.raises(DataError, match=r"film\.mp4: a video; pass it alone"):
        InMemory([RGB, tmp_path / "film.mp4"])
    with pytest.raises(DataError, match="a folder; pass it alone"):
        InMemory([tmp_path])
    with pytest.raises(ImageError, match=r"none\.png: no such file"):
        crops_of([tmp_path / "none.png"], 24, "gray")
