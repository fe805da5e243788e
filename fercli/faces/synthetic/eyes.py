"""Eyes, brows and glasses."""

from __future__ import annotations

import numpy as np

from fercli.faces.action_units import Strengths
from fercli.faces.synthetic.canvas import Canvas, Color, Plane, Points, ellipse, luma, mix_colors, scale_color, spline
from fercli.faces.synthetic.identity import Identity

_T = np.linspace(-1, 1, 17)
_ARCH = 1 - np.abs(_T) ** 2.3


def eyelids(person: Identity, strengths: Strengths, side: int) -> tuple[Points, Points]:
    """Return an eye's upper and lower edge, from the image's left to its right.

    Args:
        person: The person.
        strengths: Unit 5 raises the upper lid, 7 tightens both, 6 pushes the lower one up, 9 narrows the eye.
        side: -1 for the eye on the image's left, 1 for the other.
    """
    half = 0.215 * person.eye_size
    narrow = 1 - 0.28 * strengths[7] - 0.3 * strengths[6] - 0.52 * strengths[9]
    upper = 0.108 * person.eye_size * max(0.3, narrow + 0.72 * strengths[5] + 0.1 * strengths[1])
    lower = 0.062 * person.eye_size * (1 + 0.35 * strengths[5] - 0.75 * strengths[7] - 1.25 * strengths[6])
    lower = max(lower - 0.03 * strengths[9], -0.4 * upper)
    outward = _T * side  # -1 at the nose, 1 at the temple
    middle = -person.eye_slant * outward
    # The inner brow raiser lifts the inner part of the lid: the triangular eye of sadness.
    triangle = 1 - 0.4 * max(0.0, strengths[1] - strengths[2]) * outward
    x = side * person.eye_distance + half * _T
    top = middle - upper * _ARCH * triangle
    bottom = middle + lower * _ARCH
    return np.stack([x, top], axis=1), np.stack([x, bottom], axis=1)


def paint_eye(canvas: Canvas, person: Identity, strengths: Strengths, side: int, gaze: tuple[float, float]) -> None:
    """Paint an eye: white, iris, pupil, highlight, lids and lashes.

    Args:
        canvas: The canvas.
        person: The person.
        strengths: Action unit strengths.
        side: -1 for the eye on the image's left, 1 for the other.
        gaze: Offset of the iris from the centre, in face units.
    """
    top, bottom = eyelids(person, strengths, side)
    shape = canvas.project(np.concatenate([top, bottom[::-1]]))
    part, cover = canvas.mask(shape)
    # Never pure white next to dark skin: brows and lids shade it.
    shaded = 0.3 + 0.3 * (1 - luma(person.skin) / 255)
    canvas.blend(part, cover, mix_colors((226, 221, 216), person.skin, shaded))
    x, y = side * person.eye_distance + gaze[0], -0.012 + gaze[1]
    size = 0.098 * person.eye_size
    for radius, color, soft in (
        (size, scale_color(person.iris, 0.55), 0.006),
        (0.84 * size, scale_color(person.iris, 1.15), 0.012),
        (0.46 * size, (14, 11, 12), 0.005),
    ):
        _clipped(canvas, part, cover, canvas.project(ellipse(x, y, radius, radius)), color, soft)
    lashes = mix_colors(scale_color(person.brow, 0.5), (22, 16, 16), 0.6)
    # The upper lid casts a shadow on the eyeball.
    shadow = np.concatenate([top, (top + np.array((0, 0.05)))[::-1]])
    _clipped(canvas, part, cover, canvas.project(shadow), (60, 44, 40), 0.012, 0.5)
    spark = canvas.project(ellipse(x + 0.035, y - 0.04, 0.021, 0.021))
    _clipped(canvas, part, cover, spark, (255, 255, 255), 0.004, 0.95)
    weight = 0.034 * np.clip(0.5 + _ARCH, 0, 1.2) * canvas.unit
    canvas.stroke(canvas.project(top), weight / canvas.unit, lashes, 0.92, 0.004)
    canvas.stroke(canvas.project(bottom), 0.017, mix_colors(lashes, person.skin, 0.35), 0.7, 0.005)
    raised = 0.055 - 0.022 * strengths[5] + 0.01 * strengths[4]
    crease = top + np.stack([0 * _T, -raised * (0.5 + 0.5 * _ARCH)], axis=1)
    canvas.stroke(canvas.project(crease), 0.022, scale_color(person.skin, 0.5), 0.5, 0.008)


