"""Synthetic photographs: faces fit, do not touch, and match the ground truth."""

import numpy as np
import pytest

from fercli.emotions import EMOTIONS
from fercli.faces.synthetic.background import render_background
from fercli.faces.synthetic.identity import Identity, sample_identity
from fercli.faces.synthetic.photograph import LARGEST, SMALLEST, render_photograph, sample_placements


def person(number: int) -> Identity:
    return sample_identity(np.random.default_rng(number))


@pytest.mark.slow
@pytest.mark.parametrize("emotion", EMOTIONS)
def test_faces_are_inside_the_image_and_apart(emotion: str) -> None:
    for seed in range(3):
        pixels, faces = render_photograph(emotion, 20, person, np.random.default_rng([seed, 1]))
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


def test_one_to_three_placements_that_do_not_touch() -> None:
    found = [sample_placements(640, 480, np.random.default_rng(k)) for k in range(300)]
    assert {len(placements) for placements in found} == {1, 2, 3}
    for placements in found:
        assert placements == sorted(placements, key=lambda place: place.y)
        assert not any(one.overlaps(other) for k, one in enumerate(placements) for other in placements[:k])


@pytest.mark.slow
def test_people_may_be_fewer_than_faces() -> None:
    for seed in range(6):
        _, faces = render_photograph("sad", 1, person, np.random.default_rng(seed))
        assert {face.person for face in faces} == {0}


def test_rendering_is_deterministic() -> None:
    one, two, other = (render_photograph("fear", 9, person, np.random.default_rng(k))[0] for k in (1, 1, 2))
    assert np.array_equal(one, two)
    assert one.shape != other.shape or not np.array_equal(one, other)


def test_backgrounds_have_the_requested_size_and_differ() -> None:
    pictures = [render_background(91, 122, np.random.default_rng(k)) for k in range(60)]
    assert {picture.shape for picture in pictures} == {(91, 122, 3)}
    assert all(np.isfinite(picture).all() and picture.std() > 1 for picture in pictures)
    assert len({picture.tobytes() for picture in pictures}) == 60
