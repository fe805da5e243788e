"""Checkpoints: a trained model with everything needed to use it.

A checkpoint is a directory: `model.safetensors` holds the weights, `model.json` the architecture, its options, the
emotions in order, the preprocessing and the validation metrics. Nothing in it can run code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_serializer, field_validator
from safetensors.torch import save_file
from torch import Tensor, nn

from fercli.artifacts import (
    MANIFEST,
    PRETRAINED,
    Artifact,
    Input,
    Manifest,
    atomic_path,
    input_of,
    open_artifact,
    write_text,
)
from fercli.artifacts.building import partial_path
from fercli.artifacts.digests import digest_file, digest_json
from fercli.datasets.affect import AFFECT
from fercli.errors import DataError, UsageError
from fercli.exported import PROGRAM, find_exported, is_exported
from fercli.files import as_text, read_bytes, set_default_mode
from fercli.hub.address import cached_address, is_address, named_by_address
from fercli.hub.fetching import located
from fercli.images import Color
from fercli.models.affect import emotion_model
from fercli.models.onnx_module import InGraph, OnnxModule
from fercli.models.preprocessing import Preprocessing
from fercli.models.registry import create_model, find_model
from fercli.models.soundness import check_weights
from fercli.models.spec import Options, format_options, parse_options
from fercli.models.state_dicts import mismatch, read_state
from fercli.pretrained import find_pretrained, is_pretrained, pretrained_names

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
        temperature: Divides the logits before the softmax, so that probabilities are calibrated; fitted on validation.
        affect: Whether it has two more outputs, for valence and arousal (`fercli.models.affect`).
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
    temperature: float = Field(1.0, gt=0, allow_inf_nan=False)
    affect: bool = False

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
    def outputs(self) -> list[str]:
        """What the outputs are, in order: emotions, and valence and arousal if it predicts them."""
        return [*self.emotions, *(AFFECT if self.affect else ())]

    @property
    def face_format(self) -> tuple[int, Color]:
        """Size and colour to crop a new face at, so that it resembles the training faces.

        A 224 px model trained on 48 px faces has only seen enlarged, blurry faces.
        """
        color: Color = "gray" if len(self.preprocessing.mean) == 1 else "rgb"
        return self.face_size or self.preprocessing.input_size, self.face_color or color


@dataclass(frozen=True)
class Checkpoint:
    """A loaded checkpoint, or an exported model.

    Attributes:
        path: Its directory; of an exported file that is not in its artifact, the file.
        metadata: Its metadata.
        model: The model in evaluation mode, from faces to the logits of the emotions.
        digest: Its digest.
        kind: Its kind as an input: checkpoint, export, or weights for a file alone.
        both: The model with two more outputs, for valence and arousal; None if it has none.
    """

    path: Path
    metadata: CheckpointMetadata
    model: nn.Module
    digest: str
    kind: str = "checkpoint"
    both: nn.Module | None = None

    @property
    def name(self) -> str:
        """How to call it: its path, the name of a model of fercli's own, or the address on the hub, with the commit."""
        if (address := cached_address(self.path)) is not None:
            return str(address)
        return self.path.name if is_pretrained(self.path) else str(self.path)

    @property
    def gradcam_layer(self) -> str:
        """The module whose output Grad-CAM explains by default; empty: the architecture has none."""
        return self.metadata.gradcam or find_model(self.metadata.architecture).gradcam

    def as_input(self) -> Input:
        """Return its description as an input of an artifact."""
        if self.kind != "checkpoint":
            return input_of("checkpoint", self.path, self.kind, self.digest)
        return checkpoint_input("checkpoint", self.path, self.digest)


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
    added = ("drawn_faces", "temperature", "affect")  # omitted at their defaults to keep the digests of earlier models
    usual = {name for name in added if getattr(metadata, name) == CheckpointMetadata.model_fields[name].default}
    write_text(folder / METADATA, metadata.model_dump_json(indent=1, exclude=usual) + "\n")
    digest = digest_json([digest_file(folder / WEIGHTS), digest_file(folder / METADATA)])
    summary = metadata.model_dump(include={"architecture", "epoch", "selection", "validation"})
    manifest = Manifest(
        kind="checkpoint",
        stage=stage,
        emotions=metadata.emotions,
        inputs=[i.moved(as_text(f"../{i.path}")) for i in inputs],
        digest=digest,
        summary=summary,
        options=format_options(metadata.options),
    )
    write_text(folder / MANIFEST, manifest.model_dump_json(indent=1) + "\n")
    return digest


def add_tensors(folder: Path, tensors: Mapping[str, Tensor], stage: str, inputs: Sequence[Input] = ()) -> None:
    """Add tensors to a checkpoint, those of a part that was not trained; the arguments are as for `save_checkpoint`."""
    if tensors:
        state = {**tensors, **read_state(folder / WEIGHTS)}
        save_checkpoint(folder, state, read_metadata(folder), stage, inputs)


