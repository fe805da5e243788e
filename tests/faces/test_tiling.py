"""Small faces in large photographs, and turned ones: found once, in their place, by every detector that can be told."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fercli.faces.base import Face
from fercli.faces.cropping import crop_face
from fercli.faces.detectors import create_detector
from fercli.faces.tiling import Network, Search, searching, shared, sizes, surest, tiles
from fercli.images import Color, Pixels, read_image
from tests.helpers.photographs import HOPPER


class Spots:
    """Finds bright squares of at least `reach` pixels on black, with a mark for each corner; remembers what it got."""

    name = "spots"
    landmarks = True
    color: Color = "gray"
    tile, reach = 128, 8

    def __init__(self) -> None:
        self.seen: list[tuple[int, ...]] = []

    def usual(self, height: int, width: int) -> int:
        return min(128, max(height, width))

    def detect(self, pixels: Pixels) -> list[Face]:
        from fercli.faces.scaling import reduce_to

        small, scaling = reduce_to(pixels, self.usual(*pixels.shape[:2]))
        factor = 1 / scaling.wide
        found = []
        for face in self.find(small):
            left, top, wide, high = (value * factor for value in face.box)
            found.append(Face((left, top, wide, high), face.score))
        return found

    def find(self, pixels: Pixels) -> list[Face]:
        import cv2

        self.seen.append(pixels.shape)
        grey = pixels if pixels.ndim == 2 else pixels[..., 0]
        _, _, stats, _ = cv2.connectedComponentsWithStats((grey > 60).astype(np.uint8))
        return [
            Face((float(x), float(y), float(w), float(h)), 0.5 + min(w, 400) / 1000)
            for x, y, w, h, _ in stats[1:].tolist()
            if min(w, h) >= self.reach
        ]


def spots(width: int, height: int, *squares: tuple[int, int, int]) -> Pixels:
    pixels = np.zeros((height, width), np.uint8)
    for left, top, side in squares:
        pixels[top : top + side, left : left + side] = 255
    return pixels


def centre(face: Face) -> tuple[float, float]:
    return face.box[0] + face.box[2] / 2, face.box[1] + face.box[3] / 2


# --- the sizes and tiles ---


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 12_000), st.integers(64, 2000))
def test_tiles_cover_a_side_and_any_face_that_two_of_them_can_share(length: int, tile: int) -> None:
    found = tiles(length, tile)
    assert found[0][0] == 0
    assert found[-1][1] == length
    assert all(end - start == min(tile, length) for start, end, _, _ in found)
    face = shared(tile) - 2
    for middle in {0.0, length / 3, length / 2, float(length), *(float(low) for _, _, low, _ in found)}:
        middle = min(max(middle, 0.0), float(length))
        counted = [(start, end) for start, end, low, high in found if low <= middle <= high]
        assert counted
        # Whole in each of those that count it, but for what lies beyond the photograph.
        low, high = (
            max(0.0, middle - face / 2 + shared(tile) // 8),
            min(float(length), middle + face / 2 - shared(tile) // 8),
        )
        assert all(start <= low and high <= end for start, end in counted)


@settings(deadline=None)
@given(st.integers(1, 20_000), st.integers(1, 20_000), st.integers(8, 300), st.integers(64, 1500), st.integers(8, 40))
def test_no_size_of_face_falls_between_two_passes(
    height: int, width: int, smallest: int, tile: int, reach: int
) -> None:
    usual = min(tile, max(height, width))
    longest = max(height, width)
    whole, *tiled = sizes(height, width, Search(smallest=smallest), usual, tile, reach)
    covered = []
    for size in tiled:
        covered.append((reach * longest / size, max(shared(tile), 2 * reach) * longest / size))
    covered.append((reach * longest / whole, math.inf))
    assert covered[0][0] <= max(smallest, reach) * 1.01 + 1
    for (_, high), (low, _) in pairwise(covered):
        assert low <= high * 1.05 + 1


def test_a_photograph_of_usual_size_is_searched_as_ever() -> None:
    assert sizes(480, 640, Search(smallest=48), 320, 1280, 16) == [320]
    assert sizes(480, 640, Search(), 320, 1280, 16) == [320]
    assert sizes(3024, 4032, Search(smallest=48), 640, 1280, 16) == [640, 1344]
    assert sizes(1500, 2000, Search(smallest=48), 640, 1280, 16) == [667]
    assert sizes(1800, 2400, Search(smallest=48), 640, 1280, 16) == [640, 800]  # a large face is sought at 640
    assert sizes(3024, 4032, Search(smallest=200), 640, 1280, 16) == [640]
    assert sizes(3024, 4032, Search(size=4032, smallest=48), 640, 1280, 16)[:2] == [640, 4032]
    assert sizes(3024, 4032, Search(size=320, smallest=48), 640, 1280, 16) == [320]
    assert sizes(480, 640, Search(size=9000), 320, 1280, 16) == [320, 640]  # never enlarged


# --- the passes ---


def test_small_and_large_faces_are_found_once_each_and_in_their_places() -> None:
    small = [(40 + 150 * k, 30 + 90 * k, 48) for k in range(7)]
    pixels = spots(1600, 1200, *small, (900, 100, 400))
    assert [face.box[2] for face in Spots().detect(pixels)] == pytest.approx([400], abs=20)
    network = Spots()
    found = searching(network, Search(smallest=48)).detect(pixels)
    assert len(found) == 8
    assert centre(found[0]) == pytest.approx((1100, 300), abs=8)
    placed = sorted((face for face in found[1:]), key=lambda face: face.box[0])
    for face, (left, top, side) in zip(placed, small, strict=True):
        assert face.box == pytest.approx((left, top, side, side), abs=8)
    assert max(max(shape[:2]) for shape in network.seen) <= network.tile


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 1150), st.integers(0, 750))
def test_a_face_is_found_wherever_it_stands(left: int, top: int) -> None:
    found = searching(Spots(), Search(smallest=48)).detect(spots(1200, 800, (left, top, 50)))
    assert len(found) == 1
    assert centre(found[0]) == pytest.approx((left + 25, top + 25), abs=6)


def test_more_and_less_can_be_asked_for() -> None:
    pixels = spots(1600, 1200, (500, 500, 12), (900, 300, 100))
    assert len(searching(Spots(), Search(smallest=48)).detect(pixels)) == 1
    assert len(searching(Spots(), Search(size=1600, smallest=48)).detect(pixels)) == 2
    assert len(searching(Spots(), Search(size=100, smallest=48)).detect(pixels)) == 0


def test_a_detector_that_is_told_nothing_stays_itself() -> None:
    network = Spots()
    assert searching(network, Search()) is network
    assert isinstance(network, Network)


def test_a_part_of_a_surer_face_goes_and_a_surer_face_within_stays() -> None:
    large, eye, child = Face((0, 0, 100, 100), 0.8), Face((20, 20, 20, 20), 0.5), Face((60, 60, 30, 30), 0.9)
    assert set(surest([large, eye, child])) == {large, child}


# --- turns ---


class Upright:
    """Finds a face where a picture is brighter at its top than at its bottom: by place and marks."""

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
def test_a_turned_face_is_found_in_its_place_and_cut_out_upright(turn: int) -> None:
    upright = np.zeros((120, 200), np.uint8)
    upright[30:70, 50:90] = np.linspace(250, 110, 40).astype(np.uint8)[:, None]
    photograph = np.rot90(upright, -turn)  # numpy turns against the clock
    (face,) = searching(Upright(), Search(turns=True)).detect(photograph)
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
def test_haar_finds_a_portrait_that_lies_on_its_side(turn: int) -> None:
    upright = read_image(HOPPER)[::2, ::2]
    photograph = np.ascontiguousarray(np.rot90(upright, -turn))
    (straight,) = create_detector("haar").detect(upright)
    found = searching(create_detector("haar"), Search(turns=True)).detect(photograph)
    face = max(found, key=lambda face: face.score)
    assert face.turn == 90 * turn
    same = crop_face(upright, straight, 48, "gray").astype(int)
    assert np.abs(crop_face(photograph, face, 48, "gray") - same).mean() < 2


def test_haar_finds_small_faces_of_a_large_photograph() -> None:
    portrait = read_image(HOPPER)
    import cv2

    side = 70 * 512 // 210  # the face is 210 pixels wide
    small = cv2.resize(portrait, (side, side * portrait.shape[0] // portrait.shape[1]), interpolation=cv2.INTER_AREA)
    photograph = np.full((2400, 3200, 3), 120, np.uint8)
    for left, top in ((100, 100), (1500, 900), (2900, 2000)):
        photograph[top : top + small.shape[0], left : left + small.shape[1]] = small
    assert len(create_detector("haar").detect(photograph)) == 0
    found = searching(create_detector("haar"), Search(smallest=48)).detect(photograph)
    assert len(found) == 3
