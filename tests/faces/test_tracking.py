"""Faces keep their IDs between frames: stationary, moving, crossing, and temporarily hidden."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fercli.faces.base import Box, Face
from fercli.faces.tracking import MAX_GAP, Appearance, FaceTracker, compute_appearance

boxes = st.tuples(*[st.floats(-50, 50)] * 2, *[st.floats(0.5, 60)] * 2)


def sample_appearance(seed: int, noise: float = 0.1, frame: int = 0) -> Appearance:
    """Return a person's appearance, slightly different in each frame."""
    values = np.random.default_rng(seed).normal(size=144) + noise * np.random.default_rng([seed, frame]).normal(
        size=144
    )
    values -= values.mean()
    return values / np.linalg.norm(values)


def at(x: float, y: float = 0.0, side: float = 40.0) -> Box:
    return (x, y, side, side)


def track(*frames: list[tuple[int, Box]], step: float = 1.0) -> list[list[int]]:
    """Track persons (seeds of their appearance, and boxes) through frames `step` seconds apart."""
    tracker = FaceTracker()
    return [
        tracker.update(k * step, [box for _, box in frame], [sample_appearance(person, frame=k) for person, _ in frame])
        for k, frame in enumerate(frames)
    ]


def test_ids_survive_jitter_and_reordering() -> None:
    assert track(
        [(1, at(0)), (2, at(100))], [(2, at(103, 4)), (1, at(2, -3))], [(1, at(1, 1, 44)), (2, at(99, 0, 36))]
    ) == [[1, 2], [2, 1], [1, 2]]


@pytest.mark.parametrize("step", [0.04, 1.0])
def test_ids_survive_crossing_paths(step: float) -> None:
    frames = [[(1, at(10.0 * k)), (2, at(100 - 10.0 * k))] for k in range(11)]
    assert track(*frames, step=step) == [[1, 2]] * 11


def test_ids_survive_swapped_positions() -> None:
    assert track([(1, at(0)), (2, at(20))], [(1, at(20)), (2, at(0))]) == [[1, 2], [1, 2]]


def test_distant_face_is_matched_by_appearance_only() -> None:
    assert track([(1, at(0))], [(1, at(300, 100))], [(2, at(600))]) == [[1], [1], [2]]


def test_distant_face_of_another_size_is_not_matched() -> None:
    assert track([(1, at(0))], [(1, at(300, 0, 40 * 2.1))]) == [[1], [2]]


def test_id_survives_short_gaps_only() -> None:
    gone = [[(1, at(0)), (2, at(100))]]
    back = [[(1, at(50)), (2, at(100))]]
    others = [[(2, at(100))]]
    short, long = int(MAX_GAP / 0.5) - 1, int(MAX_GAP / 0.5) + 3
    assert track(*gone, *others * short, *back, step=0.5)[-1] == [1, 2]
    assert track(*gone, *others * long, *back, step=0.5)[-1] == [3, 2]
    assert track(*gone, *others * 2, *back, step=60.0)[-1] == [1, 2]  # two frames, however far apart
    assert track(*gone, *others * 3, *back, step=60.0)[-1] == [3, 2]


def test_different_face_in_the_same_place_gets_a_new_id() -> None:
    assert track([(1, at(0))], [(2, at(0))]) == [[1], [2]]
    assert track([], [(1, at(0))], [], [(1, at(0))]) == [[], [1], [], [1]]


def test_cut_gives_all_faces_new_ids() -> None:
    tracker = FaceTracker()
    boxes, looks = [at(0), at(200)], [sample_appearance(1), sample_appearance(2)]
    assert tracker.update(0.0, boxes, looks) == [1, 2]
    assert tracker.update(0.1, boxes, looks) == [1, 2]
    assert tracker.update(0.2, boxes, looks, cut=True) == [3, 4]
    assert tracker.update(0.3, boxes, looks) == [3, 4]


@pytest.mark.slow
@given(st.lists(st.lists(st.tuples(st.integers(0, 5), boxes), max_size=5), max_size=6))
def test_ids_are_unique_per_frame_and_consecutive(frames: list[list[tuple[int, Box]]]) -> None:
    ids = track(*frames)
    assert [len(frame_ids) for frame_ids in ids] == [len(frame) for frame in frames]
    assert all(len(set(frame_ids)) == len(frame_ids) for frame_ids in ids)
    first = list(dict.fromkeys(itertools.chain(*ids)))
    assert first == list(range(1, len(first) + 1))


def test_appearance_is_normalised_and_invariant_to_lighting() -> None:
    pixels = np.random.default_rng(0).integers(0, 120, (60, 60, 3), np.uint8)
    face = Face((10.4, 5.2, 40.0, 44.0), 1.0)
    found = compute_appearance(pixels, face)
    assert abs(found.mean()) < 1e-9
    assert math.isclose(float(found @ found), 1)
    brighter = compute_appearance((pixels * 2 + 10).astype(np.uint8), face)
    assert float(found @ brighter) > 0.99
    assert not compute_appearance(np.full((60, 60), 7, np.uint8), face).any()
