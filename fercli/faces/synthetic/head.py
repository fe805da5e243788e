"""The head: outline, ears, neck, skin relief, and the lines due to age and action units."""

from __future__ import annotations

import cv2
import numpy as np

from fercli.faces.action_units import Strengths
from fercli.faces.synthetic.canvas import Canvas, Points, ellipse, luma, mix_colors, scale_color, spline
from fercli.faces.synthetic.identity import Identity

CROWN = -1.42
"""The y coordinate of the top of the head."""


def chin_height(person: Identity, strengths: Strengths) -> float:
    """Return the chin's y coordinate: lowered by the jaw drop, raised slightly by the chin raiser."""
    return person.length + 0.15 * strengths[26] - 0.03 * strengths[17]


def outline(person: Identity, strengths: Strengths, grow: float = 0.0) -> Points:
    """Return the head's outline, clockwise from the crown.

    Args:
        person: The person.
        strengths: Action unit strengths: the jaw may drop, a smile fills the cheeks.
        grow: Distance by which the outline is expanded, for hair.
    """
    chin = chin_height(person, strengths)
    drop = chin - person.length
    cheek = 0.02 * strengths[12]
    right = [
        (0.0, CROWN - grow),
        (0.5 * person.forehead, CROWN + 0.11 - grow),
        (0.86 * person.forehead + 0.8 * grow, -0.92 - 0.6 * grow),
        (0.97 * person.forehead + grow, -0.4),
        (1.0 + grow, 0.1),
        (0.96 + cheek + grow, 0.45),
        (person.jaw + cheek + grow, 0.9 + 0.5 * drop),
        (person.chin + 0.16 + 0.7 * grow, chin - 0.19 + 0.6 * grow),
        (0.55 * person.chin, chin - 0.02 + grow),
    ]
    half = np.array(right)
    left = half[:0:-1] * (-1, 1)
    return spline(np.concatenate([half, [(0, chin + grow)], left]), closed=True, steps=5)


def paint_neck(canvas: Canvas, person: Identity) -> None:
    """Paint the neck, in the head's shadow; the body below belongs to the photograph."""
    half = 0.56 * person.jaw / 0.82
    right = [(half, 0.85), (0.97 * half, 1.6), (1.02 * half, 1.72), (0.7 * half, 1.93), (0.0, 2.02)]
    left = [(-x, y) for x, y in right[-2::-1]]
    neck = canvas.project([*right, *left], None)
    canvas.paint(neck, scale_color(person.skin, 0.78))


def paint_head(canvas: Canvas, person: Identity, strengths: Strengths) -> None:
    """Paint ears and skin with relief."""
    for side in (-1, 1):
        shift = side * 0.05 * np.sin(canvas.pose.yaw) * side
        ear = canvas.project(ellipse(side * (1.0 + shift), 0.12, 0.12, 0.27), None)
        canvas.paint(ear, scale_color(person.skin, 0.9))
        canvas.paint(
            canvas.project(ellipse(side * 1.02, 0.12, 0.06, 0.17), None), scale_color(person.skin, 0.66), 0.7, 0.02
        )
    shape = canvas.project(outline(person, strengths), None)
    part, cover = canvas.mask(shape)
    canvas.blend(part, cover, person.skin)
    _redden(canvas, person, strengths)
    _relief(canvas, person, strengths)
    _lines(canvas, person, strengths)
    _mottle(canvas, person)
    # Shade only the skin: hair behind it keeps its own light.
    canvas.apply_light(part, cover)


def _redden(canvas: Canvas, person: Identity, strengths: Strengths) -> None:
    red = mix_colors(scale_color(person.skin, 0.95), (206, 92, 80), 0.35)
    for side in (-1, 1):
        spot = canvas.project([(side * 0.56, 0.46 - 0.06 * strengths[6])])
        canvas.glow(spot, (0.17, 0.14), red, 0.3 + 0.15 * strengths[6])


def _relief(canvas: Canvas, person: Identity, strengths: Strengths) -> None:
    """Shade the relief that every face has: dark sockets, bright forehead, nose and cheeks, and rounded sides."""
    chin = chin_height(person, strengths)

    # Dark skin reflects light in highlights: its relief is stronger, relative to its tone, than that of light skin.
    depth = 1.1 + 1.7 * (1 - luma(person.skin) / 255)

    def bump(x: float, y: float, rx: float, ry: float, amount: float, lift: float = 0.0) -> None:
        canvas.bump(canvas.project([(x, y)], lift), (rx, ry), depth * amount)

    bump(0, -0.62, 0.5, 0.2, 0.12)
    bump(0, 0.1, 0.06, 0.3, 0.1, 0.1)
    lowered = 0.05 * (strengths[4] + strengths[9])
    for side in (-1, 1):
        x = side * person.eye_distance
        bump(x, -0.07 + lowered * 0.5, 0.21, 0.115, -0.26 - lowered)
        bump(side * 0.19, -0.06, 0.08, 0.12, -0.14)
        bump(x, 0.19, 0.18, 0.05, -0.05 - 0.08 * person.age)
        bump(side * 0.58, 0.42 - 0.06 * strengths[6], 0.19, 0.14, 0.1 + 0.1 * strengths[6] + 0.05 * strengths[12])
        bump(side * 0.95, 0.6, 0.16, 0.6, -0.22)
        bump(side * 0.95, -0.6, 0.12, 0.4, -0.12)
        bump(side * 0.42, 0.86, 0.13, 0.2, -0.05)
    bump(0, chin - 0.2, 0.17, 0.1, 0.07 + 0.05 * strengths[17])
    bump(0, chin, 0.6, 0.07, -0.16)
    bump(0, 0.8, 0.06, 0.07, -0.07)  # the philtrum


