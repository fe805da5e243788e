"""Photographs: faces that fit, do not touch, and are what was written down."""

import numpy as np
import pytest

from fercli.emotions import EMOTIONS
from fercli.faces.synthetic.background import draw_background
from fercli.faces.synthetic.identity import Identity, draw_identity
from fercli.faces.synthetic.photograph import LARGEST, SMALLEST, choose_places, draw_photograph


def person(number: int) -> Identity:
    return draw_identity(np.random.default_rng(number))


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_faces_lie_inside_and_apart(emotion: str) -> None:
    for seed in range(3):
        pixels, faces = draw_photograph(emotion, 20, person, np.random.default_rng([seed, 1]))
        assert pixels.dtype == np.uint8
        height, width = pixels.shape[:2]
        assert 1 <= len(faces) <= 3
        assert len({face.person for face in faces}) == len(faces)
        for face in faces:
            left, top, wide, high = face.box
            assert SMALLEST <= wide <= LARGEST
            assert 0 <= left < left + wide <= width
            assert 0 <= top < top + high <= height
            assert ((face.landmarks >= 0) & (face.landmarks <= (width - 1, height - 1))).all()
            assert (face.intensity == 0) == (emotion == "neutral")
        for k, one in enumerate(faces):
            for other in faces[:k]:
                apart = np.abs(np.subtract(one.box[:2], other.box[:2]))
                assert (apart > np.minimum(one.box[2:], other.box[2:])).any()


def test_places_are_one_to_three_and_none_touch() -> None:
    found = [choose_places(640, 480, np.random.default_rng(k)) for k in range(300)]
    assert {len(places) for places in found} == {1, 2, 3}
    for places in found:
        assert places == sorted(places, key=lambda place: place.y)
        assert not any(one.overlaps(other) for k, one in enumerate(places) for other in places[:k])


def test_fewer_people_than_faces_still_works() -> None:
    for seed in range(6):
        _, faces = draw_photograph("sad", 1, person, np.random.default_rng(seed))
        assert {face.person for face in faces} == {0}


def test_equal_seeds_draw_equal_pictures() -> None:
    one, two, other = (draw_photograph("fear", 9, person, np.random.default_rng(k))[0] for k in (1, 1, 2))
    assert np.array_equal(one, two)
    assert one.shape != other.shape or not np.array_equal(one, other)


def test_backgrounds_have_their_size_and_differ() -> None:
    pictures = [draw_background(91, 122, np.random.default_rng(k)) for k in range(60)]
    assert {picture.shape for picture in pictures} == {(91, 122, 3)}
    assert all(np.isfinite(picture).all() and picture.std() > 1 for picture in pictures)
    assert len({picture.tobytes() for picture in pictures}) == 60
