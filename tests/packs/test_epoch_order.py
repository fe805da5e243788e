"""The order of an epoch: a permutation, drawn from the generator alone, and as good as uniform for stored samples."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fercli.packs.epoch_order import Window, epoch_order


def draw(count: int, window: Window | None, seed: int = 0) -> np.ndarray:
    return epoch_order(count, window, torch.Generator().manual_seed(seed)).numpy()


@given(st.integers(1, 300), st.integers(1, 80), st.integers(1, 40), st.integers(0, 9))
def test_every_face_comes_once(count: int, faces: int, block: int, seed: int) -> None:
    order = draw(count, Window(faces, block), seed)
    assert order.dtype == np.int64
    assert sorted(order.tolist()) == list(range(count))
    assert (order == draw(count, Window(faces, block), seed)).all()


def test_without_a_window_the_order_is_uniform() -> None:
    assert (draw(50, None, 3) == torch.randperm(50, generator=torch.Generator().manual_seed(3)).numpy()).all()


def test_epochs_differ() -> None:
    assert (draw(1000, Window(100, 10), 1) != draw(1000, Window(100, 10), 2)).any()


def test_a_window_reads_few_blocks() -> None:
    window = Window(200, 20)
    order = draw(2000, window)
    runs = [1 + int((np.diff(np.sort(order[k : k + 200])) > 1).sum()) for k in range(0, 2000, 200)]
    assert max(runs) <= 12  # ten blocks, of which one or two are in two windows; in a uniform order, 180


@pytest.mark.parametrize("window", [None, Window(400, 8)])
def test_batches_have_the_emotions_of_a_random_sample(window: Window | None) -> None:
    """The chi-square of the emotions of all batches is within four deviations of its mean for sampling at random."""
    count, size, emotions = 8000, 50, 7
    labels = np.random.default_rng(0).integers(emotions, size=count)  # stored in shuffled order
    shares = np.bincount(labels) / count
    found = np.array(
        [np.bincount(batch, minlength=emotions) for batch in labels[draw(count, window)].reshape(-1, size)]
    )
    chi_square = ((found - size * shares) ** 2 / (size * shares)).sum()
    batches = count // size
    degrees = (emotions - 1) * (batches - 1)
    assert abs(chi_square - degrees) < 4 * (2 * degrees) ** 0.5


def test_faces_move_as_far_as_in_a_uniform_order() -> None:
    count = 8000
    places = [np.argsort(draw(count, Window(400, 8), seed)) for seed in (1, 2)]
    displacement = np.abs(places[0] - places[1]).mean() / count
    assert abs(displacement - 1 / 3) < 0.02  # the mean distance of two uniform numbers
