"""The files of a model as they are published: without the paths of this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors.numpy import save

from fercli.artifacts import MANIFEST, Artifact, Manifest, is_artifact, open_artifact
from fercli.errors import DataError, UsageError
from fercli.evaluation.predicting import digests_file, training_digests
from fercli.exported import ONNX, PROGRAM, SUMMARY, find_exported, is_exported
from fercli.files import read_bytes
from fercli.hub.fetching import TRAINING_DIGESTS
from fercli.hub.uploading import Upload
from fercli.models.checkpoints import METADATA, WEIGHTS, Checkpoint, CheckpointMetadata, load_checkpoint
from fercli.runs import is_run_checkpoint
from fercli.sanitize import without_folders

_BESIDE = (SUMMARY, "parity.csv", "speed.csv", "example.py", "example.js")
"""The files of an export that are published beside the model."""


@dataclass(frozen=True)
class Source:
    """A model to publish.

    Attributes:
        checkpoint: The model, loaded, which checks it.
        artifact: Its artifact: a checkpoint or an export.
        made: The artifact that says how it was made: its run, if it has one.
    """

    checkpoint: Checkpoint
    artifact: Artifact
    made: Artifact

    @property
    def metadata(self) -> CheckpointMetadata:
        """The model's metadata."""
        return self.checkpoint.metadata

    @property
    def exported(self) -> bool:
        """Whether it is an export."""
        return self.artifact.manifest.kind == "export"


def open_source(path: Path) -> Source:
    """Open a model to publish: a run, a checkpoint, one of fercli's own models, or an ONNX export.

    Raises:
        UsageError: it is an export that the hub's users could only load by pickle.
        DataError: it is missing or damaged, or a file of an export alone.
    """
    if (path / PROGRAM).is_file() or path.suffix == ".pt2":
        raise UsageError(f"push: {path} is loaded by pickle, which can run code; export it with --format onnx")
    checkpoint = load_checkpoint(path)
    if is_exported(path):
        artifact = find_exported(path)[1]
        if artifact is None:
            raise DataError(f"{path}: is not in the folder that fer export wrote; export the model again")
        return Source(checkpoint, artifact, artifact)
    folder = checkpoint.path
    artifact = open_artifact(folder, "checkpoint")
    if artifact.manifest.digest != checkpoint.digest:
        raise DataError(f"{folder}: was modified after it was written; train the model again")
    inside = is_run_checkpoint(folder) and is_artifact(folder.parent)
    return Source(checkpoint, artifact, open_artifact(folder.parent) if inside else artifact)


def model_files(source: Source) -> Iterator[Upload]:
    """Yield the model's files, except for its card."""
    folder = source.artifact.path
    yield Upload(MANIFEST, published_manifest(source).encode())
    if source.exported:
        yield Upload(ONNX, folder / ONNX)
        yield from (Upload(name, read_bytes(folder / name)) for name in _BESIDE if (folder / name).is_file())
        return
    yield Upload(METADATA, read_bytes(folder / METADATA))
    yield Upload(WEIGHTS, folder / WEIGHTS)
    if digests_file(source.checkpoint).is_file():
        yield Upload(TRAINING_DIGESTS, save({"sha256": training_digests(source.checkpoint)}))


def published_manifest(source: Source) -> str:
    """Return the manifest: that of the checkpoint with what its run knows, and inputs by their names and digests."""
    own, made = source.artifact.manifest, source.made.manifest
    found = own.model_copy(
        update={
            "command": without_folders(made.command),
            "seed": made.seed,
            "counts": made.counts,
            "inputs": [one.moved(Path(one.path).name) for one in own.inputs],
            "files": {},
            "details": {},
        }
    )
    return Manifest.model_validate(found.model_dump()).model_dump_json(indent=1) + "\n"


def check_paths(uploads: Sequence[Upload]) -> None:
    """Refuse files that contain the path of the user's folder or the working directory, in case one slips through.

    Weights are not read: they are numbers.

    Raises:
        DataError: one does.
    """
    folders = {os.path.expanduser("~"), os.getcwd()} - {"/"}
    for one in uploads:
        if one.path.endswith(".safetensors"):
            continue
        data = read_bytes(one.content) if isinstance(one.content, Path) else one.content
        if any(os.fsencode(folder) + b"/" in data for folder in folders):
            advice = "export the model again" if one.path == ONNX else "leave it out, or make it again"
            raise DataError(f"{one.path}: contains the path of a folder of this machine; {advice}")
