"""Contact sheets: layout of pictures, and texts that stay within bounds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from fercli.report.contact_sheet import MARGIN, Cell, Group, contact_sheet, text_width, write

HOSTILE = "a\nb\x1b[31m" + "$\\x$ <b>" * 40 + "\udcff.png"


def plain(value: int, width: int = 30, height: int = 20) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def boxes_of(sheet: np.ndarray, value: int) -> list[tuple[int, int, int, int]]:
    """Return left, top, width and height of the area of this colour."""
    y, x = np.nonzero((sheet == value).all(2))
    return [(int(x.min()), int(y.min()), int(np.ptp(x)) + 1, int(np.ptp(y)) + 1)]


def test_pictures_are_laid_out_in_rows() -> None:
    sheet = contact_sheet([Group([Cell(plain(value)) for value in (10, 20, 30)])], columns=2)
    assert boxes_of(sheet, 10) == [(MARGIN, MARGIN, 30, 20)]
    assert boxes_of(sheet, 20) == [(MARGIN + 34, MARGIN, 30, 20)]
    assert boxes_of(sheet, 30) == [(MARGIN, MARGIN + 24, 30, 20)]
    assert sheet.shape == (2 * MARGIN + 48, 2 * MARGIN + 64, 3)


def test_group_starts_a_row_below_its_rule() -> None:
    groups = [Group([Cell(plain(10))], "angry", "1 of 9"), Group([Cell(plain(20))], "happy"), Group([], "none")]
    sheet = contact_sheet(groups, columns=9, title="a title", note="a note")
    (left, first, *_), (again, second, *_) = boxes_of(sheet, 10)[0], boxes_of(sheet, 20)[0]
    assert left == again > 100
    assert second - first >= 52  # room for the label
    assert (sheet[:, MARGIN : left - 4] < 255).any()


def test_captions_are_below_their_pictures() -> None:
    sheet = contact_sheet([Group([Cell(plain(10, 90), "a text", "a note", "#ff0000"), Cell(plain(20, 90))])], columns=2)
    below = sheet[MARGIN + 20 :]
    assert (below[:, MARGIN : MARGIN + 90] < 200).any()
    assert (below[:, 2 * MARGIN + 90 :] == 255).all()
    reddish = (below[..., 0] > 240) & (below[..., 1] < 200)
    assert reddish.any()


def test_corner_picture_is_right_of_the_title() -> None:
    sheet = contact_sheet([Group([Cell(plain(10))])], columns=1, title="title", corner=plain(50, 60, 15))
    (left, top, width, height) = boxes_of(sheet, 50)[0]
    assert (top, width, height) == (MARGIN, 60, 15)
    assert left + width + MARGIN == sheet.shape[1]
    assert left > MARGIN + text_width("title", 17, bold=True)


@pytest.mark.parametrize("count", [0, 1, 7])
def test_hostile_texts_stay_within_the_sheet(count: int) -> None:
    group = Group([Cell(plain(10), HOSTILE, HOSTILE)] * count, HOSTILE, HOSTILE)
    sheet = contact_sheet([group], columns=3, title=HOSTILE, note=HOSTILE)
    for edge in (sheet[:6], sheet[-6:], sheet[:, :6], sheet[:, -6:]):
        assert (edge == 255).all()
    assert sheet.shape[1] <= 860


@pytest.mark.slow
@given(st.text(), st.integers(20, 300))
def test_text_is_shortened_to_fit(text: str, room: int) -> None:
    picture = Image.new("RGB", (400, 60), "white")
    write(ImageDraw.Draw(picture), (20, 20), text, 12, "black", room)
    drawn = np.nonzero(np.asarray(picture)[..., 0] < 255)[1]
    assert not len(drawn) or drawn.max() <= 20 + room + 4  # slanted glyphs overhang a little
