"""One drawn face: a person, what they feel, how they hold their head, and the light they stand in."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, sin

import cv2
import numpy as np

from fercli.faces.action_units import Strengths
from fercli.faces.synthetic.canvas import Canvas, Plane, Points, Pose
from fercli.faces.synthetic.eyes import brow_line, paint_brow, paint_eye, paint_glasses
from fercli.faces.synthetic.hair import paint_beard, paint_hair, paint_hair_behind
from fercli.faces.synthetic.head import chin_height, paint_head, paint_neck
from fercli.faces.synthetic.identity import Identity
from fercli.faces.synthetic.mouth import NOSE_LIFT, mouth_of, nose_tip, paint_mouth, paint_nose

_SMALLEST = 60.0  # pixels of half a face's width that it is drawn at; a smaller one is reduced from there


@dataclass(frozen=True, slots=True)
class Light:
    """Where light comes from, and how much of it: direction (x right, y down, z to the viewer), share that is even."""

    direction: tuple[float, float, float]
    ambient: float


@dataclass(frozen=True, slots=True)
class DrawnFace:
    """A face on a transparent ground.

    Attributes:
        pixels: (H, W, 4) float32, red, green, blue times opacity, and opacity, 0..255.
        box: Left, top, width, height of the face in it: brows' top to chin's bottom, cheek to cheek.
        landmarks: (5, 2): the eye on the picture's left, the other, nose tip, mouth corners left and right.
        neck: (2,): where the neck ends and the body begins.
    """

    pixels: Plane
    box: tuple[float, float, float, float]
    landmarks: Points
    neck: Points


def draw_face(
    who: Identity, strengths: Strengths, pose: Pose, width: float, light: Light, gaze: tuple[float, float] = (0.0, 0.0)
) -> DrawnFace:
    """Draw a face, cheek to cheek `width` pixels."""
    unit = width / 2
    # Small faces are drawn larger and reduced, so that an iris of a few pixels is a disc and no square.
    canvas = Canvas(max(unit, _SMALLEST), pose)
    paint_hair_behind(canvas, who)
    paint_neck(canvas, who)
    paint_head(canvas, who, strengths)
    paint_beard(canvas, who, strengths)
    paint_nose(canvas, who, strengths)
    paint_mouth(canvas, who, strengths)
    for side in (-1, 1):
        paint_eye(canvas, who, strengths, side, gaze)
        paint_brow(canvas, who, strengths, side)
    paint_hair(canvas, who, strengths)
    if who.glasses:
        paint_glasses(canvas, who)
    _illuminate(canvas, light)
    return _turned(canvas, who, strengths, unit)


def _illuminate(canvas: Canvas, light: Light) -> None:
    """Shade everything painted as an ellipsoid in the photograph's light (Lambert's law)."""
    height, width = canvas.light.shape
    x = np.linspace(Canvas.LEFT, Canvas.RIGHT, width // 8, dtype=np.float32)[None] / 1.25
    y = np.linspace(Canvas.TOP, Canvas.BOTTOM, height // 8, dtype=np.float32)[:, None] / 1.9
    z = np.sqrt(np.clip(1 - x**2 - y**2, 0.08, 1))
    length = np.sqrt(x**2 + y**2 + z**2)
    lx, ly, lz = np.array(light.direction) / np.linalg.norm(light.direction)
    towards = np.clip((x * lx + y * ly + z * lz) / length, 0, 1)
    shade = (light.ambient + (1.08 - light.ambient) * towards).astype(np.float32)
    canvas.light = cv2.resize(shade, (width, height), interpolation=cv2.INTER_LINEAR)
    canvas.apply_light()


def _turned(canvas: Canvas, who: Identity, strengths: Strengths, unit: float) -> DrawnFace:
    """Reduce the canvas to its size in the photograph, roll it, and tell where the face lies."""
    factor = unit / canvas.unit
    height, width = canvas.light.shape
    size = max(1, round(width * factor)), max(1, round(height * factor))
    pixels = cv2.merge(list(canvas.pixels))
    if factor < 1:
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    exact = np.array((size[0] / width, size[1] / height))
    center = np.array((-Canvas.LEFT, 0.3 - Canvas.TOP)) * canvas.unit * exact
    roll = canvas.pose.roll
    turn = np.array([[cos(roll), -sin(roll)], [sin(roll), cos(roll)]])
    if roll:
        matrix = np.concatenate([turn, (center - turn @ center)[:, None]], axis=1)
        pixels = cv2.warpAffine(pixels, matrix, size, flags=cv2.INTER_LINEAR)

    def place(points: Points, lift: float | None = 0.0) -> Points:
        placed: Points = (canvas.project(points, lift) * exact - center) @ turn.T + center
        return placed

    eyes = np.array([(-who.eye_distance, 0.0), (who.eye_distance, 0.0)])
    landmarks = np.concatenate(
        [place(eyes), place(nose_tip(who, strengths), NOSE_LIFT), place(mouth_of(who, strengths).corners)]
    )
    brows = min(float(canvas.project(brow_line(who, strengths, side))[:, 1].min()) for side in (-1, 1))
    top, bottom = brows / canvas.unit + Canvas.TOP - 0.5 * who.brow_width, chin_height(who, strengths)
    middle = place(np.array([(0.0, (top + bottom) / 2)]), None)[0]
    wide, high = 2.0 * unit, (bottom - top) * unit
    box = (float(middle[0] - wide / 2), float(middle[1] - high / 2), wide, high)
    return DrawnFace(pixels, box, landmarks, place(np.array([(0.0, 1.75)]), None)[0])
