"""Perceptual hashes, the search for close ones, near pairs, and removals."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.fft import dct
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from fercli.datasets import perceptual
from fercli.datasets.duplicates import (
    CONSTANT,
    EXACT_COPY,
    NEAR_COPY,
    PARENT_ELSEWHERE,
    PARENT_REMOVED,
    NearPair,
    Removal,
    components,
    conflicting,
    correlations,
    distinct,
    is_constant,
    near_pairs,
    removals,
)
from fercli.datasets.index import Row
from fercli.datasets.perceptual import ones, perceptual_hashes, shrink
from tests.helpers.datasets import face, noise


def near(small: np.ndarray, compare: np.ndarray, **options: Any) -> list[NearPair]:
    return near_pairs(perceptual_hashes(small), compare, compare.min((1, 2)) != compare.max((1, 2)), **options)


def pairs_of(*pictures: np.ndarray) -> list[NearPair]:
    small, compare = zip(*map(shrink, pictures), strict=True)
    return near(np.stack(small), np.stack(compare))


def row(path: str, sha256: str, parent: str = "") -> Row:
    split, emotion, _ = path.split("/")
    return Row(path, split, emotion, sha256=sha256, origin="augmented" if parent else "real", parent=parent)


# --- hashes ---


def plain_hash(picture: np.ndarray) -> int:
    """Reference implementation with scipy's DCT."""
    low = dct(dct(picture.astype(float), axis=0), axis=1)[:8, :8].ravel()
    bits = np.round(low, 6) > np.median(np.round(low, 6))
    return int("".join("1" if bit else "0" for bit in bits), 2)


@pytest.mark.parametrize("seed", range(8))
def test_hash_matches_the_definition(seed: int) -> None:
    picture = noise(seed, 32, 32)
    hashes, mirrored = perceptual_hashes(picture[None])
    assert int(hashes[0]) == plain_hash(picture)
    assert int(mirrored[0]) == plain_hash(picture[:, ::-1])


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_mirrored_hash_is_that_of_the_mirror_image(seed: int) -> None:
    picture = face(seed, 32)
    hashes, mirrored = perceptual_hashes(np.stack([picture, picture[:, ::-1]]))
    assert hashes[0] == mirrored[1]
    assert hashes[1] == mirrored[0]


def test_symmetric_picture_has_equal_hashes() -> None:
    half = noise(1, 32, 16)
    hashes, mirrored = perceptual_hashes(np.concatenate([half, half[:, ::-1]], axis=1)[None])
    assert hashes[0] == mirrored[0]


def test_hashes_do_not_depend_on_the_batch() -> None:
    pictures = noise(2, 4100, 32, 32)
    hashes, mirrored = perceptual_hashes(pictures)
    alone, alone_mirrored = perceptual_hashes(pictures[4095:4097])
    assert hashes[4095:4097].tolist() == alone.tolist()
    assert mirrored[4095:4097].tolist() == alone_mirrored.tolist()


def test_shrink_averages_by_area_and_is_grey() -> None:
    colour = np.zeros((96, 96, 3), np.uint8)
    colour[::2] = 200
    small, compare = shrink(colour)
    assert small.shape == (32, 32)
    assert compare.shape == (48, 48)
    assert (compare == 100).all()
    same = noise(3, 48, 48)
    assert (shrink(same)[1] == same).all()