def checkpoint_input(name: str, folder: Path, digest: str) -> Input:
    """Return a description of a checkpoint as an input of an artifact; a model of fercli's own has no path."""
    own = is_pretrained(folder)
    return input_of(name, Path(folder.name) if own else folder, PRETRAINED if own else "checkpoint", digest)


def checkpoint_folder(path: Path) -> Path:
    """Return the checkpoint that `path` refers to: itself, the best one of a run, or a model of fercli's own by name.

    That of an address on the hub is downloaded into the hub's cache.

    Raises:
        DataError: it is neither, or an unfinished run.
        UsageError: it is not a valid address on the hub.
        FerError: the hub cannot be reached, or huggingface_hub is not installed.
    """
    if is_address(path):
        return located(path)
    if (pretrained := find_pretrained(path)) is not None:
        return pretrained
    if path.suffix.lower() == Path(PROGRAM).suffix or (path / PROGRAM).is_file():
        raise DataError(
            f"{path}: is a program of torch.export, which fercli does not load; take the run, or export ONNX"
        )
    if path.is_file():
        raise DataError(
            f"{path}: is a file; a checkpoint is a folder with {WEIGHTS} and {METADATA} (best/ in a run). "
            "To train from other weights, use fer train --weights FILE"
        )
    if not path.exists() and partial_path(path).is_dir():
        raise DataError(f"{path}: this training has not finished; wait for it, or repeat the call to resume it")
    if not path.exists() and (near := get_close_matches(str(path).lower(), pretrained_names(), n=1)):
        raise DataError(f"{path}: no such path; did you mean {near[0]}?")
    artifact: Artifact = open_artifact(path, "checkpoint", "run")
    return path / "best" if artifact.manifest.kind == "run" else path


def load_checkpoint(path: Path) -> Checkpoint:
    """Load a checkpoint, the best one of a run, or one from the hub, on the CPU; or an exported model.

    Raises:
        DataError: it is not a checkpoint, is corrupt, or its weights are invalid or belong to another architecture.
        UsageError: it is not a valid address on the hub.
        FerError: it is exported or on the hub, and onnxruntime or huggingface_hub is not installed.
    """
    if find_pretrained(path) is None and is_exported(path):
        return _load_exported(path)
    folder = checkpoint_folder(path)
    with named_by_address(folder):
        return _load(folder)


def _load(folder: Path) -> Checkpoint:
    metadata = read_metadata(folder)
    try:
        spec = find_model(metadata.architecture)
        options = spec.check_options(metadata.options)
        model = create_model(spec.name, len(metadata.outputs), **options)
    except UsageError as error:
        raise DataError(f"{folder / METADATA}: {error}") from error
    if (channels := len(metadata.preprocessing.mean)) != spec.channels:
        raise DataError(f"{folder / METADATA}: {spec.name} expects {spec.channels} channels, not {channels}")
    state = read_state(folder / WEIGHTS)
    if wrong := mismatch(model.state_dict(), state):
        raise DataError(f"{folder / WEIGHTS}: not the weights of {metadata.architecture} ({wrong})")
    check_weights(state, model.state_dict(), folder / WEIGHTS)
    model.load_state_dict(state)
    digest = digest_json([digest_file(folder / WEIGHTS), digest_file(folder / METADATA)])
    both = model.eval() if metadata.affect else None
    own = emotion_model(spec, options, state, len(metadata.emotions)) if both else model
    return Checkpoint(folder, metadata, own.eval(), digest, both=both)


def _load_exported(path: Path) -> Checkpoint:
    file, artifact = find_exported(path)
    digest = digest_file(file)
    if artifact is not None and artifact.manifest.digest != digest:
        raise DataError(f"{file}: was modified after it was written; export the model again")
    module = OnnxModule(read_bytes(file), str(path))
    try:
        metadata = CheckpointMetadata.model_validate(module.metadata.model)
    except ValidationError as error:
        raise DataError(f"{file}: its metadata is not that of a checkpoint; export the model again") from error
    metadata = metadata.model_copy(update={"preprocessing": InGraph(**metadata.preprocessing.model_dump())})
    if artifact is None:
        return Checkpoint(file, metadata, module.eval(), digest, "weights")
    return Checkpoint(file.parent, metadata, module.eval(), digest, "export")


def read_metadata(folder: Path) -> CheckpointMetadata:
    """Read a checkpoint's metadata.

    Raises:
        DataError: it is missing or invalid.
    """
    try:
        return CheckpointMetadata.model_validate_json(read_bytes(folder / METADATA))
    except (OSError, ValidationError) as error:
        raise DataError(f"{folder / METADATA}: not valid checkpoint metadata") from error
