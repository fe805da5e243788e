"""Nose and mouth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fercli.faces.action_units import Strengths
from fercli.faces.synthetic.canvas import Canvas, Points, ellipse, mix_colors, scale_color, spline
from fercli.faces.synthetic.identity import Identity

_T = np.linspace(-1, 1, 25)
HEIGHT = 0.95
"""The y coordinate where the lips meet at rest."""


def nose_tip(person: Identity, strengths: Strengths) -> Points:
    """Return the tip of the nose, (1, 2); its height above the face is `NOSE_LIFT`."""
    return np.array([(0.0, person.nose_length - 0.03 * strengths[9])])


NOSE_LIFT = 0.24


def paint_nose(canvas: Canvas, person: Identity, strengths: Strengths) -> None:
    """Paint bridge, tip, wings and nostrils; the nose wrinkler pulls the wings up and out."""
    sneer = strengths[9]
    tip = person.nose_length - 0.03 * sneer
    wide = 0.2 * person.nose_width + 0.03 * sneer + 0.02 * strengths[12]
    wing = tip + 0.03 - 0.055 * sneer
    dark, bright = scale_color(person.skin, 0.62), mix_colors(scale_color(person.skin, 1.12), (255, 250, 244), 0.25)
    for side in (-1, 1):
        flank = spline([(side * 0.13, 0.02), (side * 0.12, 0.25), (side * wide * 0.85, wing - 0.08)])
        canvas.stroke(canvas.project(flank, 0.05), 0.07, dark, 0.24, 0.035)
        edge = spline([(side * wide * 0.8, wing - 0.1), (side * wide, wing), (side * wide * 0.75, wing + 0.07)])
        canvas.stroke(canvas.project(edge, 0.08), 0.035, dark, 0.55, 0.014)
    ridge = canvas.project(np.array([(0.0, -0.12), (0.0, 0.18), (0.0, tip - 0.12)]), 0.14)
    canvas.stroke(ridge, np.array([0.08, 0.1, 0.12]), bright, 0.4, 0.035)
    canvas.paint(canvas.project(ellipse(0, tip - 0.02, 0.085, 0.065), NOSE_LIFT), bright, 0.5, 0.035)
    under = spline([(-wide * 0.8, wing + 0.06), (0, tip + 0.13), (wide * 0.8, wing + 0.06)])
    canvas.stroke(canvas.project(under, 0.12), 0.05, dark, 0.5, 0.02)
    for side in (-1, 1):
        hole = ellipse(side * wide * 0.47, tip + 0.085 - 0.03 * sneer, 0.055, 0.028 + 0.008 * sneer)
        canvas.paint(canvas.project(hole, 0.14), (48, 26, 24), 0.75, 0.008)


@dataclass(frozen=True, slots=True)
class Mouth:
    """The four edges of the lips, (N, 2) each, from the image's left to its right."""

    upper_outer: Points
    upper_inner: Points
    lower_inner: Points
    lower_outer: Points

    @property
    def corners(self) -> Points:
        """The two mouth corners, (2, 2)."""
        return self.upper_inner[[0, -1]]


def mouth_shape(person: Identity, strengths: Strengths) -> Mouth:
    """Return the mouth's shape for the given action unit strengths."""
    s = strengths
    gap = 0.35 * s[26] * (1 - 0.4 * s[20]) + (0.05 + 0.13 * s[12]) * s[25]
    half = person.mouth_width + 0.17 * s[12] + 0.15 * s[20] + 0.02 * s[15] - 0.1 * s[23] - 0.03 * s[17]
    half -= 0.12 * s[26] * (1 - s[20])
    middle = HEIGHT + 0.05 * s[12] - 0.05 * s[17] - 0.035 * s[9] - 0.015 * s[26]
    corner = HEIGHT - 0.16 * s[12] + 0.15 * s[15] + 0.035 * s[20] + 0.045 * s[26] + 0.01 * s[17]
    corners = corner + person.mouth_slope + person.asymmetry * _T
    # A dropped jaw makes the mouth an oval, stretched lips a box.
    arch = (1 - np.abs(_T) ** (2.0 + 1.5 * s[20])) ** (1 - 0.4 * s[26])
    # Mouth corners pulled down bend only at the ends; corners pulled up rise evenly.
    level = np.abs(_T) ** (1.9 + 0.9 * s[15] - 0.3 * s[12])
    line = middle + (corners - middle) * level
    upper_inner = line - 0.32 * gap * arch
    lower_inner = line + 0.68 * gap * arch
    size = person.lip_size * (1 - 0.62 * s[23] - 0.25 * s[20] - 0.22 * s[12])
    bow = 1 - 0.2 * np.exp(-((_T / 0.16) ** 2))
    upper = 0.078 * size * (1 + 0.35 * s[9]) * (1 - np.abs(_T) ** 2.4) * bow
    lower = 0.108 * size * (1 + 0.22 * s[17]) * (1 - np.abs(_T) ** 2.6)
    if s[9]:  # the nose wrinkler squares the upper lip
        upper_inner = upper_inner - 0.035 * s[9] * (1 - np.abs(_T) ** 4)
        lower = lower * (1 - 0.1 * s[9])
    x = half * _T
    edges = (upper_inner - upper, upper_inner, np.maximum(lower_inner, upper_inner), lower_inner + lower)
    return Mouth(*(np.stack([x, y], axis=1) for y in edges))


