"""Locating a diffusion model in a folder or on the Hugging Face hub, and checking that its files are complete."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fercli.artifacts import Input, input_of
from fercli.artifacts.digests import digest_source, walk_files
from fercli.errors import DataError, FerError, UsageError
from fercli.files import check_file, read_bytes

PIPELINES = ("StableDiffusionPipeline", "StableDiffusionXLPipeline")
"""Supported pipelines. The name comes from the model's own files, so any other class must not be run."""
MODEL_INDEX = "model_index.json"
_MODELS = ("unet", "vae", "text_encoder", "text_encoder_2", "safety_checker")
_WEIGHTS = ("diffusion_pytorch_model", "model")
_FILES = {"scheduler": ("scheduler_config.json",), "feature_extractor": ("preprocessor_config.json",)}


@dataclass(frozen=True)
class DiffusionSource:
    """A complete diffusion model on disk.

    Attributes:
        name: Name of the folder, or of the model on the hub.
        folder: Folder of its files.
        revision: Commit on the hub, or digest of the folder's files.
        pipeline: Class of the pipeline, from `PIPELINES`.
        has_safety_checker: Whether it has a safety checker.
        variant: Variant of the weights: `fp16` if there is no other, else empty.
    """

    name: str
    folder: Path
    revision: str
    pipeline: str
    has_safety_checker: bool
    variant: str

    def input(self) -> Input:
        """Describe the model as an input of an artifact."""
        return input_of("generator", self.folder, "generator", self.revision)


def find_source(name: str, revision: str | None) -> DiffusionSource:
    """Find a model in a folder or in the hub's cache, downloading it if needed, and check that it is complete.

    Raises:
        UsageError: `name` is neither, or a revision is given with a folder.
        DataError: the folder is not a diffusion model, or is incomplete.
        FerError: diffusers is missing, or the model is not cached and the hub cannot be reached.
    """
    path = Path(name).expanduser()
    if path.is_file():
        raise DataError(
            f"{path}: is a single file; a generator is a folder in diffusers' layout, with {MODEL_INDEX} "
            "(diffusers' scripts convert a checkpoint into one)"
        )
    if path.is_dir():
        if revision:
            raise UsageError(f"--revision: only applies to models on the hub; the folder {path} is used as it is")
        pipeline, has_safety_checker, variant = check_folder(path)
        _check_regular_files(path)
        name, revision = path.resolve().name, digest_source(path)
        return DiffusionSource(name, path, revision, pipeline, has_safety_checker, variant)
    if not re.fullmatch(r"[\w][\w.-]*/[\w][\w.-]*", name):
        raise UsageError(f"--generator {name}: no such folder, and not the name of a model on the hub (owner/model)")
    folder = _download(name, revision)
    pipeline, has_safety_checker, variant = check_folder(folder)
    return DiffusionSource(name, folder, folder.name, pipeline, has_safety_checker, variant)


def import_diffusers() -> Any:
    """Import and return diffusers.

    Raises:
        FerError: diffusers or transformers is not installed.
    """
    try:
        import diffusers
        import transformers  # noqa: F401 - without it diffusers' pipelines are stand-ins that fail late
    except ImportError as error:
        raise FerError(
            f"generation needs diffusers and transformers ({error}): pip install 'fercli[generate]'"
        ) from error
    return diffusers


def _download(name: str, revision: str | None) -> Path:
    """Return the folder of a model on the hub, with safetensors only: unpickling can execute code."""
    diffusers = import_diffusers()
    diffusers.utils.logging.set_verbosity_error()
    try:
        found = diffusers.DiffusionPipeline.download(name, revision=revision, use_safetensors=True)
    except Exception as error:  # from the hub client, the network or the system
        at = f" at {revision}" if revision else ""
        raise FerError(
            f"{name}{at}: not in the hub's cache and cannot be downloaded ({type(error).__name__}); with a network, "
            f"run hf download {name} and copy its cache ($HF_HOME), or name a folder: --generator FOLDER"
        ) from error
    return Path(found)


def check_folder(folder: Path) -> tuple[str, bool, str]:
    """Check that a folder contains a complete model; return its pipeline, whether it has a safety checker, its variant.

    Raises:
        DataError: it does not.
    """
    parts = _read_model_index(folder)
    pipeline = str(parts.get("_class_name"))
    if pipeline not in PIPELINES:
        raise DataError(f"{folder / MODEL_INDEX}: {pipeline} is not supported; supported are {' and '.join(PIPELINES)}")
    named = {name for name, value in parts.items() if isinstance(value, list) and len(value) == 2 and all(value)}
    needed = ["unet", "vae", "text_encoder", "tokenizer", "scheduler"]
    if pipeline == PIPELINES[1]:
        needed += ["text_encoder_2", "tokenizer_2"]
    for name in needed:
        if name not in named:
            raise DataError(f"{folder / MODEL_INDEX}: lists no {name}; the generator is incomplete: download it again")
    variants = {_check_part(folder, name) for name in sorted(named)} - {None}
    if len(variants) > 1:
        variants -= {"fp16"}
    return pipeline, "safety_checker" in named, str(next(iter(variants), ""))


def _read_model_index(folder: Path) -> dict[str, Any]:
    try:
        parts = json.loads(read_bytes(folder / MODEL_INDEX))
    except FileNotFoundError as error:
        raise DataError(f"{folder}: not a generator in diffusers' layout (it has no {MODEL_INDEX})") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{folder / MODEL_INDEX}: cannot be read; download the generator again") from error
    if not isinstance(parts, dict):
        raise DataError(f"{folder / MODEL_INDEX}: not a JSON object; download the generator again")
    return parts


def _check_part(folder: Path, name: str) -> str | None:
    """Check that the files of a component exist; return the variant of its weights, None if it has no weights."""
    part = folder / name
    if not part.is_dir():
        raise DataError(f"{folder}: incomplete, {name}/ is missing; download the generator again")
    if name in _MODELS:
        _require(part / "config.json")
        return _variant(part)
    if name.startswith("tokenizer"):
        if not (part / "tokenizer.json").is_file():
            _require(part / "vocab.json")
            _require(part / "merges.txt")
    else:
        for file in _FILES.get(name, ()):
            _require(part / file)
    return None


def _variant(part: Path) -> str:
    """Return the variant of a model's safetensors, after checking that all its files exist."""
    for variant in ("", "fp16"):
        for stem in _WEIGHTS:
            dotted = f".{variant}" if variant else ""
            if (part / f"{stem}{dotted}.safetensors").is_file():
                return variant
            index = part / f"{stem}.safetensors.index{dotted}.json"
            if index.is_file():
                for file in _shards(index):
                    _require(part / file)
                return variant
    if any(part.glob("*.bin")):
        raise DataError(
            f"{part}: contains only pickles (.bin), which can execute code when loaded; use a generator with "
            "safetensors, or convert it"
        )
    raise DataError(
        f"{part}: has no weights ({_WEIGHTS[0]}.safetensors or {_WEIGHTS[1]}.safetensors); download it again"
    )


def _shards(index: Path) -> set[str]:
    try:
        return {Path(str(file)).name for file in json.loads(read_bytes(index))["weight_map"].values()}
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise DataError(f"{index}: cannot be read; download the generator again") from error


def _check_regular_files(folder: Path) -> None:
    """Check that all files are regular, since diffusers would open pipes and devices."""
    for file in walk_files(folder):
        try:
            check_file(file)
        except OSError as error:
            raise DataError(f"{file}: {error.strerror}") from error


def _require(file: Path) -> None:
    if not file.is_file():
        raise DataError(f"{file}: missing; the generator is incomplete: download it again")
