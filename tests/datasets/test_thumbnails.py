"""The album: pictures come back as they were put, from any thread, and nothing of it stays on the disk."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from fercli.datasets.duplicates import near_pairs
from fercli.datasets.perceptual import perceptual_hashes, shrink
from fercli.datasets.thumbnails import ThumbnailStore
from tests.helpers.datasets import face, noise


def test_pictures_come_back_in_any_order_and_as_often_as_asked(tmp_path: Path) -> None:
    pictures = [noise(seed, 48, 48) for seed in range(200)]
    with ThumbnailStore(tmp_path, 48) as album:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(album.__setitem__, range(200), pictures))
        numbers = np.random.default_rng(0).integers(0, 200, 500)
        assert np.array_equal(album[numbers], np.stack(pictures)[numbers])
        assert album[np.array([], np.intp)].shape == (0, 48, 48)
        assert list(tmp_path.iterdir()) == []  # a kill leaves nothing either


def test_near_pairs_are_the_same_as_from_memory(tmp_path: Path) -> None:
    plain = [face(seed) for seed in range(8)]
    pictures = (
        plain + [one[:, ::-1] for one in plain[:3]] + [np.clip(one * 0.9, 0, 255).astype(np.uint8) for one in plain]
    )
    small, compare = (np.stack(part) for part in zip(*map(shrink, pictures), strict=True))
    hashes, lively = perceptual_hashes(small), np.ones(len(pictures), bool)
    with ThumbnailStore(tmp_path, 48) as album:
        for number, picture in enumerate(compare):
            album[number] = picture
        found = near_pairs(hashes, album, lively)
    assert len(found) >= 11
    assert found == near_pairs(hashes, compare, lively)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full disk here")
def test_a_full_disk_is_an_error_and_no_endless_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = Path("/dev/full").open("wb", buffering=0)  # noqa: SIM115 - closed by the store
    monkeypatch.setattr("tempfile.TemporaryFile", lambda **options: full)
    with ThumbnailStore(tmp_path, 48) as album, pytest.raises(OSError, match="No space left"):
        album[0] = noise(0, 48, 48)
