"""The generator as it is kept beside the faces it made, so that each of them can be made again."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from safetensors.torch import save_file

from fercli.artifacts import write_text
from fercli.artifacts.digests import digest_file
from fercli.files import set_default_mode
from fercli.generation.gan.networks import Generator
from fercli.images import Color

FOLDER = "gan"
WEIGHTS = "generator.safetensors"
CARD = "generator.json"


class GanMetadata(BaseModel):
    """What `gan/generator.json` holds.

    Attributes:
        emotions: In the order of the generator's classes.
        counts: Real faces of each that it learnt from.
        side: Of the faces, pixels.
        color: Their colour.
        width: Of the networks.
        noise_seed: Seed of the noise: face `row` of an emotion is made of the noise of this seed, the emotion's number
            and the row.
        truncation: Largest size of a noise's number; None without a bound.
        steps: Steps of the training.
        batch: Faces a step.
        training_data: Digest of the data set.
        sha256: Of the weights.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    kind: Literal["conditional GAN"] = "conditional GAN"
    emotions: list[str] = Field(min_length=1)
    counts: dict[str, int]
    side: int
    color: Color
    width: int = Field(ge=1, le=1024)
    noise_seed: int
    truncation: float | None
    steps: int
    batch: int
    training_data: str
    sha256: str = ""


def save_generator(folder: Path, generator: Generator, card: GanMetadata) -> GanMetadata:
    """Write a generator and its card into `folder` (made if need be); return the card with the weights' digest."""
    folder.mkdir(parents=True, exist_ok=True)
    beside = folder / f".{WEIGHTS}.new"
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in generator.state_dict().items()}, beside)
    set_default_mode(beside)  # safetensors writes for the owner alone
    beside.replace(folder / WEIGHTS)
    card = card.model_copy(update={"sha256": digest_file(folder / WEIGHTS)})
    write_text(folder / CARD, card.model_dump_json(indent=1) + "\n")
    return card
