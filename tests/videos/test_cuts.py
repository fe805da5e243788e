"""Cuts are found between different pictures, not in motion, zoom, noise or a change of light."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from fercli.images import Pixels
from fercli.videos.cuts import is_cut, scene_of


def room(seed: int, height: int = 400, width: int = 720) -> Pixels:
    """Draw smooth blobs of random colours, as of a room out of focus."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 9, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))


def view(picture: Pixels, dx: int = 0, dy: int = 0, margin: int = 60) -> Pixels:
    height, width = picture.shape[:2]
    return picture[margin + dy : height - margin + dy, margin + dx : width - margin + dx]


def cut(one: Pixels, other: Pixels) -> bool:
    return is_cut(scene_of(one), scene_of(other))


@pytest.mark.parametrize("seed", range(8))
def test_another_picture_is_a_cut(seed: int) -> None:
    assert cut(view(room(seed)), view(room(seed + 100)))


@pytest.mark.parametrize("seed", range(4))
def test_changes_within_a_shot_are_not(seed: int) -> None:
    picture, generator = room(seed), np.random.default_rng(seed)
    still = view(picture)
    assert not cut(still, still)
    assert not cut(still, view(picture, 30, 20))  # a pan by a twentieth of the width
    assert not cut(still, cv2.resize(view(picture, margin=80), (still.shape[1], still.shape[0])))  # a zoom
    assert not cut(still, np.clip(still + generator.normal(0, 8, still.shape), 0, 255).astype(np.uint8))
    assert not cut(still, (still * 0.8).astype(np.uint8))  # a lamp goes out
    person = still.copy()
    person[60:200, 200:300] = 30  # somebody enters
    assert not cut(still, person)


def test_frames_of_one_colour() -> None:
    black, white = np.zeros((90, 160, 3), np.uint8), np.full((90, 160, 3), 255, np.uint8)
    assert not cut(black, black)
    assert not cut(black, white)  # a fade has no layout to compare
    assert cut(black, view(room(1)))
    assert cut(view(room(1)), black)


def test_grey_frames_of_any_size() -> None:
    grey = view(room(3))[..., 0].copy()
    assert not cut(grey, cv2.resize(grey, (64, 36)))
    assert not cut(grey, np.repeat(grey[..., None], 3, 2))
