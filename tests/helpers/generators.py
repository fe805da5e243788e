"""A generator small enough for the tests, in diffusers' layout; and a detector that needs no face."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from fercli.artifacts.digests import digest_file
from fercli.faces.base import Face
from fercli.generation.gan.checkpoint import METADATA, WEIGHTS, GanMetadata
from fercli.generation.gan.networks import GanGenerator


def tiny_generator(folder: Path, *, safety: bool = False) -> Path:
    """Write a Stable Diffusion pipeline of tiny parts, its safetensors of a few hundred kilobytes."""
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPTextConfig, CLIPTextModel

    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        block_out_channels=(4, 8), layers_per_block=1, sample_size=8, norm_num_groups=2, cross_attention_dim=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=4,
    )  # fmt: skip
    vae = AutoencoderKL(
        block_out_channels=(4, 8), norm_num_groups=2, latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
    )  # fmt: skip
    text = CLIPTextModel(
        CLIPTextConfig(
            hidden_size=8,
            intermediate_size=8,
            num_attention_heads=2,
            num_hidden_layers=1,
            vocab_size=600,
            bos_token_id=0,
            eos_token_id=1,
            pad_token_id=1,
        )
    )
    checker = extractor = None
    if safety:
        vision = {"hidden_size": 8, "intermediate_size": 8, "num_attention_heads": 2, "num_hidden_layers": 1}
        config = CLIPConfig(vision_config={**vision, "image_size": 32, "patch_size": 16}, projection_dim=8)
        checker, extractor = StableDiffusionSafetyChecker(config), CLIPImageProcessor(size=32, crop_size=32)
    StableDiffusionPipeline(
        vae=vae, unet=unet, text_encoder=text, tokenizer=_tokenizer(folder.parent / "tokenizer"),
        scheduler=DDIMScheduler(
            beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False, steps_offset=1
        ),
        safety_checker=checker, feature_extractor=extractor, requires_safety_checker=safety,
    ).save_pretrained(folder)  # fmt: skip
    return folder


def _tokenizer(folder: Path):  # type: ignore[no-untyped-def]
    from transformers import CLIPTokenizer

    letters = [chr(code) for code in range(33, 127)]
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    folder.mkdir(exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77)


class EveryPicture:
    """Takes every picture for a face, but those whose red is stronger than a bound."""

    name = "every"

    def __init__(self, bound: float = 256.0) -> None:
        self.bound = bound

    def detect(self, pixels: np.ndarray) -> list[Face]:
        side = float(min(pixels.shape[:2]))
        return [Face((0.0, 0.0, side, side), 1.0)] if pixels[..., 0].mean() < self.bound else []


def every_picture(name: str, weights: Path | None) -> EveryPicture:
    """Stand in for `create_detector`."""
    return EveryPicture()


def load_generator(folder: Path) -> tuple[GanGenerator, GanMetadata]:
    """Load the GAN's generator that `save_generator` wrote, as a user of the dataset would."""
    metadata = GanMetadata.model_validate_json((folder / METADATA).read_bytes())
    assert digest_file(folder / WEIGHTS) == metadata.sha256
    generator = GanGenerator(
        len(metadata.emotions), metadata.side, 1 if metadata.color == "gray" else 3, metadata.width
    )
    generator.load_state_dict(load_file(folder / WEIGHTS))
    return generator.eval(), metadata
