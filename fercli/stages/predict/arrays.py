"""Photographs and face crops in memory: arrays, tensors and Pillow images, checked and converted to uint8 arrays."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fercli.artifacts import Artifact
from fercli.errors import DataError, ImageError, UsageError
from fercli.images import Color, Pixels, from_pillow, read_image
from fercli.stages.predict.crops import as_packed
from fercli.stages.predict.frames import Frame
from fercli.videos import is_video

PHOTOGRAPH = "a photograph is uint8, (H, W) or (H, W, 3) in RGB order"
CROPS = "face crops are uint8, (N, H, W) or (N, H, W, 3) in RGB order"


class InMemory:
    """Photographs given one by one, as paths, arrays, tensors or Pillow images: a source of frames.

    Args:
        photographs: The photographs. One that is not a path is named by its number, from 0.

    Raises:
        DataError: a file does not exist.
        UsageError: an array is not a photograph.
    """

    name = "photographs"
    artifact: Artifact | None = None
    path: Path | None = None
    rate = 0.0
    passed_over = 0

    def __init__(self, photographs: Sequence[Any]) -> None:
        self.kind = "photo" if len(photographs) == 1 else "folder"
        self.total: int | None = len(photographs)
        self._read = [_reader(number, value) for number, value in enumerate(photographs)]

    def frames(self, log: Callable[[str], None]) -> Iterator[Callable[[], Frame]]:
        """Yield a function per photograph that reads it."""
        del log
        yield from self._read


def _reader(number: int, value: Any) -> Callable[[], Frame]:
    if isinstance(value, str | os.PathLike):
        file = Path(value)
        if not file.is_file():
            raise DataError(f"{file}: {'a folder; pass it alone' if file.is_dir() else 'no such file'}")
        if is_video(file):
            raise DataError(f"{file}: a video; pass it alone")
        return partial(_read, file)
    # A copy, because the caller may reuse the memory before the faces are drawn.
    return partial(Frame, str(number), 0, None, photograph_of(value).copy())


def _read(file: Path) -> Frame:
    try:
        return Frame(str(file), 0, None, read_image(file), file=file)
    except ImageError as error:
        return Frame(str(file), 0, None, problem=error, file=file)


def photograph_of(value: Any) -> Pixels:
    """Return a photograph as uint8 (H, W) or (H, W, 3).

    Args:
        value: A Pillow image; an array (H, W), (H, W, 1) or (H, W, 3); or a tensor (H, W), (1, H, W) or (3, H, W).

    Raises:
        UsageError: it is none of these.
    """
    if isinstance(value, Image.Image):
        return from_pillow(value)
    pixels = _array(value, PHOTOGRAPH)
    if pixels.ndim == 3 and isinstance(value, Tensor):
        pixels = np.moveaxis(pixels, 0, 2)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    if pixels.ndim == 4:
        raise UsageError(f"shape {_shape(value)}: {PHOTOGRAPH}; pass several in a list, or face crops to predict_faces")
    if isinstance(value, Tensor) and value.ndim == 3 and value.shape[2] == 3:
        raise UsageError(f"shape {_shape(value)}: a tensor is (H, W) or (3, H, W); use x.permute(2, 0, 1)")
    if pixels.ndim == 3 and pixels.shape[2] != 3 and pixels.shape[0] == 3:
        raise UsageError(f"shape {_shape(value)}: {PHOTOGRAPH}; move the channels to the end: np.moveaxis(x, 0, -1)")
    if not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)) or not pixels.size:
        raise UsageError(f"shape {_shape(value)}: {PHOTOGRAPH}")
    return np.ascontiguousarray(pixels)


def crops_of(value: Any, size: int, color: Color) -> list[Pixels]:
    """Return face crops as arrays of uint8, each (N, S, S) or (N, S, S, 3), in order, to be predicted one by one.

    A square crop is returned unchanged, as evaluate uses the images of a pack; others are padded and resized.

    Args:
        value: An array (N, H, W) or (N, H, W, 3); a tensor (N, H, W) or (N, C, H, W); or a list of crops of any size,
            each like a photograph of `photograph_of`, or a path.
        size: Side of the faces that the model was trained on.
        color: Their colour.

    Raises:
        UsageError: it is none of these.
        ImageError: a file cannot be read.
    """
    if isinstance(value, list | tuple):
        crops = [read_image(Path(x)) if isinstance(x, str | os.PathLike) else photograph_of(x) for x in value]
        return [_square(crop, size, color)[None] for crop in crops]
    pixels = _array(value, CROPS)
    if isinstance(value, Tensor) and pixels.ndim == 4:
        pixels = np.moveaxis(pixels, 1, 3)
    if pixels.ndim == 4 and pixels.shape[3] == 1:
        pixels = pixels[..., 0]
    if pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3):
        raise UsageError(f"shape {_shape(value)}: {CROPS}; for one face, add an axis: crop[None]")
    if pixels.ndim not in (3, 4) or (pixels.ndim == 4 and pixels.shape[3] != 3) or 0 in pixels.shape[1:]:
        raise UsageError(f"shape {_shape(value)}: {CROPS}")
    if pixels.shape[1] == pixels.shape[2]:
        return [np.ascontiguousarray(pixels)] if len(pixels) else []
    return [_square(np.ascontiguousarray(crop), size, color)[None] for crop in pixels]


def _square(crop: Pixels, size: int, color: Color) -> Pixels:
    return crop if crop.shape[0] == crop.shape[1] else as_packed(crop, size, color)


def _array(value: Any, expected: str) -> Pixels:
    if isinstance(value, Tensor) and value.dtype != torch.uint8:
        raise UsageError(f"values of type {str(value.dtype).removeprefix('torch.')}: {expected}; {_conversion(value)}")
    array = value.detach().cpu().numpy() if isinstance(value, Tensor) else value
    if not isinstance(array, np.ndarray):
        raise UsageError(f"{type(value).__name__}: expected a path, an array, a tensor or a Pillow image; {expected}")
    if array.dtype != np.uint8:
        raise UsageError(f"values of type {array.dtype}: {expected}; {_conversion(array)}")
    return array


def _conversion(value: Any) -> str:
    """Return how to convert an array or tensor of another type."""
    call = "to(torch.uint8)" if isinstance(value, Tensor) else "astype(np.uint8)"
    if "float" in str(value.dtype):
        return f"convert values in 0..1 by (255 * x).{call}, and values in 0..255 by x.{call}"
    if str(value.dtype).removeprefix("torch.") == "uint16":
        return f"convert values in 0..65535 by (x // 257).{call}"
    return f"convert values in 0..255 by x.{call}"


def _shape(value: Any) -> str:
    return str(tuple(value.shape))
