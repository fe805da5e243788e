"""Rendering one face from a person's identity, action unit strengths, head pose, gaze and light."""

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
from fercli.faces.synthetic.mouth import NOSE_LIFT, mouth_shape, nose_tip, paint_mouth, paint_nose

_MIN_UNIT = 60.0  # half a face's width in pixels at which smaller faces are drawn before being downscaled


@dataclass(frozen=True, slots=True)
class Light:
    """Light direction (x right, y down, z towards the viewer) and ambient fraction."""

    direction: tuple[float, float, float]
    ambient: float


@dataclass(frozen=True, slots=True)
class RenderedFace:
    """A face on a transparent background.

    Attributes:
        pixels: (H, W, 4) float32, premultiplied RGBA, 0..255.
        box: Left, top, width, height of the face: top of brows to chin, cheek to cheek.
        landmarks: (5, 2): left and right eye, nose tip, left and right mouth corner, as seen in the image.
        neck: (2,): where the neck meets the body.
    """

    pixels: Plane
    box: tuple[float, float, float, float]
    landmarks: Points
    neck: Points


def render_face(
    person: Identity,
    strengths: Strengths,
    pose: Pose,
    width: float,
    light: Light,
    gaze: tuple[float, float] = (0.0, 0.0),
) -> RenderedFace:
    """Render a face `width` pixels wide from cheek to cheek."""
    unit = width / 2
    # Small faces are drawn larger and downscaled, so that an iris of a few pixels is a disc, not a square.
    canvas = Canvas(max(unit, _MIN_UNIT), pose)
    paint_hair_behind(canvas, person)
    paint_neck(canvas, person)
    paint_head(canvas, person, strengths)
    paint_beard(canvas, person, strengths)
    paint_nose(canvas, person, strengths)
    paint_mouth(canvas, person, strengths)
    for side in (-1, 1):
        paint_eye(canvas, person, strengths, side, gaze)
        paint_brow(canvas, person, strengths, side)
    paint_hair(canvas, person, strengths)
    if person.glasses:
        paint_glasses(canvas, person)
    _illuminate(canvas, light)
    return _finish(canvas, person, strengths, unit)


def _illuminate(canvas: Canvas, light: Light) -> None:
    """Shade the painted pixels as an ellipsoid in the photograph's light (Lambert's law)."""
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


def _finish(canvas: Canvas, person: Identity, strengths: Strengths, unit: float) -> RenderedFace:
    """Downscale the canvas to its size in the photograph, apply roll, and locate the face."""
    factor = unit / canvas.unit
    height, width = canvas.light.shape
    size = max(1, round(width * factor)), max(1, round(height * factor))
    pixels = cv2.merge(list(canvas.pixels))
    if factor < 1:
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    exact = np.array((size[0] / width, size[1] / height))
    center = np.array((-Canvas.LEFT, 0.3 - Canvas.TOP)) * canvas.unit * exact
    roll = canvas.pose.roll
    rotation = np.array([[cos(roll), -sin(roll)], [sin(roll), cos(roll)]])
    if roll:
        matrix = np.concatenate([rotation, (center - rotation @ center)[:, None]], axis=1)
        pixels = cv2.warpAffine(pixels, matrix, size, flags=cv2.INTER_LINEAR)

    def to_image(points: Points, lift: float | None = 0.0) -> Points:
        placed: Points = (canvas.project(points, lift) * exact - center) @ rotation.T + center
        return placed

    eyes = np.array([(-person.eye_distance, 0.0), (person.eye_distance, 0.0)])
    landmarks = np.concatenate(
        [
            to_image(eyes),
            to_image(nose_tip(person, strengths), NOSE_LIFT),
            to_image(mouth_shape(person, strengths).corners),
        ]
    )
    brows = min(float(canvas.project(brow_line(person, strengths, side))[:, 1].min()) for side in (-1, 1))
    top, bottom = brows / canvas.unit + Canvas.TOP - 0.5 * person.brow_width, chin_height(person, strengths)
    center_of_face = to_image(np.array([(0.0, (top + bottom) / 2)]), None)[0]
    wide, high = 2.0 * unit, (bottom - top) * unit
    box = (float(center_of_face[0] - wide / 2), float(center_of_face[1] - high / 2), wide, high)
    return RenderedFace(pixels, box, landmarks, to_image(np.array([(0.0, 1.75)]), None)[0])