def _lines(canvas: Canvas, person: Identity, strengths: Strengths) -> None:
    """Draw the lines due to action units, deeper with age."""
    deep = 0.75 + 0.6 * person.age

    def crease(points: list[tuple[float, float]], width: float, amount: float, blur: float = 0.018) -> None:
        if amount > 0.015:
            canvas.crease(canvas.project(spline(points)), width, -amount * deep, blur)

    smile, sneer = strengths[12], strengths[9]
    fold = 0.06 * person.age + 0.34 * smile + 0.34 * sneer + 0.12 * strengths[15] + 0.1 * strengths[20]
    for side in (-1, 1):
        out = 0.1 * smile + 0.02 * strengths[20]
        top = 0.54 - 0.1 * sneer
        nose, corner = (side * 0.23 * person.nose_width, top), (side * (0.5 + out), 0.94 - 0.04 * smile)
        crease([nose, (side * (0.4 + 0.8 * out), 0.7 - 0.05 * sneer), corner], 0.05, fold)
        crows = 0.26 * strengths[6] + 0.05 * person.age
        for dy in (-0.08, 0.0, 0.08):
            start = (side * (person.eye_distance + 0.27), 0.02 + dy * 0.4)
            crease([start, (side * 0.79, 0.03 + dy), (side * 0.88, 0.05 + 1.7 * dy)], 0.022, crows, 0.008)
        under = 0.24 * strengths[6] + 0.16 * strengths[7] + 0.14 * sneer + 0.05 * person.age
        eye = side * person.eye_distance
        crease([(eye - 0.19, 0.13), (eye, 0.185 - 0.02 * strengths[6]), (eye + 0.2, 0.12)], 0.035, under, 0.012)
        knit = 0.4 * strengths[4] + 0.12 * sneer
        crease([(side * 0.075, -0.36), (side * 0.06, -0.2), (side * 0.075, -0.1)], 0.035, knit, 0.012)
        scrunch = [(side * 0.02, 0.1), (side * 0.1, 0.05), (side * 0.2, 0.14)]
        for dy in (-0.13, -0.02, 0.09):
            crease([(x, y + dy) for x, y in scrunch], 0.032, 0.42 * sneer, 0.01)
        crease([(side * 0.44, 1.06), (side * 0.5, 1.17), (side * 0.49, 1.26)], 0.045, 0.26 * strengths[15])
    raised = 0.5 * (strengths[1] + strengths[2])
    for k, y in enumerate((-0.62, -0.74, -0.86)):
        reach = 0.58 * (strengths[2] + 0.001) / (raised + 0.002) + 0.24 if strengths[2] else 0.26
        bow = 0.03 if strengths[2] else -0.02
        line = [(-reach, y + bow), (0.0, y - bow * 0.5), (reach, y + bow)]
        crease(line, 0.03, (0.3 - 0.05 * k) * raised + 0.06 * person.age, 0.012)
    _chin_lines(canvas, person, strengths)


def _chin_lines(canvas: Canvas, person: Identity, strengths: Strengths) -> None:
    """Draw the hollow below the lower lip and the dimples of a raised chin."""
    chin = chin_height(person, strengths)
    hollow = spline([(-0.2, chin - 0.27), (0, chin - 0.31), (0.2, chin - 0.27)])
    canvas.crease(canvas.project(hollow), 0.06, -0.12 - 0.26 * strengths[17], 0.025)
    if strengths[17] > 0.05:
        dimples = np.random.default_rng(person.seed)
        for x, y in dimples.uniform((-0.18, chin - 0.24), (0.18, chin - 0.09), (9, 2)):
            canvas.bump(canvas.project([(x, y)]), (0.022, 0.018), -0.3 * strengths[17])


def _mottle(canvas: Canvas, person: Identity) -> None:
    """Add faint unevenness to the skin."""
    generator = np.random.default_rng([person.seed, 1])
    height, width = canvas.light.shape
    coarse = generator.normal(0, 0.016, (24, 24)).astype(np.float32)
    canvas.light += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
