"""The adapter to diffusers: prompts and seeds in, images out."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from fercli.errors import DataError
from fercli.generation.diffusion.source import PIPELINES, DiffusionSource, import_diffusers
from fercli.images import Pixels
from fercli.models.devices import find_device

SCHEDULERS: dict[str, tuple[str, dict[str, Any]]] = {
    "dpm++": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++"}),
    "unipc": ("UniPCMultistepScheduler", {}),
    "euler": ("EulerDiscreteScheduler", {}),
    "ddim": ("DDIMScheduler", {}),
}
"""Schedulers by name, besides the model's default: the class, and its arguments."""
MAX_BATCH = 32
"""Maximum batch size; a GPU gains nothing from more."""
IMAGE_BYTES = 700_000_000
"""Memory for one image of 512 x 512 besides the weights, in half precision: a conservative estimate."""


class BatchTooLargeError(Exception):
    """The device does not have enough memory for this batch size."""


@dataclass(frozen=True, slots=True)
class Request:
    """One image to generate: prompt, negative prompt, and seed of its random generator."""

    prompt: str
    negative: str
    seed: int


@dataclass(frozen=True)
class Settings:
    """How images are generated.

    Attributes:
        size: Side of the images in pixels.
        steps: Denoising steps.
        guidance: Guidance scale.
        scheduler: Name of the scheduler; `default` is the model's own.
        device: Name of the device.
    """

    size: int
    steps: int
    guidance: float
    scheduler: str
    device: str


class DiffusionSampler:
    """A diffusion model on its device.

    Half precision on a GPU, float32 elsewhere. Each image has its own random generator on the CPU, so that it depends
    neither on the rest of its batch nor on the device's random number generator.

    Args:
        source: The model, from `find_source`.
        settings: How images are generated.

    Raises:
        DataError: the model's files cannot be loaded.
        FerError: diffusers is not installed, or there is no such device.
    """

    def __init__(self, source: DiffusionSource, settings: Settings) -> None:
        diffusers = import_diffusers()
        self._settings = settings
        self.device = find_device(settings.device)
        _silence(diffusers)
        try:
            with warnings.catch_warnings():  # about settings of older models
                warnings.simplefilter("ignore")
                self.pipe = getattr(diffusers, source.pipeline).from_pretrained(
                    source.folder,
                    use_safetensors=True,
                    local_files_only=True,
                    variant=source.variant or None,
                    **(
                        {"add_watermarker": False} if source.pipeline == PIPELINES[1] else {}
                    ),  # it would be visible on the faces
                )
        except Exception as error:  # the components raise all kinds of errors for unreadable files
            raise DataError(
                f"{source.folder}: cannot be loaded ({type(error).__name__}: {_first_sentence(error)}); download it "
                "again"
            ) from error
        if settings.scheduler != "default":
            name, extra = SCHEDULERS[settings.scheduler]
            self.pipe.scheduler = getattr(diffusers, name).from_config(self.pipe.scheduler.config, **extra)
        self.pipe.set_progress_bar_config(disable=True)
        half = self.device.type == "cuda"
        self.pipe.to(self.device, torch.float16 if half else torch.float32)
        if half:
            self.pipe.unet.to(memory_format=torch.channels_last)
        self.pipe.vae.enable_slicing()  # decoding a whole batch would take more memory than denoising

    @property
    def dtype(self) -> str:
        """Name of the compute dtype."""
        return str(self.pipe.unet.dtype).removeprefix("torch.")

    def max_batch(self) -> int:
        """Return the batch size that fits into the free memory of a GPU; 1 on other devices."""
        if self.device.type != "cuda":
            return 1
        free, _ = torch.cuda.mem_get_info(self.device)
        each = IMAGE_BYTES * (self._settings.size / 512) ** 2
        return max(1, min(MAX_BATCH, int(0.8 * free / each)))

    def is_truncated(self, prompt: str) -> bool:
        """Return whether the text encoder truncates a prompt."""
        tokenizer = self.pipe.tokenizer
        return bool(len(tokenizer(prompt).input_ids) > tokenizer.model_max_length)

    def sample(self, requests: Sequence[Request]) -> list[Pixels | None]:
        """Generate a batch of images.

        Returns:
            (size, size, 3) uint8 each; None for an image that the safety checker blanked.

        Raises:
            BatchTooLargeError: the device does not have enough memory for the batch.
        """
        settings = self._settings
        try:
            with torch.inference_mode():
                output = self.pipe(
                    prompt=[request.prompt for request in requests],
                    negative_prompt=[request.negative for request in requests],
                    num_inference_steps=settings.steps,
                    guidance_scale=settings.guidance,
                    height=settings.size,
                    width=settings.size,
                    generator=[torch.Generator("cpu").manual_seed(request.seed) for request in requests],
                    output_type="np",
                )
        except torch.OutOfMemoryError:
            output = None
        if output is None:  # outside the handler, whose traceback keeps the tensors alive
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
            raise BatchTooLargeError
        flagged = getattr(output, "nsfw_content_detected", None) or [False] * len(requests)
        values = np.nan_to_num(
            np.asarray(output.images, np.float32)
        )  # NaN after an overflow becomes black, which is rejected
        images = np.clip(np.rint(values * 255), 0, 255).astype(np.uint8)
        return [None if blanked else image for blanked, image in zip(flagged, images, strict=True)]


def _first_sentence(error: Exception) -> str:
    """Return the first sentence of an error; the rest is advice for developers."""
    return re.split(r"\.\s|\n", str(error).strip(), maxsplit=1)[0].rstrip(". ")[:200]


def _silence(diffusers: Any) -> None:
    """Keep the libraries from writing to stderr; fercli reports errors in one line."""
    import transformers

    diffusers.utils.logging.set_verbosity_error()
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
