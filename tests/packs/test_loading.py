"""Loading a pack's faces for training, resident or from the files."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import torch

from fercli.artifacts import Artifact
from fercli.errors import DataError
from fercli.packs import loading
from fercli.packs.epoch_order import Window
from fercli.packs.file import PackInfo, read_split
from fercli.packs.loading import RESIDENT_SHARE, load_pack, split_batches
from fercli.packs.opening import open_pack
from fercli.packs.stored import StoredImages
from tests.helpers.packs import draw_faces, make_pack
from tests.helpers.shards import make_sharded

CPU = torch.device("cpu")


@pytest.fixture(scope="module", params=["gray", "rgb"])
def pack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    folder = tmp_path_factory.mktemp("packs")
    return make_pack(folder / "pack", {"train": 23, "validation": 5, "test": 0}, side=10, color=request.param)


@pytest.mark.parametrize("resident", [True, False])
def test_batches_follow_the_given_order(pack: Artifact, resident: bool) -> None:
    info = open_pack(pack)
    whole = read_split(info, "train")
    faces = load_pack(info, "train", CPU, resident=resident)
    assert faces.resident is resident
    assert len(faces) == 23
    order = torch.randperm(23, generator=torch.Generator().manual_seed(0))
    found = list(faces.batches(order, 5))
    assert [len(images) for images, _ in found] == [5, 5, 5, 5, 3]
    images, labels = (torch.cat(parts) for parts in zip(*found, strict=True))
    expected = whole.images[order.numpy()]
    expected = expected[:, None] if info.color == "gray" else np.moveaxis(expected, 3, 1)
    assert images.dtype == torch.uint8
    assert np.array_equal(images.numpy(), expected)
    assert labels.dtype == torch.int64
    assert np.array_equal(labels.numpy(), whole.labels[order.numpy()])


@pytest.mark.parametrize("resident", [True, False])
def test_votes_are_targets_on_request(tmp_path: Path, resident: bool) -> None:
    shares = np.random.default_rng(1).dirichlet(np.ones(7), 9).astype(np.float32)
    info = open_pack(make_pack(tmp_path / "pack", {"train": 9, "test": 4}, votes={"train": shares}))
    order = torch.tensor([8, 0, 3, 3, 5])

    def targets(split: str, **options: bool) -> torch.Tensor:
        faces = load_pack(info, split, CPU, resident=resident, **options)
        return torch.cat([targets for _, targets in faces.batches(order % len(faces), 2)])

    assert np.array_equal(targets("train", votes=True).numpy(), shares[order.numpy()])
    assert targets("train").tolist() == (order % 7).tolist()
    assert targets("test", votes=True).tolist() == (order % 4).tolist()  # it has none
    assert load_pack(info, "train", CPU, votes=True).labels.tolist() == [0, 1, 2, 3, 4, 5, 6, 0, 1]


def test_subset_with_repeats(pack: Artifact) -> None:
    info = open_pack(pack)
    order = torch.tensor([4, 4, 0])
    resident, mapped = (
        torch.cat([images for images, _ in load_pack(info, "train", CPU, resident=r).batches(order, 2)])
        for r in (True, False)
    )
    assert torch.equal(resident, mapped)
    assert torch.equal(resident[0], resident[1])
    assert not torch.equal(resident[0], resident[2])


@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize(
    ("count", "batch_size", "expected"),
    [
        (23, 8, [8, 8, 7]),  # 7 of 8 are more than half
        (20, 8, [8, 8]),  # half a batch is dropped
        (21, 8, [8, 8, 5]),
        (16, 8, [8, 8]),
        (3, 8, [3]),  # the only batch is kept
        (9, 1, [1] * 9),
    ],
)
def test_small_last_batch_is_dropped(
    pack: Artifact, resident: bool, count: int, batch_size: int, expected: list[int]
) -> None:
    faces = load_pack(open_pack(pack), "train", CPU, resident=resident)
    sizes = [len(labels) for _, labels in faces.fetch(split_batches(torch.arange(count), batch_size))]
    assert sizes == expected
    assert sum(len(labels) for _, labels in faces.batches(torch.arange(count), batch_size)) == count


def test_in_place_changes_do_not_reach_the_file(pack: Artifact) -> None:
    info = open_pack(pack)
    before = info.file.read_bytes()
    faces = load_pack(info, "train", CPU, resident=False)
    next(iter(faces.batches(torch.arange(3), 3)))[0].zero_()
    assert int(next(iter(faces.batches(torch.arange(3), 3)))[0].sum()) > 0
    assert info.file.read_bytes() == before


def test_errors_in_the_prefetch_thread_propagate(pack: Artifact) -> None:
    faces = load_pack(open_pack(pack), "train", CPU, resident=False)
    with pytest.raises(IndexError):
        list(faces.batches(torch.tensor([0, 1, 99]), 2))


# --- packs with shards ---


@pytest.fixture(scope="module")
def sharded(tmp_path_factory: pytest.TempPathFactory) -> PackInfo:
    return open_pack(make_sharded(tmp_path_factory.mktemp("sharded"), "rgb", codec="jpeg"))


@pytest.fixture
def on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Too little memory for any pack, and windows of ten faces in blocks of three."""
    monkeypatch.setattr(loading, "free_memory", lambda device: 0)
    monkeypatch.setattr(loading, "WINDOW_BYTES", 10 * 16 * 16 * 3)
    monkeypatch.setattr(loading, "BLOCKS", 3)


