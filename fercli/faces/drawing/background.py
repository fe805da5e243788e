"""What stands behind the faces: gradients, clouds, stripes, blurred lights and shapes, tiled walls."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from fercli.faces.drawing.canvas import Plane

_COARSE = 4  # backgrounds are out of focus: drawn this many times smaller, then enlarged


def draw_background(height: int, width: int, generator: np.random.Generator) -> Plane:
    """Draw a background by chance.

    Returns:
        (H, W, 3) float32, red, green, blue, 0..255.
    """
    size = -(-height // _COARSE), -(-width // _COARSE)
    picture = _gradient(size, generator)
    for kind in generator.choice(len(_KINDS), int(generator.integers(1, 3)), replace=False):
        _KINDS[kind](picture, generator)
    softness = generator.uniform(0.8, 2.5)
    picture = cv2.GaussianBlur(picture, (0, 0), softness).astype(np.float32)
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


def _color(generator: np.random.Generator) -> Plane:
    """Return a colour that walls and gardens have: seldom a garish one."""
    grey = generator.uniform(40, 215)
    return np.clip(grey + generator.normal(0, 22, 3), 15, 240).astype(np.float32)


def _gradient(size: tuple[int, int], generator: np.random.Generator) -> Plane:
    angle = generator.uniform(0, 2 * np.pi)
    y, x = np.linspace(-1, 1, size[0])[:, None], np.linspace(-1, 1, size[1])[None]
    share = np.clip(0.5 + 0.35 * (x * np.cos(angle) + y * np.sin(angle)), 0, 1).astype(np.float32)[..., None]
    first, second = _color(generator), _color(generator)
    return np.ascontiguousarray(first + share * (second - first))


def _clouds(picture: Plane, generator: np.random.Generator) -> None:
    height, width = picture.shape[:2]
    strength = generator.uniform(8, 24)
    for cells in (4, 9, 21, 45):
        grid = generator.normal(0, strength / cells**0.35, (cells, cells, 1)).astype(np.float32)
        picture += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)[..., None]


def _stripes(picture: Plane, generator: np.random.Generator) -> None:
    height, width = picture.shape[:2]
    angle, period = generator.uniform(0, np.pi), generator.uniform(7, 30)
    y, x = np.arange(height)[:, None], np.arange(width)[None]
    wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period + generator.uniform(0, 6))
    if generator.random() < 0.5:
        wave = np.sign(wave)
    picture += (wave[..., None] * generator.normal(0, 12, 3)).astype(np.float32)


def _lights(picture: Plane, generator: np.random.Generator) -> None:
    height, width = picture.shape[:2]
    for _ in range(int(generator.integers(10, 30))):
        center = int(generator.integers(0, width)), int(generator.integers(0, height))
        _blend(picture, generator, lambda mask, c=center: cv2.circle(mask, c, int(generator.integers(3, 14)), 1.0, -1))


def _shapes(picture: Plane, generator: np.random.Generator) -> None:
    height, width = picture.shape[:2]
    for _ in range(int(generator.integers(4, 12))):
        center = generator.uniform((0, 0), (width, height))
        angles = np.sort(generator.uniform(0, 2 * np.pi, int(generator.integers(3, 7))))
        radii = generator.uniform(8, 50, len(angles))
        points = center + np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii[:, None]
        _blend(picture, generator, lambda mask, p=points: cv2.fillPoly(mask, [p.astype(np.int32)], 1.0))


def _shelves(picture: Plane, generator: np.random.Generator) -> None:
    height, width = picture.shape[:2]
    for _ in range(int(generator.integers(4, 14))):
        left, top = int(generator.integers(-10, width)), int(generator.integers(-10, height))
        right, bottom = left + int(generator.integers(6, 60)), top + int(generator.integers(6, 80))
        corners = (left, top), (right, bottom)
        _blend(picture, generator, lambda mask, c=corners: cv2.rectangle(mask, *c, 1.0, -1))


def _tiles(picture: Plane, generator: np.random.Generator) -> None:
    height, width = picture.shape[:2]
    high = int(generator.integers(6, 16))
    wide = int(high * generator.uniform(1, 2.6))
    rows, columns = height // high + 2, width // wide + 3
    tints = generator.normal(0, 9, (rows, columns)).astype(np.float32)
    y = np.arange(height)
    row = y // high
    x = np.arange(width)[None] + (row % 2)[:, None] * (wide // 2)
    picture += tints[row[:, None], x // wide][..., None]
    joint = ((y % high == 0)[:, None]) | (x % wide == 0)
    picture[joint] += np.float32(generator.uniform(-30, 30))


def _blend(picture: Plane, generator: np.random.Generator, fill: Callable[[Plane], object]) -> None:
    mask = np.zeros(picture.shape[:2], np.float32)
    fill(mask)
    picture += mask[..., None] * np.float32(generator.uniform(0.25, 0.8)) * (_color(generator) - picture)


_KINDS: tuple[Callable[[Plane, np.random.Generator], None], ...] = (
    _clouds,
    _stripes,
    _lights,
    _shapes,
    _shelves,
    _tiles,
)
