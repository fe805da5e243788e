"""The bound below which generated images are not considered faces."""

import numpy as np
import pytest

from fercli.datasets.index import Row
from fercli.errors import DataError
from fercli.generation.face_similarity import FLOOR, HELD_OUT, MIN_HELD_OUT, held_out_indices, refuse_unlike


def test_class_below_the_quantile_of_real_images_is_rejected() -> None:
    held_out = np.linspace(0.4, 0.8, 101, dtype=np.float32)  # the 5 % quantile is 0.42
    nearest = {"happy": np.array([0.1, 0.43, 0.9], np.float32), "sad": np.array([0.1, 0.41, 0.9], np.float32)}
    with pytest.raises(DataError, match=r"of sad do not.*of 0\.41 .* more than 0\.42; train longer, or keep"):
        refuse_unlike(nearest, held_out, keep_anyway=False, hint="train longer")
    assert refuse_unlike(nearest, held_out, keep_anyway=True, hint="") == ["sad"]
    assert refuse_unlike({"happy": nearest["happy"]}, held_out, keep_anyway=False, hint="") == []


def test_fixed_bound_with_too_few_real_images() -> None:
    few = np.full(MIN_HELD_OUT - 1, 0.9, np.float32)
    assert refuse_unlike({"sad": np.full(3, FLOOR + 0.01)}, few, keep_anyway=False, hint="") == []
    with pytest.raises(DataError, match=r"real faces have more than 0\.20"):
        refuse_unlike({"sad": np.full(3, FLOOR - 0.01)}, few, keep_anyway=False, hint="")
    assert refuse_unlike({"sad": np.empty(0, np.float32)}, few, keep_anyway=False, hint="") == []


def test_held_out_images_are_evenly_spaced_real_ones() -> None:
    rows = [Row(f"{k}", "train" if k % 2 else "test", "sad", origin="real" if k % 4 else "generated") for k in range(9)]
    assert held_out_indices(rows) == [2, 6]
    many = [Row(f"{k}", "validation", "sad") for k in range(3 * HELD_OUT)]
    found = held_out_indices(many)
    assert len(found) == HELD_OUT
    assert (found[0], found[-1]) == (0, len(many) - 1)
    assert held_out_indices([]) == []