@given(st.integers(1, 70), st.integers(1, 70), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_shrink_averages_each_cell_and_commutes_with_mirroring(height: int, width: int, seed: int) -> None:
    picture = noise(seed, height, width)
    small, compare = shrink(picture)
    # Reference: divide each pixel into 32 x 32 parts, then average cells of height x width parts.
    parts = picture.astype(np.int64).repeat(32, axis=0).repeat(32, axis=1)
    means = parts.reshape(32, height, 32, width).mean(axis=(1, 3))
    assert np.abs(small - means).max() <= 0.5 + 1e-6
    mirrored_small, mirrored_compare = shrink(picture[:, ::-1])
    assert np.abs(small.astype(int) - mirrored_small[:, ::-1]).max() <= 1  # halves may be rounded either way
    assert np.abs(compare.astype(int) - mirrored_compare[:, ::-1]).max() <= 1


@given(st.lists(st.integers(0, 2**64 - 1), max_size=20))
@settings(deadline=None)
def test_ones_counts_bits_with_and_without_numpy_2(values: list[int]) -> None:
    array = np.array(values, np.uint64)
    expected = [value.bit_count() for value in values]
    assert ones(array).tolist() == expected
    assert perceptual.ones_by_table(array).tolist() == expected


# --- near pairs ---


def test_brighter_and_rescaled_copies_are_near() -> None:
    picture = face(1)
    brighter = (picture // 2 + 90).astype(np.uint8)
    larger = np.asarray(Image.fromarray(picture).resize((96, 96), Image.Resampling.BILINEAR))
    found = pairs_of(picture, face(2), brighter, np.repeat(larger[..., None], 3, axis=2))
    assert [(p.a, p.b, p.mirrored) for p in found] == [(0, 2, False), (0, 3, False), (2, 3, False)]
    assert all(p.correlation >= 0.97 and p.bits <= 10 for p in found)


def test_mirrored_copies_are_one_pair() -> None:
    picture = noise(3, 48, 48)
    (pair,) = pairs_of(picture, noise(4, 48, 48), picture[:, ::-1])
    assert (pair.a, pair.b, pair.bits, pair.mirrored) == (0, 2, 0, True)
    assert pair.correlation == pytest.approx(1, abs=1e-5)


def test_symmetric_picture_is_not_its_own_copy() -> None:
    half = face(5)[:, :24]
    assert pairs_of(np.concatenate([half, half[:, ::-1]], axis=1), face(6)) == []


def test_equal_hashes_alone_are_not_a_near_pair() -> None:
    picture = face(7)
    grain = np.clip(picture // 3 + noise(8, 48, 48) * 0.9, 0, 255).astype(np.uint8)
    small, compare = zip(shrink(picture), shrink(grain), strict=True)
    assert near(np.stack([small[0], small[0]]), np.stack(compare)) == []


def test_thresholds_are_inclusive() -> None:
    pictures = [face(9), np.clip(face(9) * 0.8 + noise(10, 48, 48) * 0.1, 0, 255).astype(np.uint8)]
    (pair,) = pairs_of(*pictures)
    small, compare = (np.stack(part) for part in zip(*map(shrink, pictures), strict=True))
    assert near(small, compare, correlation=pair.correlation) == [pair]
    assert near(small, compare, correlation=pair.correlation + 1e-4) == []
    assert near(small, compare, bits=pair.bits) == [pair]


def test_pictures_without_contrast_have_no_near_copies() -> None:
    flat = [np.full((48, 48), value % 256, np.uint8) for value in range(300)]
    with np.errstate(all="raise"):
        assert pairs_of(*flat, face(1)) == []
    assert near(np.empty((0, 32, 32), np.uint8), np.empty((0, 48, 48), np.uint8)) == []


@given(st.integers(0, 2**32 - 1), st.booleans())
@settings(max_examples=25, deadline=None)
def test_correlation_matches_numpy(seed: int, mirrored: bool) -> None:
    compare = noise(seed, 4, 48, 48)
    i, j = np.array([0, 1, 2]), np.array([3, 3, 1])
    found = correlations(compare, i, j, mirrored=mirrored)
    right = compare[j][:, :, ::-1] if mirrored else compare[j]
    expected = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(compare[i], right, strict=True)]
    assert found == pytest.approx(expected, abs=1e-5)


def test_is_constant() -> None:
    assert is_constant(np.zeros((48, 48), np.uint8))
    assert is_constant(np.full((5, 7, 3), (255, 0, 9), np.uint8))
    almost = np.zeros((48, 48), np.uint8)
    almost[-1, -1] = 1
    assert not is_constant(almost)


# --- groups ---


@given(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=14))
@settings(deadline=None)
def test_components_match_scipy(edges: list[tuple[int, int]]) -> None:
    edges = [(a, b) for a, b in edges if a != b]
    a, b = [e[0] for e in edges], [e[1] for e in edges]
    _, labels = connected_components(coo_array(([1] * len(edges), (a, b)), shape=(12, 12)), directed=False)
    expected = [np.flatnonzero(labels == label).tolist() for label in range(labels.max() + 1)]
    assert components(12, edges) == sorted(group for group in expected if len(group) > 1)


def test_distinct_and_conflicting() -> None:
    rows = [row("train/sad/1.png", "a"), row("train/sad/2.png", "b"), row("test/fear/3.png", "a")]
    assert distinct(rows) == [[0, 2], [1]]
    assert conflicting(rows, [0, 2])
    assert not conflicting(rows, [0, 1])
    assert not conflicting([*rows, Row("unlabelled/4.png", "unlabelled", "", sha256="a")], [0, 3])


# --- removals ---


def removed_by_path(rows: list[Row], near: list[tuple[int, int]] = (), constant: list[int] = ()) -> dict[str, Removal]:
    pairs = [NearPair(a, b, 0, 0.99, False) for a, b in near]
    return {rows[i].path: why for i, why in removals(rows, distinct(rows), pairs, constant).items()}


def test_test_outranks_validation_outranks_train() -> None:
    rows = [
        row("train/sad/1.png", "a"),
        row("train/sad/2.png", "a"),
        row("validation/sad/3.png", "a"),
        row("test/sad/4.png", "a"),
        row("test/sad/5.png", "a"),
        row("train/sad/6.png", "b"),
        row("validation/fear/7.png", "b"),
        row("train/sad/8.png", "c"),
        row("train/sad/9.png", "c"),
    ]
    assert removed_by_path(rows) == {
        "train/sad/1.png": Removal(EXACT_COPY, "test/sad/4.png"),
        "train/sad/2.png": Removal(EXACT_COPY, "test/sad/4.png"),
        "validation/sad/3.png": Removal(EXACT_COPY, "test/sad/4.png"),
        "train/sad/6.png": Removal(EXACT_COPY, "validation/fear/7.png"),
    }


def test_unlabelled_copies_rank_lowest() -> None:
    rows = [Row("unlabelled/1.png", "unlabelled", "", sha256="a"), row("train/sad/2.png", "a")]
    assert removed_by_path(rows) == {"unlabelled/1.png": Removal(EXACT_COPY, "train/sad/2.png")}


def test_near_copies_count_only_directly() -> None:
    rows = [row("train/sad/1.png", "a"), row("validation/sad/2.png", "b"), row("test/sad/3.png", "c")]
    assert removed_by_path(rows) == {}
    # a ~ b ~ c: b is removed because of c, and then a has no near copy left.
    assert removed_by_path(rows, near=[(0, 1), (1, 2)]) == {
        "validation/sad/2.png": Removal(NEAR_COPY, "test/sad/3.png")
    }
    assert removed_by_path(rows, near=[(0, 1), (1, 2), (0, 2)]).keys() == {"train/sad/1.png", "validation/sad/2.png"}


def test_exact_copies_take_precedence_over_near_ones() -> None:
    rows = [row("train/sad/1.png", "a"), row("test/sad/2.png", "b"), row("validation/sad/3.png", "a")]
    assert removed_by_path(rows[:2], near=[(0, 1)]) == {"train/sad/1.png": Removal(NEAR_COPY, "test/sad/2.png")}
    assert removed_by_path(rows, near=[(0, 1)]) == {
        "train/sad/1.png": Removal(NEAR_COPY, "test/sad/2.png"),
        "validation/sad/3.png": Removal(NEAR_COPY, "test/sad/2.png"),
    }
    assert removed_by_path([*rows, row("test/sad/4.png", "a")], near=[(0, 1)])["train/sad/1.png"].reason == EXACT_COPY


def test_children_of_a_parent_in_another_split_are_removed() -> None:
    rows = [
        row("test/sad/p.png", "p"),
        row("train/sad/c.png", "c", parent="test/sad/p.png"),
        row("train/sad/g.png", "g", parent="train/sad/c.png"),
        row("train/sad/p.png", "q"),
        row("train/sad/d.png", "d", parent="train/sad/p.png"),
        row("test/sad/e.png", "e", parent="train/sad/p.png"),
        row("train/sad/o.png", "o", parent="train/sad/not-here.png"),
    ]
    assert removed_by_path(rows) == {
        "train/sad/c.png": Removal(PARENT_ELSEWHERE, "test/sad/p.png"),
        "train/sad/g.png": Removal(PARENT_ELSEWHERE, "test/sad/p.png"),
        "test/sad/e.png": Removal(PARENT_ELSEWHERE, "train/sad/p.png"),
    }


def test_children_of_a_removed_copy_are_removed() -> None:
    rows = [
        row("test/sad/1.png", "a"),
        row("validation/sad/2.png", "a"),
        row("validation/sad/3.png", "b", parent="validation/sad/2.png"),
        row("validation/sad/4.png", "c", parent="validation/sad/3.png"),
        row("train/sad/5.png", "b"),
    ]
    assert removed_by_path(rows) == {
        "validation/sad/2.png": Removal(EXACT_COPY, "test/sad/1.png"),
        "validation/sad/3.png": Removal(PARENT_REMOVED, "test/sad/1.png"),
        "validation/sad/4.png": Removal(PARENT_REMOVED, "test/sad/1.png"),
    }


def test_constant_images_are_removed_first_and_their_children_kept() -> None:
    rows = [
        row("test/sad/1.png", "a"),
        row("train/sad/2.png", "b", parent="train/sad/3.png"),
        row("train/sad/3.png", "a"),
    ]
    assert removed_by_path(rows, constant=[0, 2]) == {
        "test/sad/1.png": Removal(CONSTANT),
        "train/sad/3.png": Removal(CONSTANT),
    }


def test_cyclic_parents_terminate() -> None:
    rows = [
        row("train/sad/1.png", "a", parent="train/sad/2.png"),
        row("train/sad/2.png", "b", parent="train/sad/1.png"),
    ]
    assert removed_by_path(rows) == {}


images = st.lists(
    st.tuples(st.sampled_from(["train", "validation", "test", "unlabelled"]), st.sampled_from("abcdef")), max_size=16
)


@pytest.mark.slow
@given(images, st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=6))
@settings(max_examples=200, deadline=None)
def test_removals_are_sufficient_and_necessary(drawn: list[tuple[str, str]], edges: list[tuple[int, int]]) -> None:
    rows = [row(f"{split}/sad/{i}.png", sha) for i, (split, sha) in enumerate(drawn)]
    pictures = distinct(rows)
    near = [(a, b) for a, b in edges if a != b and max(a, b) < len(pictures)]
    gone = removed_by_path(rows, near)
    alike = {frozenset((rows[pictures[a][0]].sha256, rows[pictures[b][0]].sha256)) for a, b in near}
    split_of = {r.path: r.split for r in rows}
    order = ["unlabelled", "train", "validation", "test"]
    kept = [r for r in rows if r.path not in gone]
    for one in kept:
        for other in kept:
            if one.split != other.split:
                assert one.sha256 != other.sha256
                assert frozenset((one.sha256, other.sha256)) not in alike
    for path, why in gone.items():
        assert why.copy_of not in gone
        assert order.index(split_of[why.copy_of]) > order.index(split_of[path])
