"""IoU and non-maximum suppression, compared with their definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fercli.faces.nms import iou, nms


def pixel_iou(a: np.ndarray, b: np.ndarray) -> float:
    """Return the IoU of integer boxes by counting pixels."""
    grid = np.zeros((2, 40, 40), bool)
    for layer, (left, top, width, height) in zip(grid, (a, b), strict=True):
        layer[int(top) : int(top + height), int(left) : int(left + width)] = True
    return float((grid[0] & grid[1]).sum() / (grid[0] | grid[1]).sum())


whole = arrays(np.float64, 4, elements=st.integers(1, 20))


@given(whole, whole)
def test_iou_matches_pixel_counts(a: np.ndarray, b: np.ndarray) -> None:
    one, other = tuple(a.tolist()), tuple(b.tolist())
    assert iou(one, other) == pytest.approx(pixel_iou(a, b))
    assert iou(one, other) == iou(other, one)
    assert iou(one, one) == 1
    assert iou(one, (one[0] + one[2], one[1], 5.0, 5.0)) == 0


def test_iou_of_empty_boxes_is_zero() -> None:
    assert iou((1.0, 2.0, 0.0, 5.0), (1.0, 2.0, 0.0, 5.0)) == 0


@pytest.mark.slow
@given(st.integers(0, 12).flatmap(lambda n: st.tuples(
    arrays(np.float64, (n, 4), elements=st.integers(1, 20)),
    arrays(np.float64, n, elements=st.integers(0, 5)),
)), st.sampled_from([0.0, 0.3, 0.5, 1.0]))  # fmt: skip
def test_nms_matches_its_definition(data: tuple[np.ndarray, np.ndarray], max_iou: float) -> None:
    boxes, scores = data
    expected: list[int] = []
    for k in sorted(range(len(boxes)), key=lambda k: (-scores[k], k)):
        if all(pixel_iou(boxes[k], boxes[other]) <= max_iou for other in expected):
            expected.append(k)
    assert nms(boxes, scores, max_iou) == expected
