"""The head: outline, ears, neck, skin and its relief, and the lines that age and action units draw on it."""

from __future__ import annotations

import cv2
import numpy as np

from fercli.faces.action_units import Strengths
from fercli.faces.synthetic.canvas import Canvas, Points, ellipse, luma, mix, scale, spline
from fercli.faces.synthetic.identity import Identity

CROWN = -1.42
"""Height of the head's top."""


def chin_height(who: Identity, strengths: Strengths) -> float:
    """Return where the chin ends: it goes down with the jaw, and a little up with the chin raiser."""
    return who.length + 0.15 * strengths[26] - 0.03 * strengths[17]


def outline(who: Identity, strengths: Strengths, grow: float = 0.0) -> Points:
    """Return the head's outline, clockwise from the crown.

    Args:
        who: The person.
        strengths: The action units: the jaw may be dropped, the cheeks filled by a smile.
        grow: How far outside of it, for hair.
    """
    chin = chin_height(who, strengths)
    drop = chin - who.length
    cheek = 0.02 * strengths[12]
    right = [
        (0.0, CROWN - grow),
        (0.5 * who.forehead, CROWN + 0.11 - grow),
        (0.86 * who.forehead + 0.8 * grow, -0.92 - 0.6 * grow),
        (0.97 * who.forehead + grow, -0.4),
        (1.0 + grow, 0.1),
        (0.96 + cheek + grow, 0.45),
        (who.jaw + cheek + grow, 0.9 + 0.5 * drop),
        (who.chin + 0.16 + 0.7 * grow, chin - 0.19 + 0.6 * grow),
        (0.55 * who.chin, chin - 0.02 + grow),
    ]
    half = np.array(right)
    left = half[:0:-1] * (-1, 1)
    return spline(np.concatenate([half, [(0, chin + grow)], left]), closed=True, steps=5)


def paint_neck(canvas: Canvas, who: Identity) -> None:
    """Paint the neck, in the head's shadow; the body below is the photograph's."""
    half = 0.56 * who.jaw / 0.82
    right = [(half, 0.85), (0.97 * half, 1.6), (1.02 * half, 1.72), (0.7 * half, 1.93), (0.0, 2.02)]
    left = [(-x, y) for x, y in right[-2::-1]]
    neck = canvas.project([*right, *left], None)
    canvas.paint(neck, scale(who.skin, 0.78))


def paint_head(canvas: Canvas, who: Identity, strengths: Strengths) -> None:
    """Paint ears and skin with their relief."""
    for side in (-1, 1):
        shift = side * 0.05 * np.sin(canvas.pose.yaw) * side
        ear = canvas.project(ellipse(side * (1.0 + shift), 0.12, 0.12, 0.27), None)
        canvas.paint(ear, scale(who.skin, 0.9))
        canvas.paint(canvas.project(ellipse(side * 1.02, 0.12, 0.06, 0.17), None), scale(who.skin, 0.66), 0.7, 0.02)
    shape = canvas.project(outline(who, strengths), None)
    part, cover = canvas.mask(shape)
    canvas.lay(part, cover, who.skin)
    _redden(canvas, who, strengths)
    _relief(canvas, who, strengths)
    _lines(canvas, who, strengths)
    _mottle(canvas, who)
    # Only skin is shaded so far: hair behind it keeps its own light.
    canvas.apply_light(part, cover)


def _redden(canvas: Canvas, who: Identity, strengths: Strengths) -> None:
    red = mix(scale(who.skin, 0.95), (206, 92, 80), 0.35)
    for side in (-1, 1):
        spot = canvas.project([(side * 0.56, 0.46 - 0.06 * strengths[6])])
        canvas.glow(spot, (0.17, 0.14), red, 0.3 + 0.15 * strengths[6])


