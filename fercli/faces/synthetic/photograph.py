"""A photograph: one to three drawn faces before a background, and what a camera does to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from fercli.faces.action_units import Strengths, draw_strengths
from fercli.faces.synthetic.background import draw_background
from fercli.faces.synthetic.canvas import Canvas, Color, Plane, Points, Pose, spline
from fercli.faces.synthetic.face import DrawnFace, Light, draw_face
from fercli.faces.synthetic.identity import Identity
from fercli.images import Pixels

SMALLEST, LARGEST = 90, 260
"""Width of the faces, cheek to cheek, in pixels."""

_SIZES = ((480, 360), (512, 384), (560, 420), (640, 480), (720, 540), (800, 600), (400, 500), (480, 600))
_LUMA = (0.299, 0.587, 0.114)
_MANY = (0.62, 0.27, 0.11)  # how often one, two, three faces
# How far a head reaches from its middle (0.3 below the eyes) to the left and right, up and down, in units of the face.
_SIDE, _UP, _DOWN = 1.3, 1.75, 1.5


@dataclass(frozen=True, slots=True)
class FaceTruth:
    """What is known of a face in a photograph.

    Attributes:
        person: Number of the person.
        box: Left, top, width, height, pixels: brows' top to chin's bottom, cheek to cheek.
        landmarks: (5, 2) pixels: the eye on the picture's left, the other, nose tip, mouth corners left and right.
        intensity: How strongly the emotion is shown, 0..1; 0 where it is neutral.
        strengths: Of every action unit.
    """

    person: int
    box: tuple[float, float, float, float]
    landmarks: Points
    intensity: float
    strengths: Strengths


@dataclass(frozen=True, slots=True)
class Place:
    """Where a face goes: the middle of its head and half its width, pixels."""

    x: float
    y: float
    unit: float

    def overlaps(self, other: Place) -> bool:
        """Tell whether two heads would touch."""
        beside = abs(self.x - other.x) >= _SIDE * (self.unit + other.unit)
        above, below = (self, other) if self.y < other.y else (other, self)
        return not beside and above.y + _DOWN * above.unit > below.y - _UP * below.unit


def draw_photograph(
    emotion: str, people: int, identity: Callable[[int], Identity], generator: np.random.Generator
) -> tuple[Pixels, list[FaceTruth]]:
    """Draw a photograph whose one to three faces all show an emotion.

    Args:
        emotion: One of the seven.
        people: How many people there are to choose from.
        identity: Returns the person of a number.
        generator: Where chance comes from.

    Returns:
        The picture (H, W, 3) RGB, and its faces from the top down.
    """
    width, height = _SIZES[int(generator.integers(len(_SIZES)))]
    picture = draw_background(height, width, generator)
    places = choose_places(width, height, generator)
    persons = generator.choice(people, len(places), replace=people < len(places))
    light = Light((generator.normal(0, 0.38), generator.uniform(-0.8, 0.1), 1.0), generator.uniform(0.55, 0.8))
    truths = []
    for place, person in zip(places, persons, strict=True):
        intensity = 0.0 if emotion == "neutral" else float(generator.uniform(0.5, 1))
        strengths = draw_strengths(emotion, intensity, generator)
        pose = Pose(*(float(np.clip(generator.normal(0, s), -2 * s, 2 * s)) for s in (0.12, 0.06, 0.06)))
        gaze = tuple(np.clip(generator.normal(0, (0.018, 0.006)), -0.035, 0.035).tolist())
        face = draw_face(identity(int(person)), strengths, pose, 2 * place.unit, light, gaze)
        offset = _lay(picture, face, place, generator)
        left, top, wide, high = face.box
        box = (left + offset[0], top + offset[1], wide, high)
        truths.append(FaceTruth(int(person), box, face.landmarks + offset, intensity, strengths))
    return _expose(picture, min(2 * place.unit for place in places), generator), truths


def choose_places(width: int, height: int, generator: np.random.Generator) -> list[Place]:
    """Choose where the faces go, from the top down; as many as are wanted and fit."""
    wanted = 1 + int(generator.choice(3, p=_MANY))
    limit = min(LARGEST, 2 * height / (_UP + _DOWN), 0.8 * width / wanted)
    places: list[Place] = []
    for _ in range(wanted):
        size = float(np.exp(generator.uniform(np.log(SMALLEST), np.log(max(limit, SMALLEST)))))
        for _ in range(40):
            unit = size / 2
            x = generator.uniform(_SIDE * unit, width - _SIDE * unit)
            y = generator.uniform(_UP * unit, height - _DOWN * unit)
            place = Place(float(x), float(y), unit)
            if not any(place.overlaps(other) for other in places):
                places.append(place)
                break
            size = max(SMALLEST, 0.97 * size)
    return sorted(places, key=lambda place: place.y)


def _lay(picture: Plane, face: DrawnFace, place: Place, generator: np.random.Generator) -> Points:
    """Lay a face and the body below it into the picture; return how far its pixels were moved (2,)."""
    middle = np.array((-Canvas.LEFT, 0.3 - Canvas.TOP)) * place.unit
    offset = np.rint(np.array((place.x, place.y)) - middle)
    _paint_body(picture, face.neck + offset, place.unit, generator)
    left, top = offset.astype(int)
    height, width = face.pixels.shape[:2]
    rows = slice(max(0, top), min(picture.shape[0], top + height))
    columns = slice(max(0, left), min(picture.shape[1], left + width))
    own = face.pixels[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    through = 1 - own[..., 3] * np.float32(1 / 255)
    behind = cv2.multiply(picture[rows, columns], cv2.merge([through] * 3))
    picture[rows, columns] = cv2.add(behind, cv2.cvtColor(own, cv2.COLOR_RGBA2RGB))
    return offset


def _paint_body(picture: Plane, neck: Points, unit: float, generator: np.random.Generator) -> None:
    """Paint shoulders in a garment, down to the picture's end."""
    height, width = picture.shape[:2]
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
    target = picture[top:, left:stop]
    target += share * (fall[..., None] * np.array(color, np.float32) - target)


def _expose(picture: Plane, smallest: float, generator: np.random.Generator) -> Pixels:
    """Do what a camera does: exposure, tint, blur, noise; now and then without colour."""
    height, width = picture.shape[:2]
    blur = generator.uniform(0, 0.009) * smallest
    if blur > 0.35:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), blur), np.float32)
    contrast, level = generator.uniform(0.82, 1.12), generator.uniform(-14, 14)
    mixed = np.diag(contrast * generator.normal(1, 0.035, 3))
    if generator.random() < 0.06:
        mixed = np.full((3, 1), contrast) @ np.array([_LUMA])
    matrix = np.concatenate([mixed, np.full((3, 1), level + 128 * (1 - contrast))], axis=1)
    # One block of noise, repeated: nobody sees it, and it is drawn five times faster.
    block = generator.standard_normal((256, 256), np.float32) * np.float32(generator.uniform(1.5, 7))
    noise = np.tile(block, (height // 256 + 1, width // 256 + 1))[:height, :width]
    exposed = cv2.add(cv2.transform(picture, matrix), cv2.merge([noise] * 3), dtype=cv2.CV_8U)
    return np.asarray(exposed, np.uint8)
