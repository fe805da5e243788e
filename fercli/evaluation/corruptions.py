"""Common corruptions of faces, at five strengths.

After Hendrycks and Dietterich 2019, "Benchmarking neural network robustness to common corruptions and perturbations",
with those that concern faces: instead of weather, poor light, covered eyes or mouths, and small turns of the head in
the image plane. The strengths are fercli's own.

All sizes are relative to the face: widths are shares of its side, and noise and JPEG's errors are made on a grid of
GRID x GRID points and scaled to the face. So a strength means the same for faces of 48 and of 224 pixels. What is
random is drawn from a generator seeded by the face's own pixels: a result depends neither on the other faces nor on
their order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

from fercli.errors import did_you_mean
from fercli.explanation.regions import box_mask
from fercli.faces.action_units import UNITS, Box
from fercli.images import Pixels

STRENGTHS = (1, 2, 3, 4, 5)
GRID = 48
"""Side of the grid of noise and JPEG's errors, in points: FER2013's faces have 48 pixels."""
PHOTONS = 1000.0
"""Photons that a white point of the grid receives in full light; few of them make the noise of a dark picture."""
_CHUNK = 1 << 22  # values at once; in float32, 16 MB

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Corruption:
    """One corruption.

    Attributes:
        values: The parameter at each of the STRENGTHS.
        parameter: What the parameter is, for display.
        apply: Takes faces, uint8 (N, S, S) or (N, S, S, 3), and a parameter, and returns corrupted faces.
    """

    values: tuple[float, float, float, float, float]
    parameter: str
    apply: Callable[[Pixels, float], Pixels]


def corrupt(faces: Pixels, name: str, strength: int) -> Pixels:
    """Return corrupted copies of faces.

    Args:
        faces: uint8 (N, S, S) or (N, S, S, 3).
        name: A name in CORRUPTIONS.
        strength: One of STRENGTHS, or 0 for the faces as they are.

    Returns:
        uint8, of the same shape.

    Raises:
        KeyError: there is no such corruption.
        ValueError: the faces are not square uint8 images, or there is no such strength.
    """
    if faces.dtype != np.uint8 or faces.ndim not in (3, 4) or faces.shape[1] != faces.shape[2]:
        raise ValueError(
            f"faces of type {faces.dtype} and shape {faces.shape}: expected uint8 (N, S, S) or (N, S, S, 3)"
        )
    chosen = CORRUPTIONS[name]
    if strength == 0:
        return faces.copy()
    if strength not in STRENGTHS:
        raise ValueError(f"strength {strength}: expected 0 to {STRENGTHS[-1]}")
    value, found = chosen.values[strength - 1], np.empty_like(faces)
    step = max(1, _CHUNK // max(1, int(np.prod(faces.shape[1:]))))
    for start in range(0, len(faces), step):
        found[start : start + step] = chosen.apply(faces[start : start + step], value)
    return found


def parse_names(text: str) -> tuple[str, ...]:
    """Return the corruptions that a comma-separated list names, or all for `all`, in the order of CORRUPTIONS.

    Raises:
        ValueError: a name is unknown.
    """
    given = [name.strip().lower() for name in text.split(",") if name.strip()]
    if not given:
        raise ValueError(f"expected all, or some of {', '.join(CORRUPTIONS)}")
    for name in given:
        if name not in (*CORRUPTIONS, "all"):
            raise ValueError(did_you_mean("corruption", name[:40], [*CORRUPTIONS, "all"]))
    return tuple(name for name in CORRUPTIONS if name in given or "all" in given)


def _blur(faces: Pixels, share: float) -> Pixels:
    import cv2

    sigma = share * faces.shape[1]
    return np.stack([cv2.GaussianBlur(face, (0, 0), sigma) for face in faces])


def _noise(faces: Pixels, deviation: float) -> Pixels:
    return _rounded(faces + 255 * deviation * _normal_fields(faces))


def _jpeg(faces: Pixels, quality: float) -> Pixels:
    """Add the error of JPEG at GRID x GRID pixels, scaled to the face; at that size, it is JPEG itself."""
    import cv2

    options = [cv2.IMWRITE_JPEG_QUALITY, int(quality)]
    found = np.empty(faces.shape, np.float32)
    for at, face in enumerate(faces):
        small = _resized(face, GRID)
        coded = np.asarray(cv2.imdecode(cv2.imencode(".jpg", small, options)[1], cv2.IMREAD_UNCHANGED), np.float32)
        found[at] = face + _resized(coded - small, len(face))
    return _rounded(found)


def _low_light(faces: Pixels, light: float) -> Pixels:
    """Darken, with the noise of the photons: its variance is the expected number of photons (Poisson), made normal."""
    expected = np.float32(light / 255) * faces
    return _rounded(255 * (expected + np.sqrt(expected / PHOTONS) * _normal_fields(faces)))


def _contrast(faces: Pixels, factor: float) -> Pixels:
    mean = faces.mean(tuple(range(1, faces.ndim)), np.float32, keepdims=True)
    return _rounded(mean + np.float32(factor) * (faces - mean))


def _cover(boxes: Sequence[Box]) -> Callable[[Pixels, float], Pixels]:
    """Return a function that covers boxes of an aligned face, scaled about their centres, by the face's mean colour."""

    def cover(faces: Pixels, scale: float) -> Pixels:
        mask = _scaled_mask(tuple(boxes), scale, faces.shape[1])
        found = faces.copy()
        found[:, mask] = _rounded(faces.mean((1, 2), np.float32, keepdims=True))[:, 0]
        return found

    return cover


