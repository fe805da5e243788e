"""Backgrounds of synthetic photographs: gradients, clouds, stripes, blurred shapes."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from fercli.faces.synthetic.canvas import Plane, Points

_COARSE = 4  # backgrounds are out of focus: drawn smaller by this factor, then enlarged


def render_background(height: int, width: int, generator: np.random.Generator) -> Plane:
    """Draw a random background.

    Returns:
        (H, W, 3) float32, RGB, 0..255.
    """
    size = -(-height // _COARSE), -(-width // _COARSE)
    image = _gradient(size, generator)
    for kind in generator.choice(len(_KINDS), int(generator.integers(1, 3)), replace=False):
        _KINDS[kind](image, generator)
    softness = generator.uniform(0.7, 1.6)
    image = cv2.GaussianBlur(image, (0, 0), softness).astype(np.float32)
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def _color(generator: np.random.Generator) -> Plane:
    """Sample a colour as of walls and gardens, seldom a garish one."""
    grey = generator.uniform(40, 215)
    return np.clip(grey + generator.normal(0, 22, 3), 15, 240).astype(np.float32)


def _gradient(size: tuple[int, int], generator: np.random.Generator) -> Plane:
    angle = generator.uniform(0, 2 * np.pi)
    y, x = np.linspace(-1, 1, size[0])[:, None], np.linspace(-1, 1, size[1])[None]
    share = np.clip(0.5 + 0.35 * (x * np.cos(angle) + y * np.sin(angle)), 0, 1).astype(np.float32)[..., None]
    first, second = _color(generator), _color(generator)
    return np.ascontiguousarray(first + share * (second - first))


def _clouds(image: Plane, generator: np.random.Generator) -> None:
    # Large ones only: after histogram equalisation, detectors take blotches of a face's size for faces.
    height, width = image.shape[:2]
    grid = generator.normal(0, generator.uniform(12, 30), (2, 3, 1)).astype(np.float32)
    image += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)[..., None]


def _stripes(image: Plane, generator: np.random.Generator) -> None:
    height, width = image.shape[:2]
    # Near vertical: detectors take horizontal stripes for brows, eyes and lips.
    angle, period = generator.uniform(-0.7, 0.7), generator.uniform(5, 13)
    y, x = np.arange(height)[:, None], np.arange(width)[None]
    wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period + generator.uniform(0, 6))
    if generator.random() < 0.5:
        wave = np.sign(wave)
    image += (wave[..., None] * generator.normal(0, 12, 3)).astype(np.float32)


def _shapes(image: Plane, generator: np.random.Generator) -> None:
    height, width = image.shape[:2]
    for _ in range(int(generator.integers(4, 12))):
        center = generator.uniform((0, 0), (width, height))
        angles = np.sort(generator.uniform(0, 2 * np.pi, int(generator.integers(3, 7))))
        radii = generator.uniform(8, 50, (len(angles), 1))
        _polygon(image, center + radii * np.stack([np.cos(angles), np.sin(angles)], axis=1), generator)


def _shelves(image: Plane, generator: np.random.Generator) -> None:
    height, width = image.shape[:2]
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)])
    for _ in range(int(generator.integers(4, 14))):
        corner = generator.uniform((-10, -10), (width, height))
        _polygon(image, corner + corners * generator.uniform((6, 6), (60, 80)), generator)


def _polygon(image: Plane, points: Points, generator: np.random.Generator) -> None:
    """Blend a translucent polygon of random colour into the image."""
    (left, top), (right, bottom) = (
        np.maximum(p, 0).astype(int) for p in (points.min(axis=0) - 1, points.max(axis=0) + 2)
    )
    target = image[top:bottom, left:right]
    if not target.size:
        return
    mask = np.zeros(target.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.rint((points - (left, top)) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    share = mask[..., None] * np.float32(generator.uniform(0.25, 0.8) / 255)
    target += share * (_color(generator) - target)


_KINDS: tuple[Callable[[Plane, np.random.Generator], None], ...] = (_clouds, _stripes, _shapes, _shelves)