def _relief(canvas: Canvas, who: Identity, strengths: Strengths) -> None:
    """Shade what every face has: dark sockets, bright forehead, nose and cheeks, and round sides."""
    chin = chin_height(who, strengths)

    # Light falls off dark skin in glints: its relief is deeper, relative to its tone, than that of light skin.
    depth = 1.1 + 1.7 * (1 - luma(who.skin) / 255)

    def bump(x: float, y: float, rx: float, ry: float, amount: float, lift: float = 0.0) -> None:
        canvas.bump(canvas.project([(x, y)], lift), (rx, ry), depth * amount)

    bump(0, -0.62, 0.5, 0.2, 0.12)
    bump(0, 0.1, 0.06, 0.3, 0.1, 0.1)
    lowered = 0.05 * (strengths[4] + strengths[9])
    for side in (-1, 1):
        x = side * who.eye_distance
        bump(x, -0.07 + lowered * 0.5, 0.21, 0.115, -0.26 - lowered)
        bump(side * 0.19, -0.06, 0.08, 0.12, -0.14)
        bump(x, 0.19, 0.18, 0.05, -0.05 - 0.08 * who.age)
        bump(side * 0.58, 0.42 - 0.06 * strengths[6], 0.19, 0.14, 0.1 + 0.1 * strengths[6] + 0.05 * strengths[12])
        bump(side * 0.95, 0.6, 0.16, 0.6, -0.22)
        bump(side * 0.95, -0.6, 0.12, 0.4, -0.12)
        bump(side * 0.42, 0.86, 0.13, 0.2, -0.05)
    bump(0, chin - 0.2, 0.17, 0.1, 0.07 + 0.05 * strengths[17])
    bump(0, chin, 0.6, 0.07, -0.16)
    bump(0, 0.8, 0.06, 0.07, -0.07)  # the furrow between nose and lip


def _lines(canvas: Canvas, who: Identity, strengths: Strengths) -> None:
    """Draw the lines that the action units make, deeper with age."""
    deep = 0.75 + 0.6 * who.age

    def crease(points: list[tuple[float, float]], width: float, amount: float, blur: float = 0.018) -> None:
        if amount > 0.015:
            canvas.crease(canvas.project(spline(points)), width, -amount * deep, blur)

    smile, sneer = strengths[12], strengths[9]
    fold = 0.06 * who.age + 0.34 * smile + 0.34 * sneer + 0.12 * strengths[15] + 0.1 * strengths[20]
    for side in (-1, 1):
        out = 0.1 * smile + 0.02 * strengths[20]
        top = 0.54 - 0.1 * sneer
        nose, corner = (side * 0.23 * who.nose_width, top), (side * (0.5 + out), 0.94 - 0.04 * smile)
        crease([nose, (side * (0.4 + 0.8 * out), 0.7 - 0.05 * sneer), corner], 0.05, fold)
        crows = 0.26 * strengths[6] + 0.05 * who.age
        for dy in (-0.08, 0.0, 0.08):
            start = (side * (who.eye_distance + 0.27), 0.02 + dy * 0.4)
            crease([start, (side * 0.79, 0.03 + dy), (side * 0.88, 0.05 + 1.7 * dy)], 0.022, crows, 0.008)
        under = 0.24 * strengths[6] + 0.16 * strengths[7] + 0.14 * sneer + 0.05 * who.age
        eye = side * who.eye_distance
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
        crease(line, 0.03, (0.3 - 0.05 * k) * raised + 0.06 * who.age, 0.012)
    _chin_lines(canvas, who, strengths)


def _chin_lines(canvas: Canvas, who: Identity, strengths: Strengths) -> None:
    """Draw the hollow below the lower lip, and the dimples of a raised chin."""
    chin = chin_height(who, strengths)
    hollow = spline([(-0.2, chin - 0.27), (0, chin - 0.31), (0.2, chin - 0.27)])
    canvas.crease(canvas.project(hollow), 0.06, -0.12 - 0.26 * strengths[17], 0.025)
    if strengths[17] > 0.05:
        dimples = np.random.default_rng(who.seed)
        for x, y in dimples.uniform((-0.18, chin - 0.24), (0.18, chin - 0.09), (9, 2)):
            canvas.bump(canvas.project([(x, y)]), (0.022, 0.018), -0.3 * strengths[17])


def _mottle(canvas: Canvas, who: Identity) -> None:
    """Give the skin its own faint unevenness."""
    generator = np.random.default_rng([who.seed, 1])
    height, width = canvas.light.shape
    coarse = generator.normal(0, 0.016, (24, 24)).astype(np.float32)
    canvas.light += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
