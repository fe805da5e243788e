"""The checkpoint of the GAN's generator, stored with the generated faces so that each can be reproduced."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from safetensors.torch import save_file

from fercli.artifacts import write_text
from fercli.artifacts.digests import digest_file
from fercli.files import set_default_mode
from fercli.generation.gan.networks import GanGenerator
from fercli.images import Color

FOLDER = "gan"
WEIGHTS = "generator.safetensors"
METADATA = "generator.json"


class GanMetadata(BaseModel):
    """Content of `gan/generator.json`.

    Attributes:
        emotions: Emotions in the order of the generator's classes.
        counts: Number of real training faces of each emotion.
        side: Side of the faces in pixels.
        color: Their colour.
        width: Width of the networks.
        noise_seed: Seed of the noise: face `row` of an emotion is generated from noise seeded by this, the label and
            the row.
        truncation: Bound of the noise; None if unbounded.
        steps: Number of training steps.
        batch: Faces per step.
        training_data: Digest of the dataset.
        sha256: Digest of the weights.
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


def save_generator(folder: Path, generator: GanGenerator, metadata: GanMetadata) -> GanMetadata:
    """Write a generator and its metadata into `folder`; return the metadata with the digest of the weights."""
    folder.mkdir(parents=True, exist_ok=True)
    tmp_path = folder / f".{WEIGHTS}.new"
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in generator.state_dict().items()}, tmp_path)
    set_default_mode(tmp_path)  # safetensors creates files readable only by their owner
    tmp_path.replace(folder / WEIGHTS)
    metadata = metadata.model_copy(update={"sha256": digest_file(folder / WEIGHTS)})
    write_text(folder / METADATA, metadata.model_dump_json(indent=1) + "\n")
    return metadata
