"""Synthetic photographs: one to three faces in front of a background, with simulated camera effects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from fercli.faces.action_units import Strengths, sample_strengths
from fercli.faces.synthetic.background import render_background
from fercli.faces.synthetic.canvas import Canvas, Color, Plane, Points, Pose, spline
from fercli.faces.synthetic.face import Light, RenderedFace, render_face
from fercli.faces.synthetic.identity import Identity
from fercli.images import Pixels

SMALLEST, LARGEST = 90, 260
"""Range of the faces' widths in pixels, cheek to cheek."""

_SIZES = ((480, 360), (512, 384), (560, 420), (640, 480), (720, 540), (800, 600), (400, 500), (480, 600))
_LUMA = (0.299, 0.587, 0.114)
_FACE_COUNT_P = (0.62, 0.27, 0.11)  # probabilities of one, two and three faces
# Extent of a head from its centre (0.3 below the eyes): sideways, up and down, in face units.
_SIDE, _UP, _DOWN = 1.3, 1.75, 1.5


@dataclass(frozen=True, slots=True)
class FaceTruth:
    """Ground truth of a face in a photograph.

    Attributes:
        person: Number of the person.
        box: Left, top, width, height in pixels: top of brows to chin, cheek to cheek.
        landmarks: (5, 2) in pixels: left and right eye, nose tip, left and right mouth corner, as seen in the image.
        intensity: Intensity of the emotion, 0..1; 0 for neutral.
        strengths: Strength of every action unit.
    """

    person: int
    box: tuple[float, float, float, float]
    landmarks: Points
    intensity: float
    strengths: Strengths


@dataclass(frozen=True, slots=True)
class Placement:
    """Position of a face: the centre of the head and half the face's width, in pixels."""

    x: float
    y: float
    unit: float

    def overlaps(self, other: Placement) -> bool:
        """Return whether two heads would touch."""
        beside = abs(self.x - other.x) >= _SIDE * (self.unit + other.unit)
        above, below = (self, other) if self.y < other.y else (other, self)
        return not beside and above.y + _DOWN * above.unit > below.y - _UP * below.unit


def render_photograph(
    emotion: str, people: int, identity: Callable[[int], Identity], generator: np.random.Generator
) -> tuple[Pixels, list[FaceTruth]]:
    """Render a photograph whose one to three faces all show the same emotion.

    Args:
        emotion: One of the seven emotions.
        people: Number of people to sample from.
        identity: Returns the person with a given number.
        generator: Random number generator.

    Returns:
        The image (H, W, 3) RGB, and its faces from top to bottom.
    """
    width, height = _SIZES[int(generator.integers(len(_SIZES)))]
    image = render_background(height, width, generator)
    placements = sample_placements(width, height, generator)
    persons = generator.choice(people, len(placements), replace=people < len(placements))
    light = Light((generator.normal(0, 0.38), generator.uniform(-0.8, 0.1), 1.0), generator.uniform(0.55, 0.8))
    truths = []
    for placement, person in zip(placements, persons, strict=True):
        intensity = 0.0 if emotion == "neutral" else float(generator.uniform(0.5, 1))
        strengths = sample_strengths(emotion, intensity, generator)
        pose = Pose(*(float(np.clip(generator.normal(0, s), -2 * s, 2 * s)) for s in (0.12, 0.06, 0.06)))
        gaze = tuple(np.clip(generator.normal(0, (0.018, 0.006)), -0.035, 0.035).tolist())
        face = render_face(identity(int(person)), strengths, pose, 2 * placement.unit, light, gaze)
        offset = _blend_face(image, face, placement, generator)
        left, top, wide, high = face.box
        box = (left + offset[0], top + offset[1], wide, high)
        truths.append(FaceTruth(int(person), box, face.landmarks + offset, intensity, strengths))
    return _simulate_camera(image, min(2 * placement.unit for placement in placements), generator), truths


