"""The thumbnail store: it returns what was stored from any thread."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from fercli.datasets.duplicates import near_pairs
from fercli.datasets.perceptual import perceptual_hashes, shrink
from fercli.datasets.thumbnails import ThumbnailStore
from tests.helpers.datasets import face, noise


def test_thumbnails_are_returned_in_any_order(tmp_path: Path) -> None:
    pictures = [noise(seed, 48, 48) for seed in range(200)]
    with ThumbnailStore(tmp_path / "thumbnails.bin", 48) as store:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(store.__setitem__, range(200), pictures))
        numbers = np.random.default_rng(0).integers(0, 200, 500)
        assert np.array_equal(store[numbers], np.stack(pictures)[numbers])
        assert store[np.array([], np.intp)].shape == (0, 48, 48)
    with ThumbnailStore(tmp_path / "thumbnails.bin", 48) as store:  # kept for a call that resumes
        assert np.array_equal(store[numbers], np.stack(pictures)[numbers])


def test_near_pairs_are_the_same_as_with_an_array(tmp_path: Path) -> None:
    plain = [face(seed) for seed in range(8)]
    pictures = (
        plain + [one[:, ::-1] for one in plain[:3]] + [np.clip(one * 0.9, 0, 255).astype(np.uint8) for one in plain]
    )
    small, compare = (np.stack(part) for part in zip(*map(shrink, pictures), strict=True))
    hashes, has_contrast = perceptual_hashes(small), np.ones(len(pictures), bool)
    with ThumbnailStore(tmp_path / "thumbnails.bin", 48) as store:
        for number, picture in enumerate(compare):
            store[number] = picture
        found = near_pairs(hashes, store, has_contrast)
    assert len(found) >= 11
    assert found == near_pairs(hashes, compare, has_contrast)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full disk here")
def test_full_disk_is_an_error() -> None:
    with ThumbnailStore(Path("/dev/full"), 48) as store, pytest.raises(OSError, match="No space left"):
        store[0] = noise(0, 48, 48)
