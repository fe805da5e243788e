"""Checkpoints: a trained model with everything needed to use it.

A checkpoint is a directory: `model.safetensors` holds the weights, `model.json` the architecture, its options, the
emotions in order, the preprocessing and the validation metrics. Nothing in it can run code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_serializer, field_validator
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from fercli.artifacts import MANIFEST, Artifact, Input, Manifest, atomic_path, open_artifact, write_text
from fercli.artifacts.building import partial_path
from fercli.artifacts.digests import digest_file, digest_json
from fercli.errors import DataError, UsageError
from fercli.files import as_text, missing_message, read_bytes, set_default_mode, utf8_path
from fercli.images import Color
from fercli.models.preprocessing import Preprocessing
from fercli.models.registry import create_model, find_model
from fercli.models.soundness import check_weights
from fercli.models.spec import Options, format_options, parse_options

WEIGHTS = "model.safetensors"
METADATA = "model.json"
TRAINING_DIGESTS = "training_sha256.npy"
"""In a run, next to its checkpoints: digests of the images it was trained on, uint8 (N, 32)."""


class CheckpointMetadata(BaseModel):
    """The contents of `model.json`.

    Attributes:
        architecture: Name in the model table.
        options: The architecture's options.
        emotions: In the order of the logits.
        preprocessing: Input size and normalisation.
        face_size: Side of the training faces in pixels, before they were resized to the input size; 0: unknown.
        face_color: Their colour, gray or rgb; empty: unknown.
        gradcam: Name of the module whose output Grad-CAM explains; empty: the one in the model table.
        training_data: Digest of the pack it was trained on.
        epoch: The epoch of the weights, from 1.
        selection: How the epoch was selected, for display.
        validation: Metrics on the validation split.
        drawn_faces: Whether it was trained on synthetic faces from `fer sample`.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, protected_namespaces=())

    architecture: str
    options: Options = {}
    emotions: list[str]
    preprocessing: Preprocessing
    face_size: int = Field(0, ge=0, le=4096)
    face_color: Color | Literal[""] = ""
    gradcam: str = ""
    training_data: str = ""
    epoch: int = 0
    selection: str = ""
    validation: dict[str, float] = {}
    drawn_faces: bool = False

    @field_validator("options", mode="before")
    @classmethod
    def _parse_options(cls, options: Any) -> Any:
        return parse_options(options) if isinstance(options, dict) else options

    @field_serializer("options")
    def _format_options(self, options: Options) -> dict[str, str]:
        return format_options(options)

    @field_validator("emotions")
    @classmethod
    def _check_emotions(cls, emotions: list[str]) -> list[str]:
        if not emotions or len(set(emotions)) < len(emotions):
            raise ValueError("emotions must be names, each once")
        return emotions

    @property
    def face_format(self) -> tuple[int, Color]:
        """Size and colour to crop a new face at, so that it resembles the training faces.

        A 224 px model trained on 48 px faces has only seen enlarged, blurry faces.
        """
        color: Color = "gray" if len(self.preprocessing.mean) == 1 else "rgb"
        return self.face_size or self.preprocessing.input_size, self.face_color or color


@dataclass(frozen=True)
class Checkpoint:
    """A loaded checkpoint: its directory, its metadata, the model in evaluation mode, and its digest."""

    path: Path
    metadata: CheckpointMetadata
    model: nn.Module
    digest: str