def sample_placements(width: int, height: int, generator: np.random.Generator) -> list[Placement]:
    """Sample positions for one to three faces, from top to bottom; fewer if they do not fit."""
    count = 1 + int(generator.choice(3, p=_FACE_COUNT_P))
    limit = min(LARGEST, 2 * height / (_UP + _DOWN), 0.8 * width / count)
    placements: list[Placement] = []
    for _ in range(count):
        size = float(np.exp(generator.uniform(np.log(SMALLEST), np.log(max(limit, SMALLEST)))))
        for _ in range(40):
            unit = size / 2
            x = generator.uniform(_SIDE * unit, width - _SIDE * unit)
            y = generator.uniform(_UP * unit, height - _DOWN * unit)
            placement = Placement(float(x), float(y), unit)
            if not any(placement.overlaps(other) for other in placements):
                placements.append(placement)
                break
            size = max(SMALLEST, 0.97 * size)
    return sorted(placements, key=lambda placement: placement.y)


def _blend_face(image: Plane, face: RenderedFace, placement: Placement, generator: np.random.Generator) -> Points:
    """Blend a face and its body into the image; return the offset (2,) of the face's pixels."""
    middle = np.array((-Canvas.LEFT, 0.3 - Canvas.TOP)) * placement.unit
    offset = np.rint(np.array((placement.x, placement.y)) - middle)
    _paint_body(image, face.neck + offset, placement.unit, generator)
    left, top = offset.astype(int)
    height, width = face.pixels.shape[:2]
    rows = slice(max(0, top), min(image.shape[0], top + height))
    columns = slice(max(0, left), min(image.shape[1], left + width))
    own = face.pixels[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    through = 1 - own[..., 3] * np.float32(1 / 255)
    behind = cv2.multiply(image[rows, columns], cv2.merge([through] * 3))
    image[rows, columns] = cv2.add(behind, cv2.cvtColor(own, cv2.COLOR_RGBA2RGB))
    return offset


def _paint_body(image: Plane, neck: Points, unit: float, generator: np.random.Generator) -> None:
    """Paint clothed shoulders, down to the edge of the image."""
    height, width = image.shape[:2]
    x, y = neck
    end = (height - y) / unit + 1
    shoulder = spline([(0.3, -0.22), (0.62, -0.2), (1.2, 0.08), (1.75, 0.32), (2.0, 0.9), (2.08, 1.6)])
    right = np.concatenate([shoulder, [(2.12, max(end, 1.7))]])
    shape = np.concatenate([right, right[::-1] * (-1, 1)]) * unit + (x, y)
    base = generator.uniform(25, 205)
    color: Color = tuple(np.clip(base + generator.normal(0, 35, 3), 10, 235).tolist())
    left, top = max(0, int(shape[:, 0].min())), max(0, int(shape[:, 1].min()))
    stop = min(width, int(shape[:, 0].max()) + 2)
    if top >= height or left >= stop:
        return
    cover = np.zeros((height - top, stop - left), np.uint8)
    cv2.fillPoly(cover, [np.rint((shape - (left, top)) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    y_axis = np.arange(height - top, dtype=np.float32)[:, None]
    fall = 1 - 0.25 * np.clip(y_axis / (3 * unit), 0, 1)
    if generator.random() < 0.15:
        fall = fall * (1 + 0.12 * np.sign(np.sin(y_axis * (2 * np.pi / (generator.uniform(0.15, 0.4) * unit)))))
    share = cover.astype(np.float32)[..., None] * np.float32(1 / 255)
    target = image[top:, left:stop]
    target += share * (fall[..., None] * np.array(color, np.float32) - target)


def _simulate_camera(image: Plane, smallest: float, generator: np.random.Generator) -> Pixels:
    """Simulate a camera: exposure, tint, blur and noise; occasionally black and white."""
    height, width = image.shape[:2]
    blur = generator.uniform(0, 0.009) * smallest
    if blur > 0.35:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), blur), np.float32)
    contrast, level = generator.uniform(0.82, 1.12), generator.uniform(-14, 14)
    mixed = np.diag(contrast * generator.normal(1, 0.035, 3))
    if generator.random() < 0.06:
        mixed = np.full((3, 1), contrast) @ np.array([_LUMA])
    matrix = np.concatenate([mixed, np.full((3, 1), level + 128 * (1 - contrast))], axis=1)
    # One repeated block of noise: five times as fast, and the repetition is not visible.
    block = generator.standard_normal((256, 256), np.float32) * np.float32(generator.uniform(1.5, 7))
    noise = np.tile(block, (height // 256 + 1, width // 256 + 1))[:height, :width]
    exposed = cv2.add(cv2.transform(image, matrix), cv2.merge([noise] * 3), dtype=cv2.CV_8U)
    return np.asarray(exposed, np.uint8)
