"""Seconds an image of `fer balance --method generate`, against plain diffusers: one image after the other.

    python benchmarks/generation_speed.py [--steps 40] [--size 512] [--images 16] [--batch N] [--device cuda]
    python benchmarks/generation_speed.py --layers tiny --steps 2 --size 64 --images 4 --device cpu

Without --generator the layers are Stable Diffusion 1.5's (or `--layers tiny`: of a few channels) with random weights:
their pictures are noise, their time is the real one. The plain side is what a script does: the pipeline as it comes, in
float32, one prompt a call (`--plain-half`: in half precision too). Ours: batches by free memory, half precision on a
GPU, the face looked for in each image; `--fast-scheduler` and `--fast-steps` measure a faster sampler besides, which
is another picture and not the same work. Prints the median of the rounds, sides alternating.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections import deque
from pathlib import Path
from time import perf_counter

import torch
from diffusers import AutoencoderKL, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from fercli.faces.detectors import create_detector
from fercli.generation.diffusion.face_generator import FaceGenerator, Task
from fercli.generation.diffusion.pipeline import DiffusionSampler, Request, Settings
from fercli.generation.diffusion.source import find_source

PROMPT = "Portrait photograph with a happy, cheerful, deeply delighted single woman that is happy"
NEGATIVE = "blurred, cartoon, deformed"
WIDTHS = {"sd15": (320, 640, 1280, 1280), "tiny": (8, 16, 32, 32)}


def write_generator(folder: Path, layers: str) -> Path:
    """Write Stable Diffusion 1.5's layers (or tiny ones) with random weights, in diffusers' layout."""
    full = layers == "sd15"
    unet = UNet2DConditionModel(
        sample_size=64, cross_attention_dim=768 if full else 32, block_out_channels=WIDTHS[layers],
        norm_num_groups=32 if full else 4, attention_head_dim=8 if full else 4,
    )  # fmt: skip
    vae = AutoencoderKL(
        block_out_channels=(128, 256, 512, 512) if full else (8, 8, 16, 16), latent_channels=4,
        norm_num_groups=32 if full else 4, layers_per_block=2,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
    )  # fmt: skip
    text = CLIPTextModel(
        CLIPTextConfig(
            hidden_size=768 if full else 32, intermediate_size=3072 if full else 32,
            num_attention_heads=12 if full else 2, num_hidden_layers=12 if full else 1, vocab_size=49408,
            bos_token_id=0, eos_token_id=1, pad_token_id=1,
        )
    )  # fmt: skip
    letters = [chr(code) for code in range(33, 127)]
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    (folder / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    StableDiffusionPipeline(
        vae=vae, unet=unet, text_encoder=text, scheduler=PNDMScheduler(skip_prk_steps=True, steps_offset=1),
        tokenizer=CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    ).save_pretrained(folder / "generator")  # fmt: skip
    return folder / "generator"


def seconds(device: torch.device, work: object) -> float:
    """Return how long a call takes, the device's work included."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    started = perf_counter()
    work()  # type: ignore[operator]
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--generator", help="a folder or a hub's name, instead of random layers")
    parser.add_argument("--layers", choices=list(WIDTHS), default="sd15")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--batch", type=int, help="default: by free memory")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--plain-half", action="store_true")
    parser.add_argument("--fast-scheduler", default="")
    parser.add_argument("--fast-steps", type=int, default=20)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(given, given.generator or str(write_generator(Path(folder), given.layers)))


def measure(given: argparse.Namespace, name: str) -> None:
    generator = find_source(name, None)
    sampler = DiffusionSampler(generator, Settings(given.size, given.steps, 5.5, "default", given.device))
    device = sampler.device
    half = given.plain_half and device.type == "cuda"
    plain_pipe = StableDiffusionPipeline.from_pretrained(generator.folder, use_safetensors=True)
    plain_pipe.to(device, torch.float16 if half else torch.float32).set_progress_bar_config(disable=True)
    batch = given.batch or sampler.max_batch()
    ways = {"fercli": sampler}
    if given.fast_scheduler:
        settings = Settings(given.size, given.fast_steps, 5.5, given.fast_scheduler, given.device)
        ways[f"fercli, {given.fast_scheduler} {given.fast_steps}"] = DiffusionSampler(generator, settings)

    def plain() -> None:
        for k in range(given.images):
            seed = torch.Generator("cpu").manual_seed(200 * k)
            options = {"height": given.size, "width": given.size, "num_inference_steps": given.steps}
            plain_pipe(PROMPT, negative_prompt=NEGATIVE, guidance_scale=5.5, generator=seed, **options)

    def ours(sampler: DiffusionSampler) -> None:
        generator = FaceGenerator(sampler, create_detector("haar"), 48, "gray", 0.0, 1, batch)
        list(generator.generate(deque(Task(k, Request(PROMPT, NEGATIVE, 200 * k)) for k in range(given.images))))

    times: dict[str, list[float]] = {"plain": [], **{way: [] for way in ways}}
    for sampler in ways.values():  # kernels are chosen at the first call
        sampler.sample([Request(PROMPT, NEGATIVE, 1)] * min(batch, given.images))
    for turn in range(given.rounds):
        times["plain"].append(seconds(device, plain) / given.images)
        for way, sampler in ways.items():
            times[way].append(seconds(device, lambda sampler=sampler: ours(sampler)) / given.images)
        print(f"round {turn + 1}: " + ", ".join(f"{way} {values[-1]:.3f} s" for way, values in times.items()))
    base = statistics.median(times["plain"])
    print(f"{device.type}, {sampler.dtype}, {given.size} px, {given.steps} steps, batches of {batch}, plain float"
          f"{16 if half else 32}")  # fmt: skip
    for way, values in times.items():
        print(f"{way}: {statistics.median(values):.3f} s an image, {statistics.median(values) / base:.2f} of plain")


if __name__ == "__main__":
    main()
