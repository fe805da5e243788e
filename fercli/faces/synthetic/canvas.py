"""Painting antialiased shapes, soft edges and light on a transparent canvas, in face coordinates.

Face coordinates: the origin is between the eyes, x points right, y down, and the unit is half the face's width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import cos, sin

import cv2
import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]
"""Points (N, 2)."""
Plane = npt.NDArray[np.float32]
Color = tuple[float, float, float]
"""Red, green, blue, 0..255."""

_FLATNESS = np.array((1 / 1.08, 1 / 1.8))  # inverse semi-axes of the ellipsoid that models the front of the head
_WHOLE = slice(None), slice(None)
_SHIFT = 4  # fractional bits of OpenCV's coordinates: sixteenths of a pixel


@dataclass(frozen=True, slots=True)
class Pose:
    """Head pose in radians: yaw to the image's right, pitch down, roll clockwise."""

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0


class Canvas:
    """A transparent image on which a face is painted upright; roll is applied later, by `render_face`.

    Args:
        unit: Half the face's width in pixels.
        pose: Head pose.

    Attributes:
        pixels: (4, H, W) float32, premultiplied RGBA, 0..255.
        light: (H, W) float32, the factor that `apply_light` multiplies skin by; 1 where unshaded.
    """

    LEFT, TOP, RIGHT, BOTTOM = -1.6, -2.05, 1.6, 2.15

    def __init__(self, unit: float, pose: Pose) -> None:
        self.unit = unit
        self.pose = pose
        height, width = round((self.BOTTOM - self.TOP) * unit), round((self.RIGHT - self.LEFT) * unit)
        self.pixels: Plane = np.zeros((4, height, width), np.float32)
        self.light: Plane = np.ones((height, width), np.float32)

    def project(self, points: Sequence[Sequence[float]] | Points, lift: float | None = 0.0) -> Points:
        """Project points on the face to canvas pixels.

        Args:
            points: (N, 2) in face coordinates.
            lift: Their height above the head's surface; None for the outline and everything around it, which the pose
                does not move.
        """
        placed = np.array(points, np.float64).reshape(-1, 2)
        if lift is not None:
            inside = 1 - np.square(placed * _FLATNESS).sum(axis=1)
            depth = 0.72 * np.sqrt(np.maximum(inside, 0)) + lift
            placed[:, 0] = placed[:, 0] * cos(self.pose.yaw) + (depth - 0.25) * sin(self.pose.yaw)
            placed[:, 1] = placed[:, 1] * cos(self.pose.pitch) + (depth - 0.45) * sin(self.pose.pitch)
        placed -= (self.LEFT, self.TOP)
        placed *= self.unit
        return placed

    def mask(self, points: Points, blur: float = 0.0) -> tuple[tuple[slice, slice], Plane]:
        """Return the part of the canvas that contains a polygon, and the polygon's coverage there, 0..1.

        Args:
            points: (N, 2) in pixels.
            blur: Softness of the edge in face units.
        """
        sigma = blur * self.unit
        pad = 2 + int(3 * sigma)
        height, width = self.light.shape
        (low_x, low_y), (high_x, high_y) = points.min(axis=0), points.max(axis=0)
        left, top = min(max(int(low_x) - pad, 0), width - 1), min(max(int(low_y) - pad, 0), height - 1)
        right, bottom = (
            max(min(int(high_x) + pad + 1, width), left + 1),
            max(min(int(high_y) + pad + 1, height), top + 1),
        )
        cover = np.zeros((bottom - top, right - left), np.uint8)
        fixed = np.rint((points - (left, top)) * (1 << _SHIFT)).astype(np.int32)
        cv2.fillPoly(cover, [fixed], 255, cv2.LINE_AA, _SHIFT)
        if sigma > 0.6:  # less is not visible beyond the antialiasing
            cover = cv2.GaussianBlur(cover, (0, 0), sigma)
        return (slice(top, bottom), slice(left, right)), cover.astype(np.float32) * np.float32(1 / 255)

    def paint(self, points: Points, color: Color, opacity: float = 1.0, blur: float = 0.0) -> None:
        """Blend a coloured polygon over the canvas."""
        part, cover = self.mask(points, blur)
        self.blend(part, cover * np.float32(opacity), color)

    def blend(self, part: tuple[slice, slice], cover: Plane, color: Color) -> None:
        """Blend a colour over a part of the canvas, with opacity `cover`."""
        target = self.pixels[:, *part]
        target += cover * (np.array([*color, 255], np.float32)[:, None, None] - target)

    def stroke(
        self, line: Points, widths: float | Points, color: Color, opacity: float = 1.0, blur: float = 0.0
    ) -> None:
        """Paint a line; its width is in face units, one for the line or one per point."""
        self.paint(ribbon(line, np.asarray(widths) * self.unit), color, opacity, blur)

    def crease(self, line: Points, width: float, amount: float, blur: float = 0.02) -> None:
        """Darken (`amount` < 0) or brighten skin along a line, fading at its ends."""
        if abs(amount) < 0.01:
            return
        widths = width * self.unit * np.sin(np.linspace(0.12, np.pi - 0.12, len(line)))
        part, cover = self.mask(ribbon(line, widths), blur)
        self.light[part] += cover * np.float32(amount)

    def bump(self, center: Points, radii: tuple[float, float], amount: float) -> None:
        """Darken or brighten skin in a soft spot: a Gaussian with the given radii in face units."""
        part, cover = self._spot(center, radii)
        self.light[part] += cover * np.float32(amount)

    def glow(self, center: Points, radii: tuple[float, float], color: Color, opacity: float) -> None:
        """Blend a colour over the canvas in a soft spot."""
        part, cover = self._spot(center, radii)
        self.blend(part, cover * np.float32(opacity), color)

    def _spot(self, center: Points, radii: tuple[float, float]) -> tuple[tuple[slice, slice], Plane]:
        (x, y), (rx, ry) = center.reshape(2), (radii[0] * self.unit, radii[1] * self.unit)
        height, width = self.light.shape
        left, right = (min(max(int(x + reach), 0), width) for reach in (-3 * rx, 3 * rx + 1))
        top, bottom = (min(max(int(y + reach), 0), height) for reach in (-3 * ry, 3 * ry + 1))
        across = np.exp(-0.5 * ((np.arange(left, right, dtype=np.float32) - np.float32(x)) / np.float32(rx)) ** 2)
        down = np.exp(-0.5 * ((np.arange(top, bottom, dtype=np.float32) - np.float32(y)) / np.float32(ry)) ** 2)
        return (slice(top, bottom), slice(left, right)), down[:, None] * across

    def apply_light(self, part: tuple[slice, slice] = _WHOLE, cover: Plane | float = 1.0) -> None:
        """Multiply the painted pixels by the light, weighted by `cover`, and reset the light."""
        shade = np.clip(self.light[part], 0.2, 1.6)
        self.pixels[:3, *part] *= 1 + (shade - 1) * cover
        self.light[...] = 1


