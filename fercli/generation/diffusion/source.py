"""Which generator: a folder in diffusers' layout, or a hub's name; whether it is whole; and its revision."""

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

KINDS = ("StableDiffusionPipeline", "StableDiffusionXLPipeline")
"""Pipelines that are run. The name comes from the generator's own file: any other could be anything."""
CARD = "model_index.json"
_MODELS = ("unet", "vae", "text_encoder", "text_encoder_2", "safety_checker")
_WEIGHTS = ("diffusion_pytorch_model", "model")
_FILES = {"scheduler": ("scheduler_config.json",), "feature_extractor": ("preprocessor_config.json",)}


@dataclass(frozen=True)
class Generator:
    """A whole generator on this disk.

    Attributes:
        name: What the call named: a folder's name, or the hub's.
        folder: Where its files lie.
        revision: The commit of the hub, or the digest of the folder's files.
        kind: The pipeline's class, from `KINDS`.
        safe: Whether it has a safety checker.
        variant: Of its weights' files: `fp16` where there are no others, else empty.
    """

    name: str
    folder: Path
    revision: str
    kind: str
    safe: bool
    variant: str

    def input(self) -> Input:
        """Describe it as an input of the artifact."""
        return input_of("generator", self.folder, "generator", self.revision)


def find_generator(name: str, revision: str | None) -> Generator:
    """Find a generator and see that it is whole: in a folder, or in the hub's cache, fetched into it where need be.

    Raises:
        UsageError: `name` is neither, or a revision is given with a folder.
        DataError: the folder is no generator, or lacks a part.
        FerError: diffusers is missing, or the hub cannot be reached and the cache does not hold it.
    """
    path = Path(name).expanduser()
    if path.is_file():
        raise DataError(
            f"{path}: a single file; a generator is a folder in diffusers' layout, with {CARD} "
            "(diffusers' scripts convert a checkpoint into one)"
        )
    if path.is_dir():
        if revision:
            raise UsageError(f"--revision: is for a hub's name; the folder {path} is taken as it is")
        kind, safe, variant = check_folder(path)
        _only_files(path)
        return Generator(path.resolve().name, path, digest_source(path), kind, safe, variant)
    if not re.fullmatch(r"[\w][\w.-]*/[\w][\w.-]*", name):
        raise UsageError(f"--generator {name}: no such folder, and not a hub's name (owner/model)")
    folder = _fetch(name, revision)
    kind, safe, variant = check_folder(folder)
    return Generator(name, folder, folder.name, kind, safe, variant)


def need_diffusers() -> Any:
    """Import diffusers, and return it.

    Raises:
        FerError: it, or transformers, is not installed.
    """
    try:
        import diffusers
        import transformers  # noqa: F401 - without it diffusers' pipelines are stand-ins that fail late
    except ImportError as error:
        raise FerError(
            f"generation needs diffusers and transformers ({error}): pip install 'fercli[generate]'"
        ) from error
    return diffusers


def _fetch(name: str, revision: str | None) -> Path:
    """Return the folder of a hub's generator, its weights as safetensors alone: a pickle can run code when read."""
    diffusers = need_diffusers()
    diffusers.utils.logging.set_verbosity_error()
    try:
        found = diffusers.DiffusionPipeline.download(name, revision=revision, use_safetensors=True)
    except Exception as error:  # the hub's client raises its own, the network's and the system's errors here
        at = f" at {revision}" if revision else ""
        raise FerError(
            f"{name}{at}: not in the hub's cache and cannot be fetched ({type(error).__name__}); with a network, run "
            f"hf download {name} and take its cache along ($HF_HOME), or name a folder: --generator FOLDER"
        ) from error
    return Path(found)


def check_folder(folder: Path) -> tuple[str, bool, str]:
    """See that a folder holds a whole generator; return its kind, whether it has a safety checker, and its variant.

    Raises:
        DataError: it does not.
    """
    parts = _read_card(folder)
    kind = str(parts.get("_class_name"))
    if kind not in KINDS:
        raise DataError(f"{folder / CARD}: a {kind} cannot be run here; wanted is a {' or '.join(KINDS)}")
    named = {name for name, value in parts.items() if isinstance(value, list) and len(value) == 2 and all(value)}
    needed = ["unet", "vae", "text_encoder", "tokenizer", "scheduler"]
    if kind == KINDS[1]:
        needed += ["text_encoder_2", "tokenizer_2"]
    for name in needed:
        if name not in named:
            raise DataError(f"{folder / CARD}: names no {name}; the generator is incomplete: fetch it anew")
    variants = {_check_part(folder, name) for name in sorted(named)} - {None}
    if len(variants) > 1:
        variants -= {"fp16"}
    return kind, "safety_checker" in named, str(next(iter(variants), ""))


def _read_card(folder: Path) -> dict[str, Any]:
    try:
        parts = json.loads(read_bytes(folder / CARD))
    except FileNotFoundError as error:
        raise DataError(f"{folder}: no generator in diffusers' layout (it has no {CARD})") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{folder / CARD}: cannot be read; fetch the generator anew") from error
    if not isinstance(parts, dict):
        raise DataError(f"{folder / CARD}: not a generator's card; fetch the generator anew")
    return parts


def _check_part(folder: Path, name: str) -> str | None:
    """See that a part's files are there; return the variant of its weights, None where it has none."""
    part = folder / name
    if not part.is_dir():
        raise DataError(f"{folder}: incomplete, {name}/ is missing; fetch the generator anew")
    if name in _MODELS:
        _want(part / "config.json")
        return _variant(part)
    if name.startswith("tokenizer"):
        if not (part / "tokenizer.json").is_file():
            _want(part / "vocab.json")
            _want(part / "merges.txt")
    else:
        for file in _FILES.get(name, ()):
            _want(part / file)
    return None


def _variant(part: Path) -> str:
    """Return the variant of a model's safetensors, having seen that all its files are there."""
    for variant in ("", "fp16"):
        for stem in _WEIGHTS:
            dotted = f".{variant}" if variant else ""
            if (part / f"{stem}{dotted}.safetensors").is_file():
                return variant
            index = part / f"{stem}.safetensors.index{dotted}.json"
            if index.is_file():
                for file in _shards(index):
                    _want(part / file)
                return variant
    if any(part.glob("*.bin")):
        raise DataError(
            f"{part}: holds pickles (.bin) alone, which can run code when they are read; take a generator whose "
            "weights are safetensors, or convert it"
        )
    raise DataError(f"{part}: has no weights ({_WEIGHTS[0]}.safetensors or {_WEIGHTS[1]}.safetensors); fetch it anew")


def _shards(index: Path) -> set[str]:
    try:
        return {Path(str(file)).name for file in json.loads(read_bytes(index))["weight_map"].values()}
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise DataError(f"{index}: cannot be read; fetch the generator anew") from error


def _only_files(folder: Path) -> None:
    """See that diffusers, which opens files by their names, finds no pipe or device under one."""
    for file in walk_files(folder):
        try:
            check_file(file)
        except OSError as error:
            raise DataError(f"{file}: {error.strerror}") from error


def _want(file: Path) -> None:
    if not file.is_file():
        raise DataError(f"{file}: missing; the generator is incomplete: fetch it anew")
