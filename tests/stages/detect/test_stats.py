"""Detection statistics: splits as if computed at once, and few bytes per photograph."""

import tracemalloc
from hashlib import sha256
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fercli.datasets.splitting import stratified
from fercli.faces.base import Face
from fercli.stages.detect.face_extractor import NO_FACE, DetectionResult, FrameFaces
from fercli.stages.detect.rows import rows_of
from fercli.stages.detect.stats import DetectionStats

FACE = Face((1.0, 2.0, 30.0, 40.0), 0.9)


def result(number: int, emotion: str, group: int, faces: int = 1, split: str = "") -> DetectionResult:
    digest = sha256(str(group).encode()).hexdigest()
    seen = (FrameFaces((FACE,) * faces, (digest,) * faces),) if faces else ()
    problem = "" if faces else NO_FACE
    return DetectionResult(
        split, emotion, f"photograph {number}", f"{emotion}/{number}.jpg", seen, digest, problem=problem
    )


@pytest.mark.slow
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 12), st.integers(0, 3), st.booleans()), max_size=60),
    st.integers(0, 3),
)
def test_splits_equal_those_computed_at_once(cells: list[tuple[str, int, int, bool]], seed: int) -> None:
    results = [
        result(k, emotion, group, faces, "test" if known else "")
        for k, (emotion, group, faces, known) in enumerate(cells)
    ]
    stats = DetectionStats()
    for one in results:
        stats.add(one)
    open_ = [one for one in results if not one.split and one.seen]
    faces = [(k, one) for k, one in enumerate(open_) for _ in one.seen[0].faces]
    cut = stratified([one.emotion for _, one in faces], groups=[one.group for _, one in faces], seed=seed)
    expected = dict(zip([k for k, _ in faces], cut, strict=True))
    assert list(stats.splits(seed)) == [expected[k] for k in range(len(open_))]
    rows = [rows for _, pictured in rows_of(results, stats.splits(seed)) for _, rows in pictured]
    assert all(len({row.split for row in own}) == 1 for own in rows)
    assert sum(map(len, rows)) == stats.summary(1.0)["faces"] == sum(one.faces for one in results)


@pytest.mark.slow
def test_memory_per_photograph_is_small() -> None:
    number = 6_000
    stats, counter = DetectionStats(), count()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for k in range(number):
        stats.add(result(k, ("happy", "sad")[k % 2], k))
    retained = (tracemalloc.get_traced_memory()[0] - before) / number
    tracemalloc.reset_peak()
    splits = stats.splits(0)
    for _, pictured in rows_of((result(k, ("happy", "sad")[k % 2], k) for k in range(number)), splits):
        next(counter)
        assert pictured[0][1][0].path
    peak = (tracemalloc.get_traced_memory()[1] - before) / number
    tracemalloc.stop()
    assert next(counter) == number
    assert retained < 40
    assert peak < 800