def paint_mouth(canvas: Canvas, person: Identity, strengths: Strengths) -> None:
    """Paint the lips, and the inside of an open mouth."""
    mouth = mouth_shape(person, strengths)
    closed = float((mouth.lower_inner - mouth.upper_inner)[:, 1].max()) < 0.02
    shadow = np.concatenate([mouth.lower_outer, (mouth.lower_outer + np.array((0, 0.07)))[::-1]])
    canvas.paint(canvas.project(shadow), scale_color(person.skin, 0.55), 0.34, 0.03)
    pale = 0.35 * strengths[23] + 0.15 * strengths[20]
    lips = mix_colors(person.lips, person.skin, pale)
    whole = np.concatenate([mouth.upper_outer, mouth.lower_outer[::-1]])
    canvas.paint(canvas.project(whole), scale_color(lips, 0.86), 0.92, 0.008)
    lower = np.concatenate([mouth.lower_inner, mouth.lower_outer[::-1]])
    canvas.paint(canvas.project(lower), scale_color(lips, 1.06), 0.85, 0.01)
    shine = mouth.lower_inner * 0.45 + mouth.lower_outer * 0.55
    canvas.stroke(canvas.project(shine[7:18]), 0.03, mix_colors(lips, (255, 240, 236), 0.6), 0.35, 0.014)
    if not closed:
        _paint_inside(canvas, mouth, strengths)
    line = np.concatenate([mouth.upper_inner[:1], mouth.upper_inner, mouth.upper_inner[-1:]])
    weight = 0.02 + 0.012 * strengths[23] + 0.01 * strengths[17]
    canvas.stroke(canvas.project(line), weight if closed else 0.014, (62, 26, 28), 0.8, 0.005)
    for k, side in ((0, -1), (-1, 1)):
        x, y = mouth.upper_inner[k]
        pressed = 0.16 + 0.5 * strengths[23] + 0.3 * strengths[12] + 0.3 * strengths[15]
        canvas.paint(
            canvas.project(ellipse(x + side * 0.015, y, 0.04, 0.045)), scale_color(person.skin, 0.4), pressed, 0.018
        )
    if strengths[23]:
        above = mouth.upper_outer - (0, 0.025)
        canvas.stroke(canvas.project(above[4:21]), 0.03, scale_color(person.skin, 0.55), 0.4 * strengths[23], 0.012)


def _paint_inside(canvas: Canvas, mouth: Mouth, strengths: Strengths) -> None:
    """Paint the inside of an open mouth: upper teeth in a smile, both rows in stretched lips, and the tongue."""
    upper, lower = mouth.upper_inner, mouth.lower_inner
    canvas.paint(canvas.project(np.concatenate([upper, lower[::-1]])), (52, 16, 18), 1.0, 0.004)
    room = (lower - upper)[:, 1]
    tongue = room.max() - 0.13
    if tongue > 0.03:
        x, y = lower[len(lower) // 2]
        bound = ellipse(x, y - 0.3 * tongue, 0.5 * float(lower[-1, 0]), 0.5 * tongue)
        bound[:, 1] = np.minimum(bound[:, 1], np.interp(bound[:, 0], lower[:, 0], lower[:, 1]) - 0.008)
        canvas.paint(canvas.project(bound), (146, 62, 62), 0.75, 0.015)
    tall = 0.13 * max(strengths[12], 0.75 * strengths[20], 0.45)
    inner = slice(2, -2)
    teeth = upper[inner] + np.stack([0 * _T[inner], np.minimum(room[inner] * 0.85, tall)], axis=1)
    canvas.paint(canvas.project(np.concatenate([upper[inner], teeth[::-1]])), (236, 232, 222), 0.95, 0.004)
    if strengths[20] > 0.1:
        row = slice(5, -5)
        below = lower[row] - np.stack([0 * _T[row], np.minimum(room[row] * 0.3, 0.06)], axis=1)
        canvas.paint(canvas.project(np.concatenate([below, lower[row][::-1]])), (214, 208, 198), 0.85, 0.006)