def spline(points: Sequence[Sequence[float]] | Points, closed: bool = False, steps: int = 6) -> Points:
    """Return a Catmull-Rom spline through points (N, 2), with `steps` points per segment."""
    p = np.asarray(points, np.float64)
    if closed:
        p = np.concatenate([p[-1:], p, p[:2]])
    else:
        p = np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
    segments = np.stack([p[k : len(p) - 3 + k] for k in range(4)], axis=1)
    curve = (_basis(steps) @ segments).reshape(-1, 2)
    return curve if closed else np.concatenate([curve, p[-2:-1]])


@cache
def _basis(steps: int) -> Points:
    """Return the weights (steps, 4) of a segment's four control points."""
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    powers = np.concatenate([np.ones_like(t), t, t**2, t**3], axis=1)
    return 0.5 * powers @ np.array([[0, 2, 0, 0], [-1, 0, 1, 0], [2, -5, 4, -1], [-1, 3, -3, 1]], np.float64)


def ribbon(line: Points, widths: Points | float) -> Points:
    """Return the outline of a line (N, 2) with the given width or widths (N,)."""
    tangents = np.empty_like(line)
    tangents[1:-1] = line[2:] - line[:-2]
    tangents[0], tangents[-1] = line[1] - line[0], line[-1] - line[-2]
    half = 0.5 * np.asarray(widths) / np.maximum(np.sqrt(np.square(tangents).sum(axis=1)), 1e-9)
    offsets = tangents[:, ::-1] * (-1, 1) * half[:, None]
    return np.concatenate([line + offsets, (line - offsets)[::-1]])


def ellipse(x: float, y: float, rx: float, ry: float, points: int = 28) -> Points:
    """Return an ellipse's outline."""
    t = np.linspace(0, 2 * np.pi, points, endpoint=False)
    return np.stack([x + rx * np.cos(t), y + ry * np.sin(t)], axis=1)


def mix_colors(a: Color, b: Color, share: float) -> Color:
    """Interpolate between two colours: `a` at 0, `b` at 1."""
    red, green, blue = (p + (q - p) * share for p, q in zip(a, b, strict=True))
    return red, green, blue


def scale_color(color: Color, factor: float) -> Color:
    """Darken or brighten a colour."""
    red, green, blue = (min(255.0, part * factor) for part in color)
    return red, green, blue


def luma(color: Color) -> float:
    """Return a colour's luma by ITU-R 601, 0..255."""
    return 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2]
