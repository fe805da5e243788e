"""The adapter to diffusers: prompts and seeds in, pictures out."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from fercli.errors import DataError
from fercli.generation.diffusion.source import KINDS, Generator, need_diffusers
from fercli.images import Pixels
from fercli.models.devices import find_device

SCHEDULERS: dict[str, tuple[str, dict[str, Any]]] = {
    "dpm++": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++"}),
    "unipc": ("UniPCMultistepScheduler", {}),
    "euler": ("EulerDiscreteScheduler", {}),
    "ddim": ("DDIMScheduler", {}),
}
"""Samplers by name, besides the generator's own: the class, and what it is made with."""
MOST = 32
"""Images at a time at most: beyond it a GPU gains nothing more."""
IMAGE_BYTES = 700_000_000
"""Memory that one image of 512 x 512 takes besides the weights, in half precision: an estimate, on the safe side."""


class NoRoomError(Exception):
    """The device has no room for so many images at a time."""


@dataclass(frozen=True, slots=True)
class Request:
    """One image to be drawn: prompt, negative prompt, and seed of its generator."""

    prompt: str
    negative: str
    seed: int


@dataclass(frozen=True)
class Settings:
    """How images are drawn: side in pixels, steps, guidance, the sampler's name (`default`: its own), the device's."""

    size: int
    steps: int
    guidance: float
    scheduler: str
    device: str


class DiffusionSampler:
    """A generator on its device.

    In half precision on a GPU, float32 elsewhere. Each image has a random generator of its own, on the CPU, so that it
    depends neither on the others of its batch nor on the device's.

    Args:
        generator: From `find_generator`.
        settings: How images are drawn.

    Raises:
        DataError: its files cannot be loaded.
        FerError: diffusers is not installed, or there is no such device.
    """

    def __init__(self, generator: Generator, settings: Settings) -> None:
        diffusers = need_diffusers()
        self._settings = settings
        self.device = find_device(settings.device)
        _hush(diffusers)
        try:
            with warnings.catch_warnings():  # of an older generator's settings
                warnings.simplefilter("ignore")
                self.pipe = getattr(diffusers, generator.kind).from_pretrained(
                    generator.folder,
                    use_safetensors=True,
                    local_files_only=True,
                    variant=generator.variant or None,
                    **({"add_watermarker": False} if generator.kind == KINDS[1] else {}),  # it would lie on the faces
                )
        except Exception as error:  # whatever its parts raise on what they cannot read, all meaning the same
            raise DataError(
                f"{generator.folder}: cannot be loaded ({type(error).__name__}: {_first(error)}); fetch it anew"
            ) from error
        if settings.scheduler != "default":
            name, extra = SCHEDULERS[settings.scheduler]
            self.pipe.scheduler = getattr(diffusers, name).from_config(self.pipe.scheduler.config, **extra)
        self.pipe.set_progress_bar_config(disable=True)
        half = self.device.type == "cuda"
        self.pipe.to(self.device, torch.float16 if half else torch.float32)
        if half:
            self.pipe.unet.to(memory_format=torch.channels_last)
        self.pipe.vae.enable_slicing()  # decoding all at once would take more memory than all the steps

    @property
    def dtype(self) -> str:
        """The type it computes in."""
        return str(self.pipe.unet.dtype).removeprefix("torch.")

    def batch(self) -> int:
        """Return how many images at a time the device's free memory has room for; one, but on a GPU."""
        if self.device.type != "cuda":
            return 1
        free, _ = torch.cuda.mem_get_info(self.device)
        each = IMAGE_BYTES * (self._settings.size / 512) ** 2
        return max(1, min(MOST, int(0.8 * free / each)))

    def too_long(self, prompt: str) -> bool:
        """Tell whether the text encoder cuts a prompt's end off."""
        tokenizer = self.pipe.tokenizer
        return bool(len(tokenizer(prompt).input_ids) > tokenizer.model_max_length)

    def paint(self, orders: Sequence[Request]) -> list[Pixels | None]:
        """Draw images at a time; None for one that the safety checker blanked.

        Returns:
            (size, size, 3) uint8 each.

        Raises:
            NoRoomError: there is no room for so many.
        """
        settings = self._settings
        try:
            with torch.inference_mode():
                made = self.pipe(
                    prompt=[order.prompt for order in orders],
                    negative_prompt=[order.negative for order in orders],
                    num_inference_steps=settings.steps,
                    guidance_scale=settings.guidance,
                    height=settings.size,
                    width=settings.size,
                    generator=[torch.Generator("cpu").manual_seed(order.seed) for order in orders],
                    output_type="np",
                )
        except torch.OutOfMemoryError:
            made = None
        if made is None:  # outside the handler, whose traceback holds the tensors
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
            raise NoRoomError
        flagged = getattr(made, "nsfw_content_detected", None) or [False] * len(orders)
        values = np.nan_to_num(np.asarray(made.images, np.float32))  # NaN of an overflow: black, and so rejected
        pictures = np.clip(np.rint(values * 255), 0, 255).astype(np.uint8)
        return [None if bad else picture for bad, picture in zip(flagged, pictures, strict=True)]


def _first(error: Exception) -> str:
    """Return the first sentence of an error: what follows is advice to those who write code."""
    return re.split(r"\.\s|\n", str(error).strip(), maxsplit=1)[0].rstrip(". ")[:200]


def _hush(diffusers: Any) -> None:
    """Keep the libraries from writing on stderr what is told in one line of ours."""
    import transformers

    diffusers.utils.logging.set_verbosity_error()
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