def save_checkpoint(
    folder: Path, model_state: dict[str, Tensor], metadata: CheckpointMetadata, stage: str, inputs: Sequence[Input] = ()
) -> str:
    """Write a checkpoint into `folder` (created if necessary) and return its digest.

    Args:
        folder: Its folder, within its run.
        model_state: The weights.
        metadata: The contents of `model.json`.
        stage: The stage that creates it.
        inputs: The run's inputs, with paths relative to the run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_path(folder / WEIGHTS) as tmp_path:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in model_state.items()}, tmp_path)
        set_default_mode(tmp_path)  # safetensors creates files readable by the owner only
    usual = set() if metadata.drawn_faces else {"drawn_faces"}  # omitted to keep the digests of such models
    write_text(folder / METADATA, metadata.model_dump_json(indent=1, exclude=usual) + "\n")
    digest = digest_json([digest_file(folder / WEIGHTS), digest_file(folder / METADATA)])
    summary: dict[str, Any] = {
        "architecture": metadata.architecture,
        "epoch": metadata.epoch,
        "selection": metadata.selection,
        "validation": metadata.validation,
    }
    manifest = Manifest(
        kind="checkpoint",
        stage=stage,
        emotions=metadata.emotions,
        inputs=[i.model_copy(update={"path": as_text(f"../{i.path}")}) for i in inputs],
        digest=digest,
        summary=summary,
        options=format_options(metadata.options),
    )
    write_text(folder / MANIFEST, manifest.model_dump_json(indent=1) + "\n")
    return digest


def checkpoint_folder(path: Path) -> Path:
    """Return the checkpoint that `path` refers to: itself, or the best one of a run.

    Raises:
        DataError: it is neither, or an unfinished run.
    """
    if path.is_file():
        raise DataError(
            f"{path}: is a file; a checkpoint is a folder with {WEIGHTS} and {METADATA} (best/ in a run). "
            "To train from other weights, use fer train --weights FILE"
        )
    if not path.exists() and partial_path(path).is_dir():
        raise DataError(f"{path}: this training has not finished; wait for it, or repeat the call to resume it")
    artifact: Artifact = open_artifact(path, "checkpoint", "run")
    return path / "best" if artifact.manifest.kind == "run" else path


def load_checkpoint(path: Path) -> Checkpoint:
    """Load a checkpoint, or the best one of a run, on the CPU.

    Raises:
        DataError: it is not a checkpoint, is corrupt, or its weights are invalid or belong to another architecture.
    """
    folder = checkpoint_folder(path)
    metadata = read_metadata(folder)
    try:
        spec = find_model(metadata.architecture)
        model = create_model(spec.name, len(metadata.emotions), **spec.check_options(metadata.options))
    except UsageError as error:
        raise DataError(f"{folder / METADATA}: {error}") from error
    channels = len(metadata.preprocessing.mean)
    if channels != spec.channels:
        raise DataError(f"{folder / METADATA}: {spec.name} expects {spec.channels} channels, not {channels}")
    state = read_state(folder / WEIGHTS)
    wrong = mismatch(model.state_dict(), state)
    if wrong:
        raise DataError(f"{folder / WEIGHTS}: not the weights of {metadata.architecture} ({wrong})")
    check_weights(state, model.state_dict(), folder / WEIGHTS)
    model.load_state_dict(state)
    digest = digest_json([digest_file(folder / WEIGHTS), digest_file(folder / METADATA)])
    return Checkpoint(folder, metadata, model.eval(), digest)


def read_metadata(folder: Path) -> CheckpointMetadata:
    """Read a checkpoint's metadata.

    Raises:
        DataError: it is missing or invalid.
    """
    try:
        return CheckpointMetadata.model_validate_json(read_bytes(folder / METADATA))
    except (OSError, ValidationError) as error:
        raise DataError(f"{folder / METADATA}: not valid checkpoint metadata") from error


def read_state(file: Path) -> dict[str, Tensor]:
    """Read weights from a safetensors file, or from a PyTorch file with only tensors and plain values.

    Raises:
        DataError: the file is missing, corrupt, or not a plain state_dict.
    """
    return read_weights(file)[0]


def read_weights(file: Path) -> tuple[dict[str, Tensor], str]:
    """Read weights like `read_state`; return them and, if the file has several sets, a phrase naming the one read.

    A PyTorch file is a pickle, which can run code when loaded; it is loaded in torch's weights-only mode, which rejects
    everything else.

    If a training checkpoint also contains a moving average of the weights, the average is used: it is what such
    training code evaluates (that of EmoNeXt, ConvNeXt and timm).

    Raises:
        DataError: the file is missing, corrupt, or not a plain state_dict.
    """
    if not file.is_file():
        raise DataError(missing_message(file, "weights file"))
    if file.suffix == ".safetensors":
        try:
            with utf8_path(file) as name:
                state = dict(load_file(name))
        except (SafetensorError, OSError, ValueError, KeyError) as error:
            raise DataError(f"{file}: not a valid safetensors file ({error})") from error
        if not state:
            raise DataError(f"{file}: contains no weights")
        return state, ""
    try:
        with torch.serialization.safe_globals(_numpy_values()):
            found = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises pickle, zip, EOF and runtime errors here, with the same meaning
        raise DataError(
            f"{file}: rejected: it is corrupt, or contains more than weights and could run code when loaded; "
            "use a safetensors file"
        ) from error
    average = next((name for name in _AVERAGES if isinstance(found, dict) and _is_state(found.get(name))), "")
    if average:
        found = found[average]
        parts = {k.removeprefix(_EMA_MODEL): v for k, v in found.items() if str(k).startswith(_EMA_MODEL)}
        found = parts or found
    for name in ("state_dict", "model_state_dict", "model", "net"):
        if isinstance(found, dict) and isinstance(found.get(name), dict):
            found = found[name]
    if not _is_state(found):
        raise DataError(f"{file}: contains no state_dict (names to tensors)")
    state = {str(name).removeprefix("module."): tensor for name, tensor in found.items()}
    return state, f"the moving average, '{average}', which such training code evaluates" if average else ""


_AVERAGES = ("ema", "model_ema", "state_dict_ema")
_EMA_MODEL = "ema_model."
"""Prefix of the averaged weights in the state of ema-pytorch, which contains other tensors as well."""


def _is_state(found: Any) -> bool:
    return isinstance(found, dict) and bool(found) and all(isinstance(value, Tensor) for value in found.values())


def _numpy_values() -> list[Any]:
    """Return the types that torch must allow to load NumPy scalars, which checkpoints use for the best accuracy."""
    scalar = np.float64(0).__reduce__()[0]
    types = [type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64, np.int32, np.bool_)]
    return [(scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")] + [np.dtype, *types]


def mismatch(expected: dict[str, Tensor], given: dict[str, Tensor]) -> str:
    """Return how two state_dicts differ in names and shapes, as a phrase; empty if they do not."""
    missing = [name for name in expected if name not in given]
    extra = [name for name in given if name not in expected]
    shapes = [name for name in expected if name in given and expected[name].shape != given[name].shape]
    parts = []
    if missing:
        parts.append(f"{len(missing)} missing, such as {missing[0]}")
    if extra:
        parts.append(f"{len(extra)} unknown, such as {extra[0]}")
    if shapes:
        name = shapes[0]
        parts.append(f"{name} is {tuple(given[name].shape)}, not {tuple(expected[name].shape)}")
    return "; ".join(parts)
