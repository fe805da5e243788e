"""Hair and beards."""

from __future__ import annotations

import cv2
import numpy as np

from fercli.faces.action_units import Strengths
from fercli.faces.synthetic.canvas import Canvas, Color, Plane, Points, ellipse, mix_colors, scale_color, spline
from fercli.faces.synthetic.head import CROWN, chin_height, outline
from fercli.faces.synthetic.identity import Identity
from fercli.faces.synthetic.mouth import mouth_shape

_VOLUME = {"cropped": 0.03, "short": 0.1, "parted": 0.14, "fringe": 0.13, "long": 0.13, "curly": 0.16, "bun": 0.06}

# Hairlines, from the temple on the image's left to the other; `parted` is mirrored for the other side.
_LINES: dict[str, tuple[tuple[float, float], ...]] = {
    "cropped": ((-0.98, -0.1), (-0.88, -0.5), (-0.68, -0.86), (0, -1.0), (0.68, -0.86), (0.88, -0.5), (0.98, -0.1)),
    "short": ((-1.0, 0.05), (-0.86, -0.5), (-0.6, -0.9), (0, -0.95), (0.6, -0.9), (0.86, -0.5), (1.0, 0.05)),
    "parted": ((-1.0, 0.05), (-0.9, -0.45), (-0.62, -0.92), (-0.42, -1.14), (0.2, -0.9), (0.84, -0.6), (1.0, 0.05)),
    "fringe": ((-1.0, 0.1), (-0.88, -0.4), (-0.6, -0.58), (0, -0.6), (0.6, -0.58), (0.88, -0.4), (1.0, 0.1)),
    "long": ((-0.98, 0.7), (-0.86, -0.2), (-0.66, -0.75), (0.0, -1.1), (0.66, -0.75), (0.86, -0.2), (0.98, 0.7)),
    "curly": ((-1.0, 0.15), (-0.87, -0.42), (-0.62, -0.78), (0, -0.9), (0.62, -0.78), (0.87, -0.42), (1.0, 0.15)),
    "bun": ((-0.98, 0.0), (-0.88, -0.5), (-0.6, -0.9), (0, -1.0), (0.6, -0.9), (0.88, -0.5), (0.98, 0.0)),
}


def paint_hair_behind(canvas: Canvas, person: Identity) -> None:
    """Paint the hair visible behind the head."""
    dark = scale_color(person.hair, 0.62)
    if person.style == "long":
        shape = [
            (-1.1, -0.6),
            (-1.22, 0.3),
            (-1.26, 1.2),
            (-1.1, 1.9),
            (1.1, 1.9),
            (1.26, 1.2),
            (1.22, 0.3),
            (1.1, -0.6),
        ]
        canvas.paint(canvas.project(spline(shape, closed=True), None), dark, 1.0, 0.01)
    elif person.style == "curly":
        _curls(canvas, person, dark)
    elif person.style == "bun":
        canvas.paint(
            canvas.project(ellipse(0.1 * person.side, CROWN - 0.2, 0.4, 0.34), None),
            scale_color(person.hair, 0.85),
            1,
            0.01,
        )


def _curls(canvas: Canvas, person: Identity, color: Color) -> None:
    generator = np.random.default_rng([person.seed, 3])
    for angle in np.linspace(-0.15, np.pi + 0.15, 15):
        x, y = 1.08 * np.cos(angle), -0.45 - 1.05 * np.sin(angle)
        radius = generator.uniform(0.22, 0.34)
        canvas.paint(
            canvas.project(ellipse(x, y, radius, radius, 14), None), scale_color(color, generator.uniform(0.8, 1.3))
        )


def paint_hair(canvas: Canvas, person: Identity, strengths: Strengths) -> None:
    """Paint the hair in front: a cap from the hairline over the crown, with strands."""
    if person.style == "bald":
        return
    cap = _cap(person, strengths)
    soft = 0.035 if person.style == "cropped" else 0.012
    part, cover = canvas.mask(canvas.project(cap, None), soft)
    canvas.blend(part, cover * np.float32(0.8 if person.style == "cropped" else 1.0), person.hair)
    _strands(canvas, person, part, cover)
    if person.style == "curly":
        generator = np.random.default_rng([person.seed, 4])
        for angle in np.linspace(0.1, np.pi - 0.1, 11):
            x, y = 0.86 * np.cos(angle), -0.62 - 0.62 * np.sin(angle)
            radius = generator.uniform(0.16, 0.22)
            shade = scale_color(person.hair, generator.uniform(0.7, 1.35))
            canvas.paint(canvas.project(ellipse(x, y, radius, radius, 12), None), shade, 0.7, 0.03)


