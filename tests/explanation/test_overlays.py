"""Heat map overlays: colour follows the heat, and text stays within the image."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image

from fercli.explanation.overlays import (
    CELLS,
    COLUMNS,
    SIDE,
    THUMBNAIL,
    Sample,
    SampledFace,
    allocate_cells,
    enlarge,
    face_picture,
    overlay,
    sample_sheet,
)
from tests.helpers.datasets import face, noise

HOSTILE = "a\nb\x1b[31m" + "$\\x$ <b>" * 40 + "\udcff.png"


def spot(side: int = 48) -> np.ndarray:
    """Heat around the centre of the upper left quarter."""
    y, x = np.mgrid[:side, :side] / side
    return np.exp(-((x - 0.25) ** 2 + (y - 0.25) ** 2) * 40).astype(np.float32)


def cell(text: str = "happy 90%", note: str = "a.png") -> SampledFace:
    return SampledFace(enlarge(face(1), THUMBNAIL), overlay(face(1), spot(), THUMBNAIL), text, note)


def sample(count: int) -> Sample:
    result = Sample()
    for number in range(count):
        if result.select():
            result.add(SampledFace(noise(0, 1, 1), noise(0, 1, 1, 3), str(number), ""))
    return result


@pytest.mark.parametrize("shape", [(48, 48), (48, 48, 3), (500, 500, 3), (1, 1)])
def test_without_heat_the_face_is_grey(shape: tuple[int, ...]) -> None:
    pixels = noise(3, *shape)
    plain = overlay(pixels, np.zeros((12, 12), np.float32), 100)
    assert plain.shape == (100, 100, 3)
    assert (plain == plain[..., :1]).all()
    if shape == (48, 48):
        assert np.array_equal(plain[..., 0], enlarge(pixels, 100))


def test_colour_follows_heat() -> None:
    grey = np.full((48, 48), 100, np.uint8)
    shown = overlay(grey, spot(), 96).astype(int)
    changed = np.abs(shown - 100).sum(2)
    heat = np.asarray(Image.fromarray(spot()).resize((96, 96), Image.Resampling.BILINEAR))
    assert changed[24, 24] > 200
    assert (changed[heat < 1e-3] == 0).all()
    assert shown[24, 24].max() - shown[24, 24].min() > 60
    peak = np.unravel_index(changed.argmax(), changed.shape)
    assert abs(peak[0] - 24) <= 3
    assert abs(peak[1] - 24) <= 3


@pytest.mark.parametrize("side", [16, 48, 224, 400])
def test_face_picture_is_at_least_224_px_high_and_outlines_regions(side: int) -> None:
    regions = np.zeros((side, side), bool)
    regions[side // 4 : side // 2, side // 4 : side // 2] = True
    without = face_picture(face(1), spot(side), None, "t", "n")
    within = face_picture(face(1), spot(side), regions, "t", "n")
    shown = max(SIDE, side)
    assert shown >= 224
    assert within.width >= 2 * shown
    changed = np.nonzero((np.asarray(within) != np.asarray(without)).any(2))
    assert changed[1].min() > shown  # only in the overlay
    assert len(changed[0]) == pytest.approx(4 * shown / 4, rel=0.1)


def test_long_names_stay_within_the_picture() -> None:
    for picture in (
        face_picture(face(1), spot(), None, HOSTILE, HOSTILE),
        sample_sheet(HOSTILE, HOSTILE, {HOSTILE: sample_of([cell(HOSTILE, HOSTILE)])}),
    ):
        pixels = np.asarray(picture)
        for edge in (pixels[:6], pixels[-6:], pixels[:, :6], pixels[:, -6:]):
            assert (edge == 255).all()


def sample_of(cells: list[SampledFace]) -> Sample:
    result = Sample()
    for one in cells:
        assert result.select()
        result.add(one)
    return result


@pytest.mark.parametrize("count", [1, CELLS - 1, 2 * CELLS, 2 * CELLS + 1, 1000, 10_000])
def test_sample_is_evenly_spaced(count: int) -> None:
    evenly = sample(count)
    assert evenly.total == count
    numbers = [int(one.text) for one in evenly.spread(COLUMNS)]
    assert len(numbers) == min(COLUMNS, count)
    assert numbers == sorted(set(numbers))
    assert numbers[0] == 0
    if count > CELLS:
        steps = np.diff(numbers) / (count / COLUMNS)
        assert steps.min() > 0.5
        assert steps.max() < 1.6
    assert len(evenly.spread(10**9)) <= 2 * CELLS


def test_rows_go_to_the_largest_groups() -> None:
    counts = {"angry": 2, "happy": 100, "sad": 7}
    allocated = allocate_cells({name: sample(count) for name, count in counts.items()})
    assert {name: len(cells) for name, cells in allocated.items()} == {"angry": 2, "happy": 30, "sad": 5}
    many = {str(number): sample(9) for number in range(30)}
    assert all(len(cells) == COLUMNS for cells in allocate_cells(many).values())
    assert {name: len(cells) for name, cells in allocate_cells({"fear": sample(9)}).items()} == {"fear": 9}


def test_contact_sheet_shows_faces_next_to_their_overlays() -> None:
    groups = {"happy": sample_of([cell()] * 7), "sad": sample_of([cell()])}
    sheet = np.asarray(sample_sheet("title", "note", groups))
    pair = np.concatenate([np.repeat(cell().face[..., None], 3, 2), np.full((THUMBNAIL, 2, 3), 255), cell().overlay], 1)
    difference = cv2.matchTemplate(sheet, pair.astype(np.uint8), cv2.TM_SQDIFF)
    matches = np.argwhere(difference < 1000).tolist()
    assert len(matches) == 8
    assert len({top for top, _ in matches}) == 3  # five and two of the first emotion, one of the second