@cache
def _scaled_mask(boxes: tuple[Box, ...], scale: float, side: int) -> npt.NDArray[np.bool_]:
    scaled = [(x + w * (1 - scale) / 2, y + h * (1 - scale) / 2, w * scale, h * scale) for x, y, w, h in boxes]
    return box_mask(scaled, None, side)


def _turn(faces: Pixels, degrees: float) -> Pixels:
    """Rotate about the centre, to a side that the face's pixels decide; the border pixels fill the corners."""
    import cv2

    side = faces.shape[1]
    centre, found = ((side - 1) / 2, (side - 1) / 2), np.empty_like(faces)
    for at, face in enumerate(faces):
        sign = 1 if _generator(face).random() < 0.5 else -1
        matrix = cv2.getRotationMatrix2D(centre, sign * degrees, 1.0)
        found[at] = cv2.warpAffine(face, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)
    return found


def _generator(face: Pixels) -> np.random.Generator:
    """Return a generator seeded by a face's pixels."""
    digest = blake2b(face.tobytes(), digest_size=8).digest()
    return np.random.Generator(np.random.SFC64(int.from_bytes(digest, "little")))


def _normal_fields(faces: Pixels) -> Floats:
    """Return normal noise for each face, (N, S, S[, 1]), of deviation 1 on the grid; the same for all channels."""
    fields = [_resized(_generator(face).standard_normal((GRID, GRID), np.float32), faces.shape[1]) for face in faces]
    found = np.stack(fields)
    return found if faces.ndim == 3 else found[..., None]


def _resized(image: npt.NDArray[Any], side: int) -> npt.NDArray[Any]:
    import cv2

    if side == len(image):
        return image
    return cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA if side < len(image) else cv2.INTER_CUBIC)


def _rounded(values: npt.NDArray[np.floating[Any]]) -> Pixels:
    found: Pixels = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return found


CORRUPTIONS: dict[str, Corruption] = {
    "blur": Corruption((0.01, 0.02, 0.03, 0.045, 0.06), "Gaussian sigma, share of the side", _blur),
    "noise": Corruption((0.02, 0.04, 0.06, 0.09, 0.12), "standard deviation, share of white", _noise),
    "jpeg": Corruption((60, 40, 25, 15, 8), "quality at 48 px", _jpeg),
    "low-light": Corruption((0.6, 0.45, 0.3, 0.2, 0.12), "light, with photon noise", _low_light),
    "contrast": Corruption((0.6, 0.45, 0.3, 0.2, 0.1), "factor of the contrast", _contrast),
    "eyes": Corruption((0.5, 0.7, 0.9, 1.1, 1.3), "size of the covered regions", _cover(UNITS[5].boxes)),
    "mouth": Corruption((0.5, 0.7, 0.9, 1.1, 1.3), "size of the covered region", _cover(UNITS[12].boxes)),
    "turn": Corruption((5, 10, 15, 20, 30), "degrees, left or right", _turn),
}
"""The corruptions by name. The covered regions are those of the eyelids and the lips (`fercli.faces.action_units`), in
a typical face crop."""