@pytest.mark.usefixtures("on_disk")
def test_without_memory_an_epoch_is_shuffled_in_windows(sharded: PackInfo) -> None:
    faces, whole = load_pack(sharded, "train", CPU), read_split(sharded, "train").images
    assert faces.window == Window(10, 3)
    assert str(faces) == "faces read from the disk, shuffled in windows of 10"
    order = faces.epoch_order(torch.Generator().manual_seed(1))
    assert sorted(order.tolist()) == list(range(24))
    found = torch.cat([images for images, _ in faces.batches(order, 7)])
    assert np.array_equal(found.numpy(), np.moveaxis(whole[order.numpy()], 3, 1))
    half = faces.subset(np.arange(24) % 2 == 0)
    assert np.array_equal(next(iter(half.batches(torch.tensor([1]), 1)))[0][0], np.moveaxis(whole[2], 2, 0))


@pytest.mark.parametrize(
    ("resident", "text"), [(True, "faces in memory"), (False, "faces read from the disk's cache in uniform order")]
)
def test_with_memory_the_order_is_uniform(sharded: PackInfo, resident: bool, text: str) -> None:
    faces = load_pack(sharded, "train", CPU, resident=resident)
    assert (faces.window, str(faces)) == (None, text)
    order = faces.epoch_order(torch.Generator().manual_seed(1))
    assert torch.equal(order, torch.randperm(24, generator=torch.Generator().manual_seed(1)))


@pytest.mark.usefixtures("on_disk")
def test_devices_read_their_parts_of_the_same_batches(sharded: PackInfo) -> None:
    faces = load_pack(sharded, "train", CPU, sharing=2)
    batches = split_batches(faces.epoch_order(torch.Generator().manual_seed(2)), 8)
    alone = [images for images, _ in faces.fetch(batches)]
    parts = [[images for images, _ in faces.fetch([batch[k::2] for batch in batches])] for k in range(2)]
    for whole, first, second in zip(alone, *parts, strict=True):
        assert torch.equal(whole[0::2], first)
        assert torch.equal(whole[1::2], second)


@pytest.mark.usefixtures("on_disk")
def test_packs_that_are_not_shuffled_have_no_windows(pack: Artifact) -> None:
    """A window of neighbours would be of one emotion, since datasets are sorted."""
    assert load_pack(open_pack(pack), "train", CPU).window is None


@pytest.mark.usefixtures("on_disk")
def test_chunks_are_read_to_two_buffers(sharded: PackInfo, monkeypatch: pytest.MonkeyPatch) -> None:
    read, buffers = StoredImages.read, set()

    def watched(self: StoredImages, rows: np.ndarray, out: np.ndarray) -> np.ndarray:
        buffers.add(out.ctypes.data)
        assert len(out) <= 10 + 2  # a window, and the rest of the batch at its end
        return read(self, rows, out)

    monkeypatch.setattr(StoredImages, "read", watched)
    faces = load_pack(sharded, "train", CPU)
    order = faces.epoch_order(torch.Generator())
    found = []
    for images, _ in faces.batches(order, 2):
        found.append(images)
        time.sleep(0.005)  # the thread has time to read as much as it may
    assert len(buffers) == 2
    monkeypatch.undo()
    whole = read_split(sharded, "train").images[order.numpy()]
    assert np.array_equal(torch.cat(found), np.moveaxis(whole, 3, 1))  # batches are not overwritten


@pytest.mark.parametrize(("factor", "resident"), [(1.01, True), (0.99, False)])
def test_free_memory_determines_residency(
    pack: Artifact, monkeypatch: pytest.MonkeyPatch, factor: float, resident: bool
) -> None:
    info = open_pack(pack)
    free = info.image_bytes("train") / RESIDENT_SHARE * factor
    monkeypatch.setattr("fercli.packs.loading.free_memory", lambda device: free)
    assert load_pack(info, "train", CPU).resident is resident


def test_missing_and_empty_splits_are_refused(pack: Artifact, tmp_path: Path) -> None:
    info = open_pack(pack)
    with pytest.raises(DataError, match="the test split is empty"):
        load_pack(info, "test", CPU)
    other = open_pack(make_pack(tmp_path / "other", {"train": 2}))
    with pytest.raises(DataError, match="the pack has no validation split; it has train"):
        load_pack(other, "validation", CPU)


def test_synthetic_faces_encode_their_label() -> None:
    labels = np.arange(7)
    rows = draw_faces(labels, 16).mean(2).argmax(1)
    assert (np.diff(rows) > 0).all()
