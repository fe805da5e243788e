"""The contact sheets: every face is shown whole and labelled, and nothing is cut off."""

import numpy as np
import pytest

from fercli.generation.gan.contact_sheets import class_sheet, nearest_sheet
from fercli.images import decode
from tests.helpers.datasets import face


@pytest.mark.parametrize("side", [32, 48, 128])
def test_one_row_per_class_of_at_most_twelve_faces(side: int) -> None:
    faces = {"happy": [face(k, side) for k in range(20)], "so " * 30 + "\udcff\n": [face(30, side)], "none": []}
    pixels = decode(class_sheet(faces, "a title " * 9 + "\x1b"), "sheet")
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    assert (border == 255).all()
    few = decode(class_sheet({"happy": faces["happy"][:11]}, "t"), "sheet")
    many = decode(class_sheet({"happy": faces["happy"][:12]}, "t"), "sheet")
    more = decode(class_sheet({"happy": faces["happy"]}, "t"), "sheet")
    assert few.shape[1] < many.shape[1]
    assert (many == more).all()


def test_generated_face_is_above_the_real_one() -> None:
    dark, light = np.full((48, 48), 20, np.uint8), np.full((48, 48, 3), 220, np.uint8)
    pixels = decode(nearest_sheet([(dark, light, 0.91), (light, dark, 0.5)], "title"), "sheet")
    rows = [pixels[100], pixels[220]]
    assert [[int(row[x, 0]) for x in (172, 282)] for row in rows] == [[20, 220], [220, 20]]
    assert decode(nearest_sheet([], "title"), "sheet").min() < 100