def _clipped(
    canvas: Canvas,
    part: tuple[slice, slice],
    cover: Plane,
    shape: Points,
    color: Color,
    soft: float,
    opacity: float = 1.0,
) -> None:
    """Paint a shape, clipped to the eye opening."""
    (rows, columns), inner = canvas.mask(shape, soft)
    top, bottom = max(rows.start, part[0].start), min(rows.stop, part[0].stop)
    left, right = max(columns.start, part[1].start), min(columns.stop, part[1].stop)
    if top >= bottom or left >= right:
        return
    own = inner[top - rows.start : bottom - rows.start, left - columns.start : right - columns.start]
    eye = cover[top - part[0].start : bottom - part[0].start, left - part[1].start : right - part[1].start]
    canvas.blend((slice(top, bottom), slice(left, right)), own * eye * np.float32(opacity), color)


def brow_line(person: Identity, strengths: Strengths, side: int) -> Points:
    """Return a brow's centre line (N, 2), from the nose outwards.

    Args:
        person: The person.
        strengths: Unit 1 raises its inner part, 2 its outer part, 4 lowers and knits it, 9 lowers its inner part.
        side: -1 for the brow on the image's left, 1 for the other.
    """
    inner, outer, lower, sneer = (strengths[k] for k in (1, 2, 4, 9))
    height = person.brow_height + person.asymmetry * side
    both = lower * (1 - 0.55 * max(inner, outer))  # the raisers counteract the lowerer
    tail = 0.03 * inner * (1 - outer)  # the inner brow raiser moves the rest slightly
    points = [
        (0.17 - 0.065 * lower, -height + 0.0 - 0.17 * inner + 0.14 * both + 0.07 * sneer),
        (0.29 - 0.04 * lower, -height - 0.035 - 0.14 * inner - 0.05 * outer + 0.12 * both + 0.07 * sneer),
        (0.49, -height - 0.06 - 0.05 * inner - 0.16 * outer + 0.07 * both + 0.04 * sneer),
        (0.66, -height - 0.03 + person.brow_slope - 0.18 * outer + 0.02 * both + 0.02 * sneer + tail),
        (0.79, -height + 0.08 + person.brow_slope - 0.14 * outer + tail),
    ]
    return spline(np.array(points) * (side, 1), steps=5)


def paint_brow(canvas: Canvas, person: Identity, strengths: Strengths, side: int) -> None:
    """Paint a brow: a tapered ribbon with soft edges and individual hairs."""
    line = brow_line(person, strengths, side)
    along = np.linspace(0, 1, len(line))
    widths = (
        person.brow_width * (1.0 + 0.35 * strengths[4]) * np.interp(along, [0, 0.12, 0.5, 1], [0.7, 1.15, 1.0, 0.25])
    )
    canvas.stroke(canvas.project(line), widths, person.brow, 0.82, 0.01)
    hairs = np.random.default_rng([person.seed, 2])
    for k in hairs.integers(1, len(line) - 2, 4):
        start = line[k] + (0, 0.5 * widths[k])
        end = line[k] + (side * 0.07, -0.55 * widths[k])
        canvas.stroke(
            canvas.project([start, end]), 0.014, scale_color(person.brow, float(hairs.uniform(0.6, 1.2))), 0.5
        )


def paint_glasses(canvas: Canvas, person: Identity) -> None:
    """Paint glasses: two rims, a bridge, and the front of the temples."""
    lift = 0.1
    for side in (-1, 1):
        x = side * (person.eye_distance + 0.01)
        if person.glasses == "round":
            rim = ellipse(x, 0.03, 0.31, 0.28, 36)
        else:
            corners = [(-0.31, -0.17), (0, -0.2), (0.32, -0.17), (0.31, 0.13), (0.2, 0.25), (-0.2, 0.25), (-0.3, 0.13)]
            rim = spline(np.array(corners) * (side, 1) + (x, 0.03), closed=True, steps=5)
        canvas.paint(canvas.project(rim, lift), (236, 242, 246), 0.07)
        closed = np.concatenate([rim, rim[:2]])
        canvas.stroke(canvas.project(closed, lift), 0.034, person.frame, 0.95)
        canvas.stroke(canvas.project([(x + side * 0.31, -0.04), (side * 0.98, -0.06)], 0.02), 0.035, person.frame, 0.9)
    bridge = spline([(-person.eye_distance + 0.3, -0.02), (0, -0.07), (person.eye_distance - 0.3, -0.02)])
    canvas.stroke(canvas.project(bridge, lift + 0.06), 0.034, person.frame, 0.95)