def _cap(person: Identity, strengths: Strengths) -> Points:
    line = np.array(_LINES[person.style])
    if person.style == "parted" and person.side > 0:
        line = line[::-1] * (-1, 1)
    line = spline(line, steps=6)
    grown = outline(person, strengths, _VOLUME[person.style])
    low = max(float(line[0, 1]), float(line[-1, 1]))
    over = grown[grown[:, 1] < low]
    # From the right temple over the crown to the left one: by angle around the centre of the head.
    order = np.argsort(np.arctan2(-(over[:, 1] - low - 0.4), over[:, 0]))
    return np.concatenate([line, over[order]])


def _strands(canvas: Canvas, person: Identity, part: tuple[slice, slice], cover: Plane) -> None:
    """Draw strands, darker and brighter than the hair, clipped to the hair."""
    generator = np.random.default_rng([person.seed, 5])
    offset = (part[1].start, part[0].start)
    root = np.array((0.42 * -person.side if person.style == "parted" else 0.0, CROWN + 0.12))
    thick = max(1, round(0.018 * canvas.unit))
    for factor, count in ((0.55, 16), (1.5, 12)):
        angles, out = generator.uniform(-1.5, 1.5, count), generator.normal(1.15, 0.1, count)
        across, zero = np.sin(angles), np.zeros(count)
        start = root + np.stack([0.3 * across, zero], axis=1)
        tip = np.stack([out * across, -0.2 - 1.15 * np.cos(angles) + 0.55 * np.abs(across)], axis=1)
        bent = 0.5 * (root + tip) + np.stack([0.2 * across, zero - 0.44], axis=1)
        t = np.linspace(0, 1, 9)[None, :, None]
        curves = (1 - t) ** 2 * start[:, None] + 2 * t * (1 - t) * bent[:, None] + t**2 * tip[:, None]
        pixels = (canvas.project(curves.reshape(-1, 2), None) - offset).reshape(count, -1, 2)
        drawn = np.zeros(cover.shape, np.uint8)
        cv2.polylines(drawn, list(np.rint(pixels * 16).astype(np.int32)), False, 255, thick, cv2.LINE_AA, 4)
        canvas.blend(part, cover * drawn.astype(np.float32) * np.float32(0.4 / 255), scale_color(person.hair, factor))


def paint_beard(canvas: Canvas, person: Identity, strengths: Strengths) -> None:
    """Paint a beard; before the mouth, which it surrounds."""
    if not person.beard:
        return
    mouth, chin = mouth_shape(person, strengths), chin_height(person, strengths)
    color = mix_colors(scale_color(person.hair, 0.9), person.skin, 0.12)
    if person.beard in ("stubble", "full"):
        grown = outline(person, strengths, 0.0 if person.beard == "stubble" else 0.05)
        side = grown[grown[:, 1] > 0.35]
        side = side[np.argsort(np.arctan2(side[:, 1] - 0.3, side[:, 0]))]
        lip = float(mouth.upper_outer[:, 1].min())
        inner = spline([(-0.78, 0.62), (-0.5, 0.82), (-0.2, lip - 0.09), (0.2, lip - 0.09), (0.5, 0.82), (0.78, 0.62)])
        opacity, blur = (0.3, 0.06) if person.beard == "stubble" else (0.82, 0.035)
        canvas.paint(canvas.project(np.concatenate([side, inner]), None), color, opacity, blur)
    if person.beard in ("moustache", "goatee"):
        top = mouth.upper_outer[4:-4]
        lift = np.linspace(0, np.pi, len(top))
        above = top - np.stack([0 * lift, 0.03 + 0.075 * np.sin(lift)], axis=1)
        canvas.paint(canvas.project(np.concatenate([top - (0, 0.005), above[::-1]])), color, 0.85, 0.014)
    if person.beard == "goatee":
        low = float(mouth.lower_outer[:, 1].max())
        right = np.array([(0.0, low + 0.09), (0.2, low + 0.06), (0.24, chin - 0.1), (0.0, chin + 0.05)])
        shape = np.concatenate([right, right[2:0:-1] * (-1, 1)])
        canvas.paint(canvas.project(spline(shape, closed=True)), color, 0.82, 0.025)
