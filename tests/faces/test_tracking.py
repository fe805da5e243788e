"""Faces keep their numbers from frame to frame: standing, moving, passing each other, gone for a while."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fercli.faces.base import Box, Face
from fercli.faces.tracking import GAP, FaceTracker, Look, appearance

boxes = st.tuples(*[st.floats(-50, 50)] * 2, *[st.floats(0.5, 60)] * 2)


def look(seed: int, noise: float = 0.1, again: int = 0) -> Look:
    """Return a person's look, a little different each time."""
    values = np.random.default_rng(seed).normal(size=144) + noise * np.random.default_rng([seed, again]).normal(
        size=144
    )
    values -= values.mean()
    return values / np.linalg.norm(values)


def at(x: float, y: float = 0.0, side: float = 40.0) -> Box:
    return (x, y, side, side)


def follow(*frames: list[tuple[int, Box]], step: float = 1.0) -> list[list[int]]:
    """Follow persons (their looks' seeds, their boxes) through frames `step` seconds apart."""
    follower = FaceTracker()
    return [
        follower.follow(k * step, [box for _, box in frame], [look(person, again=k) for person, _ in frame])
        for k, frame in enumerate(frames)
    ]


def test_those_who_stay_or_tremble_keep_their_numbers_in_any_order() -> None:
    assert follow(
        [(1, at(0)), (2, at(100))], [(2, at(103, 4)), (1, at(2, -3))], [(1, at(1, 1, 44)), (2, at(99, 0, 36))]
    ) == [[1, 2], [2, 1], [1, 2]]


@pytest.mark.parametrize("step", [0.04, 1.0])
def test_two_who_pass_each_other_keep_theirs(step: float) -> None:
    frames = [[(1, at(10.0 * k)), (2, at(100 - 10.0 * k))] for k in range(11)]
    assert follow(*frames, step=step) == [[1, 2]] * 11


def test_two_who_change_places_between_frames_keep_theirs() -> None:
    assert follow([(1, at(0)), (2, at(20))], [(1, at(20)), (2, at(0))]) == [[1, 2], [1, 2]]


def test_one_who_walks_far_between_frames_is_known_by_the_look_and_another_is_not() -> None:
    assert follow([(1, at(0))], [(1, at(300, 100))], [(2, at(600))]) == [[1], [1], [2]]


def test_one_of_another_size_elsewhere_is_another() -> None:
    assert follow([(1, at(0))], [(1, at(300, 0, 40 * 2.1))]) == [[1], [2]]


def test_who_is_hidden_for_a_moment_keeps_the_number_and_who_is_long_gone_gets_a_new_one() -> None:
    gone = [[(1, at(0)), (2, at(100))]]
    back = [[(1, at(50)), (2, at(100))]]
    others = [[(2, at(100))]]
    short, long = int(GAP / 0.5) - 1, int(GAP / 0.5) + 3
    assert follow(*gone, *others * short, *back, step=0.5)[-1] == [1, 2]
    assert follow(*gone, *others * long, *back, step=0.5)[-1] == [3, 2]
    assert follow(*gone, *others * 2, *back, step=60.0)[-1] == [1, 2]  # two frames, however far apart
    assert follow(*gone, *others * 3, *back, step=60.0)[-1] == [3, 2]


def test_a_stranger_in_the_same_place_is_new() -> None:
    assert follow([(1, at(0))], [(2, at(0))]) == [[1], [2]]
    assert follow([], [(1, at(0))], [], [(1, at(0))]) == [[], [1], [], [1]]


@given(st.lists(st.lists(st.tuples(st.integers(0, 5), boxes), max_size=5), max_size=6))
def test_numbers_are_given_once_a_frame_and_from_one_on(frames: list[list[tuple[int, Box]]]) -> None:
    numbers = follow(*frames)
    assert [len(own) for own in numbers] == [len(frame) for frame in frames]
    assert all(len(set(own)) == len(own) for own in numbers)
    first = list(dict.fromkeys(itertools.chain(*numbers)))
    assert first == list(range(1, len(first) + 1))


def test_a_look_is_of_mean_none_and_length_one_whatever_the_light() -> None:
    pixels = np.random.default_rng(0).integers(0, 120, (60, 60, 3), np.uint8)
    face = Face((10.4, 5.2, 40.0, 44.0), 1.0)
    found = appearance(pixels, face)
    assert abs(found.mean()) < 1e-9
    assert math.isclose(float(found @ found), 1)
    brighter = appearance((pixels * 2 + 10).astype(np.uint8), face)
    assert float(found @ brighter) > 0.99
    assert not appearance(np.full((60, 60), 7, np.uint8), face).any()
