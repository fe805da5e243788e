"""Preprocessing from a pack's uint8 faces to a model's input, on the device; stored in the checkpoint."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, FiniteFloat, model_validator
from torch import Tensor

from fercli.models.spec import ModelSpec


def channels_first(images: Tensor) -> Tensor:
    """Return a view of (N, H, W) or (N, H, W, C) as (N, C, H, W), torch's layout."""
    return images.unsqueeze(1) if images.ndim == 3 else images.permute(0, 3, 1, 2)


def channels_last(images: Tensor) -> Tensor:
    """Return a view of (N, C, H, W) as (N, H, W, C), or (N, H, W) for one channel: the layout of files and OpenCV."""
    return images[:, 0] if images.shape[1] == 1 else images.permute(0, 2, 3, 1)


class Preprocessing(BaseModel):
    """Input size, colour and normalisation of a model.

    Attributes:
        input_size: Height and width, pixels.
        mean: Mean of each channel, for values in 0..1; one for grey input, three for RGB.
        std: Standard deviation of each channel.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    input_size: int
    mean: tuple[FiniteFloat, ...]
    std: tuple[FiniteFloat, ...]

    @model_validator(mode="after")
    def _check(self) -> Preprocessing:
        if len(self.mean) != len(self.std) or len(self.mean) not in (1, 3) or min(self.std) <= 0:
            raise ValueError("mean and std must have one or three values each, std above zero")
        if not 8 <= self.input_size <= 1024:
            raise ValueError("input_size must be between 8 and 1024")
        return self

    @classmethod
    def of(cls, spec: ModelSpec, input_size: int | None = None, *, reduced: bool = False) -> Preprocessing:
        """Return the preprocessing of a model or its small variant, at the given input size or its default.

        Raises:
            UsageError: the input size is below the model's minimum.
        """
        return cls(input_size=spec.side(input_size, reduced=reduced), mean=spec.mean, std=spec.std)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one input of the model: channels, height, width."""
        return (len(self.mean), self.input_size, self.input_size)

    def to_float(self, images: Tensor) -> Tensor:
        """Convert uint8 (B, 1 or 3, H, W) to floats in 0..1, without resizing.

        Grey faces for an RGB model keep one channel until `normalise`, which saves time in between. RGB faces for a
        grey model are converted to luma (ITU-R 601).
        """
        x = images.float()
        if len(self.mean) == 1 and x.shape[1] == 3:
            x = (x * x.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
        return x / 255

    def resize(self, x: Tensor, size: int | None = None) -> Tensor:
        """Resize (B, C, H, W) to `size` pixels (default: the input size), with antialiasing if that is smaller."""
        side = size or self.input_size
        if x.shape[-2:] == (side, side):
            return x
        return F.interpolate(x, size=(side, side), mode="bilinear", antialias=side < x.shape[-1])

    def normalise(self, x: Tensor) -> Tensor:
        """Repeat grey to the model's channels, subtract the mean and divide by std; in channels-last memory format."""
        mean = x.new_tensor(self.mean).view(1, -1, 1, 1)
        std = x.new_tensor(self.std).view(1, -1, 1, 1)
        return ((x - mean) / std).contiguous(memory_format=torch.channels_last)

    def __call__(self, images: Tensor) -> Tensor:
        """Convert uint8 (B, 1 or 3, H, W) to the model's input, (B, C, input_size, input_size)."""
        return self.normalise(self.resize(self.to_float(images)))
