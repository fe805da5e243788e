"""Shapes on a canvas, compared with known areas and points."""

import numpy as np
import pytest

from fercli.faces.synthetic.canvas import Canvas, Pose, ellipse, luma, mix_colors, ribbon, scale_color, spline


def test_polygon_covers_exactly_its_area() -> None:
    canvas = Canvas(50.0, Pose())
    part, cover = canvas.mask(canvas.project(ellipse(0.1, 0.2, 0.5, 0.3, 200), None))
    area, around = np.pi * 0.5 * 0.3 * 50**2, 2.55 * 50
    assert area < cover.sum() < area + 0.75 * around  # OpenCV fills the pixels that the outline touches
    canvas.blend(part, cover, (200, 100, 50))
    middle = canvas.project([(0.1, 0.2)], None)[0].astype(int)
    assert canvas.pixels[:, middle[1], middle[0]].tolist() == [200, 100, 50, 255]
    assert not canvas.pixels[:, 0, 0].any()
    assert canvas.pixels[3].sum() / 255 == pytest.approx(cover.sum(), rel=1e-4)


def test_blurring_keeps_the_area() -> None:
    canvas = Canvas(50.0, Pose())
    shape = canvas.project(ellipse(0, 0, 0.5, 0.3), None)
    assert canvas.mask(shape, 0.1)[1].sum() == pytest.approx(canvas.mask(shape)[1].sum(), rel=0.02)


@pytest.mark.parametrize("center", [(0, 0), (-1.6, -2.05), (1.6, 2.15), (9, 9), (-9, 0)])
def test_shapes_are_clipped_to_the_canvas(center: tuple[float, float]) -> None:
    canvas = Canvas(20.0, Pose())
    shape = canvas.project(ellipse(*center, 0.3, 0.3), None)
    canvas.paint(shape, (9, 9, 9), blur=0.1)
    canvas.bump(canvas.project([center], None), (0.3, 0.2), -0.5)
    canvas.glow(canvas.project([center], None), (0.3, 0.2), (9, 9, 9), 1.0)
    inside = abs(center[0]) < 5 and abs(center[1]) < 5
    assert canvas.pixels.any() == inside
    assert (canvas.light.min() < 1) == inside


def test_pose_moves_raised_points_most() -> None:
    straight, turned = Canvas(100.0, Pose()), Canvas(100.0, Pose(yaw=0.2, pitch=0.1))
    moved = {
        lift: turned.project([(0.0, 0.3)], lift) - straight.project([(0.0, 0.3)], lift) for lift in (0.0, 0.24, None)
    }
    assert (moved[0.24] > moved[0.0]).all()
    assert (moved[0.0] > 0).all()
    assert not moved[None].any()


def test_light_multiplies_colour_but_not_opacity() -> None:
    canvas = Canvas(20.0, Pose())
    canvas.paint(canvas.project(ellipse(0, 0, 1, 1), None), (100, 100, 100))
    canvas.bump(canvas.project([(0, 0)], None), (0.5, 0.5), 0.5)
    canvas.apply_light()
    y, x = round(2.05 * 20), round(1.6 * 20)
    assert canvas.pixels[0, y, x] == pytest.approx(150, abs=1)
    assert canvas.pixels[3, y, x] == 255
    assert (canvas.light == 1).all()


def test_splines_pass_through_their_points() -> None:
    points = np.array([(0, 0), (1, 2), (3, 1), (4, 4)], np.float64)
    for closed in (False, True):
        curve = spline(points, closed, steps=5)
        assert np.allclose(curve[::5][:4], points)
    straight = spline([(0, 0), (1, 1), (2, 2)])
    assert np.allclose(straight[:, 0], straight[:, 1])


def test_ribbon_width() -> None:
    outline = ribbon(np.array([(0.0, 0), (1, 0), (2, 0)]), np.array([0.2, 0.4, 0.2]))
    assert outline[:, 1].tolist() == pytest.approx([0.1, 0.2, 0.1, -0.1, -0.2, -0.1])


def test_colors() -> None:
    assert mix_colors((0, 0, 0), (100, 200, 50), 0.5) == (50, 100, 25)
    assert scale_color((100, 200, 50), 2) == (200, 255, 100)
    assert luma((255, 255, 255)) == pytest.approx(255)
