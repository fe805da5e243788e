"""Small faces in large photographs, and rotated faces: each detected once, in place."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fercli.faces.base import Face
from fercli.faces.cropping import crop_face
from fercli.faces.detectors import create_detector
from fercli.faces.tiling import (
    ScalableDetector,
    Search,
    search_sides,
    suppress_overlaps,
    tile_overlap,
    tiles,
    with_search,
)
from fercli.images import Color, Pixels, read_image
from tests.helpers.photographs import HOPPER


class SpotDetector:
    """Detects bright squares of at least `min_face` pixels on black; records the shapes of its inputs."""

    name = "spots"
    landmarks = True
    color: Color = "gray"
    tile, min_face = 128, 8

    def __init__(self) -> None:
        self.seen: list[tuple[int, ...]] = []

    def default_side(self, height: int, width: int) -> int:
        return min(128, max(height, width))

    def detect(self, pixels: Pixels) -> list[Face]:
        from fercli.faces.scaling import reduce_to

        small, scaling = reduce_to(pixels, self.default_side(*pixels.shape[:2]))
        factor = 1 / scaling.scale_x
        found = []
        for face in self.detect_unscaled(small):
            left, top, wide, high = (value * factor for value in face.box)
            found.append(Face((left, top, wide, high), face.score))
        return found

    def detect_unscaled(self, pixels: Pixels) -> list[Face]:
        import cv2

        self.seen.append(pixels.shape)
        grey = pixels if pixels.ndim == 2 else pixels[..., 0]
        _, _, stats, _ = cv2.connectedComponentsWithStats((grey > 60).astype(np.uint8))
        return [
            Face((float(x), float(y), float(w), float(h)), 0.5 + min(w, 400) / 1000)
            for x, y, w, h, _ in stats[1:].tolist()
            if min(w, h) >= self.min_face
        ]


def spots(width: int, height: int, *squares: tuple[int, int, int]) -> Pixels:
    pixels = np.zeros((height, width), np.uint8)
    for left, top, side in squares:
        pixels[top : top + side, left : left + side] = 255
    return pixels


def centre(face: Face) -> tuple[float, float]:
    return face.box[0] + face.box[2] / 2, face.box[1] + face.box[3] / 2


# --- passes and tiles ---


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 12_000), st.integers(64, 2000))
def test_tiles_cover_the_side_and_every_face_up_to_the_overlap(length: int, tile: int) -> None:
    found = tiles(length, tile)
    assert found[0][0] == 0
    assert found[-1][1] == length
    assert all(end - start == min(tile, length) for start, end, _, _ in found)
    face = tile_overlap(tile) - 2
    for middle in {0.0, length / 3, length / 2, float(length), *(float(low) for _, _, low, _ in found)}:
        middle = min(max(middle, 0.0), float(length))
        accepting = [(start, end) for start, end, low, high in found if low <= middle <= high]
        assert accepting
        # Entirely within each tile that accepts it, except beyond the photograph's edges.
        low, high = (
            max(0.0, middle - face / 2 + tile_overlap(tile) // 8),
            min(float(length), middle + face / 2 - tile_overlap(tile) // 8),
        )
        assert all(start <= low and high <= end for start, end in accepting)


@settings(deadline=None)
@given(st.integers(1, 20_000), st.integers(1, 20_000), st.integers(8, 300), st.integers(64, 1500), st.integers(8, 40))
def test_no_face_size_is_missed_between_passes(height: int, width: int, wanted: int, tile: int, min_face: int) -> None:
    default = min(tile, max(height, width))
    longest = max(height, width)
    whole, *tiled = search_sides(height, width, Search(min_face=wanted), default, tile, min_face)
    covered = []
    for size in tiled:
        covered.append((min_face * longest / size, max(tile_overlap(tile), 2 * min_face) * longest / size))
    covered.append((min_face * longest / whole, math.inf))
    assert covered[0][0] <= max(wanted, min_face) * 1.01 + 1
    for (_, high), (low, _) in pairwise(covered):
        assert low <= high * 1.05 + 1


def test_search_sides() -> None:
    assert search_sides(480, 640, Search(min_face=48), 320, 1280, 16) == [320]
    assert search_sides(480, 640, Search(), 320, 1280, 16) == [320]
    assert search_sides(3024, 4032, Search(min_face=48), 640, 1280, 16) == [640, 1344]
    assert search_sides(1500, 2000, Search(min_face=48), 640, 1280, 16) == [667]
    assert search_sides(1800, 2400, Search(min_face=48), 640, 1280, 16) == [640, 800]  # 640 for large ones
    assert search_sides(3024, 4032, Search(min_face=200), 640, 1280, 16) == [640]
    assert search_sides(3024, 4032, Search(size=4032, min_face=48), 640, 1280, 16)[:2] == [640, 4032]
    assert search_sides(3024, 4032, Search(size=320, min_face=48), 640, 1280, 16) == [320]
    assert search_sides(480, 640, Search(size=9000), 320, 1280, 16) == [320, 640]  # never enlarged


# --- detection ---


def test_small_and_large_faces_are_detected_once_and_in_place() -> None:
    small = [(40 + 150 * k, 30 + 90 * k, 48) for k in range(7)]
    pixels = spots(1600, 1200, *small, (900, 100, 400))
    assert [face.box[2] for face in SpotDetector().detect(pixels)] == pytest.approx([400], abs=20)
    detector = SpotDetector()
    found = with_search(detector, Search(min_face=48)).detect(pixels)
    assert len(found) == 8
    assert centre(found[0]) == pytest.approx((1100, 300), abs=8)
    placed = sorted((face for face in found[1:]), key=lambda face: face.box[0])
    for face, (left, top, side) in zip(placed, small, strict=True):
        assert face.box == pytest.approx((left, top, side, side), abs=8)
    assert max(max(shape[:2]) for shape in detector.seen) <= detector.tile


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@given(st.integers(0, 1150), st.integers(0, 750))
def test_face_is_detected_anywhere(left: int, top: int) -> None:
    found = with_search(SpotDetector(), Search(min_face=48)).detect(spots(1200, 800, (left, top, 50)))
    assert len(found) == 1
    assert centre(found[0]) == pytest.approx((left + 25, top + 25), abs=6)


def test_size_overrides_min_face() -> None:
    pixels = spots(1600, 1200, (500, 500, 12), (900, 300, 100))
    assert len(with_search(SpotDetector(), Search(min_face=48)).detect(pixels)) == 1
    assert len(with_search(SpotDetector(), Search(size=1600, min_face=48)).detect(pixels)) == 2
    assert len(with_search(SpotDetector(), Search(size=100, min_face=48)).detect(pixels)) == 0


def test_default_search_returns_the_detector_itself() -> None:
    detector = SpotDetector()
    assert with_search(detector, Search()) is detector
    assert isinstance(detector, ScalableDetector)


def test_parts_are_suppressed_unless_they_score_higher() -> None:
    large, eye, child = Face((0, 0, 100, 100), 0.8), Face((20, 20, 20, 20), 0.5), Face((60, 60, 30, 30), 0.9)
    assert set(suppress_overlaps([large, eye, child])) == {large, child}


# --- rotations ---


class UprightDetector:
    """Detects the bright region of an image; its score is higher if it is brighter at the top than at the bottom."""

    name = "upright"
    landmarks = True

    def detect(self, pixels: Pixels) -> list[Face]:
        ys, xs = np.nonzero(pixels > 100)
        left, top, right, bottom = xs.min(), ys.min(), xs.max() + 1, ys.max() + 1
        middle = (top + bottom) // 2
        upper, lower = pixels[top:middle, left:right].mean(), pixels[middle:bottom, left:right].mean()
        box = tuple(float(value) for value in (left, top, right - left, bottom - top))
        marks = ((box[0] + 1, box[1] + 1), (box[0] + box[2] - 1, box[1] + 1))
        return [Face(box, float(upper - lower), marks)]  # type: ignore[arg-type]


@pytest.mark.parametrize("turn", [0, 1, 2, 3])
def test_rotated_face_is_detected_in_place_and_cropped_upright(turn: int) -> None:
    upright = np.zeros((120, 200), np.uint8)
    upright[30:70, 50:90] = np.linspace(250, 110, 40).astype(np.uint8)[:, None]
    photograph = np.rot90(upright, -turn)  # np.rot90 rotates counterclockwise
    (face,) = with_search(UprightDetector(), Search(turns=True)).detect(photograph)
    assert face.turn == 90 * turn
    ys, xs = np.nonzero(photograph)
    assert face.box == (xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1)
    assert np.array_equal(crop_face(photograph, face, 40, "gray"), upright[30:70, 50:90])
    assert face.landmarks is not None
    (x0, y0), (x1, y1) = face.landmarks
    assert round(math.degrees(math.atan2(y1 - y0, x1 - x0))) % 360 == 90 * turn
    aligned = crop_face(photograph, face, 40, "gray", align=True)
    assert np.abs(aligned.astype(int) - upright[30:70, 50:90]).max() <= 4


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_haar_detects_a_rotated_portrait(turn: int) -> None:
    upright = read_image(HOPPER)[::2, ::2]
    photograph = np.ascontiguousarray(np.rot90(upright, -turn))
    (straight,) = create_detector("haar").detect(upright)
    found = with_search(create_detector("haar"), Search(turns=True)).detect(photograph)
    face = max(found, key=lambda face: face.score)
    assert face.turn == 90 * turn
    same = crop_face(upright, straight, 48, "gray").astype(int)
    assert np.abs(crop_face(photograph, face, 48, "gray") - same).mean() < 2


@pytest.mark.slow
def test_haar_detects_small_faces_in_a_large_photograph() -> None:
    portrait = read_image(HOPPER)
    import cv2

    side = 70 * 512 // 210  # the face is 210 pixels wide
    small = cv2.resize(portrait, (side, side * portrait.shape[0] // portrait.shape[1]), interpolation=cv2.INTER_AREA)
    photograph = np.full((2400, 3200, 3), 120, np.uint8)
    for left, top in ((100, 100), (1500, 900), (2900, 2000)):
        photograph[top : top + small.shape[0], left : left + small.shape[1]] = small
    assert len(create_detector("haar").detect(photograph)) == 0
    found = with_search(create_detector("haar"), Search(min_face=48)).detect(photograph)
    assert len(found) == 3
