"""Downloading models from the hub into its cache: safetensors and fercli's JSON, by name, and nothing else.

A revision is resolved to a commit once, and all files are of that commit. What is in the cache needs no network with
HF_HUB_OFFLINE=1, or while the hub cannot be reached.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from fercli.errors import DataError, FerError
from fercli.files import open_file
from fercli.hub.address import HubAddress, is_address, parse_address
from fercli.hub.library import cache_folder, hub_api, hub_errors, import_library

WEIGHTS = "model.safetensors"
CHECKPOINT = (WEIGHTS, "model.json", "artifact.json")
"""The files of a checkpoint, all of which are needed."""
TRAINING_DIGESTS = "training_sha256.safetensors"
"""Digests of the images that a checkpoint was trained on, if its owner published them."""
_SAFETENSORS = ".safetensors"
_EXPORTED = "model.onnx"
_SHOWN = 5


def fetch_checkpoint(address: HubAddress) -> Path:
    """Download a checkpoint that `fer push` published; return its folder in the cache, which is named by the commit.

    Raises:
        DataError: there is no such repository, revision or checkpoint, or a file is damaged.
        FerError: the hub cannot be reached, or huggingface_hub is not installed.
    """
    if address.file:
        raise DataError(f"{address}: names a file; for weights without metadata, use --weights with --model")
    import_library()
    folder = _snapshot(address, (*CHECKPOINT, TRAINING_DIGESTS))
    if missing := [name for name in CHECKPOINT if not (folder / name).is_file()]:
        raise DataError(_no_checkpoint(address, missing, _names(address.at(folder.name))))
    for name in (*CHECKPOINT, TRAINING_DIGESTS):
        _check(address, folder / name)
    return folder


def located(path: Path) -> Path:
    """Return a path as it is; for an address on the hub the folder of the checkpoint, at the commit of now.

    Raises:
        DataError: there is no such repository, revision or checkpoint, or a file is damaged.
        UsageError: it is not a valid address.
        FerError: the hub cannot be reached, or huggingface_hub is not installed.
    """
    return fetch_checkpoint(parse_address(path)) if is_address(path) else path


def fetch_weights(address: HubAddress) -> Path:
    """Download weights: the file that is named, else `model.safetensors` or the only other one; return its path.

    Metadata of a checkpoint beside it is downloaded, too.

    Raises:
        DataError: there is no such repository, revision or file, there are several, or it is damaged.
        FerError: the hub cannot be reached, or huggingface_hub is not installed.
    """
    import_library()
    name = address.file or _only_weights(address)
    if not name.endswith(_SAFETENSORS):
        raise DataError(f"{address}: {_pickles([name])}")
    folder = _snapshot(address, (name, *CHECKPOINT[1:]))
    if not (folder / name).is_file():
        raise DataError(f"{address}: has no file {name}; it has {_listed(_names(address.at(folder.name)))}")
    for part in (name, *CHECKPOINT[1:]):
        _check(address, folder / part)
    return folder / name


def _snapshot(address: HubAddress, names: Sequence[str]) -> Path:
    """Download the files of these names, as far as there are any; return the folder, which may not exist."""
    with hub_errors(address, "read"):
        found = hub_api().snapshot_download(
            address.repository, revision=address.revision or None, allow_patterns=list(names)
        )
    return Path(str(found))


def _names(address: HubAddress) -> list[str]:
    """Return the names of a repository's files; only those in the cache if the hub cannot be reached."""
    try:
        with hub_errors(address, "read"):
            return sorted(hub_api().list_repo_files(address.repository, revision=address.revision or None))
    except FerError:
        if cached := _cached_names(address):
            return cached
        raise


def _cached_names(address: HubAddress) -> list[str]:
    """Return the names of the files of a revision that are in the cache."""
    folder, commit = Path(cache_folder(address)), address.revision
    if not address.is_pinned:
        try:
            commit = (folder / "refs" / (address.revision or "main")).read_text("utf-8").strip()
        except OSError:
            return []
    at = folder / "snapshots" / commit
    return sorted(os.listdir(at)) if re.fullmatch(r"[0-9a-f]{40}", commit) and at.is_dir() else []


def _only_weights(address: HubAddress) -> str:
    names = _names(address)
    found = [name for name in names if name.endswith(_SAFETENSORS) and "/" not in name and name != TRAINING_DIGESTS]
    if WEIGHTS in found:
        return WEIGHTS
    if len(found) == 1:
        return found[0]
    if found:
        raise DataError(f"{address}: has several files of weights, {_listed(found)}; name one, as {address}/FILE")
    raise DataError(f"{address}: {_pickles(names)}")


def _pickles(names: Iterable[str]) -> str:
    """Return what is wrong with a repository that has no safetensors file."""
    others = [name for name in names if re.search(r"\.(pt|pth|bin|ckpt|pkl|pickle|tar)$", name)]
    if not others:
        return f"has no {_SAFETENSORS} file, the only weights that are read from the hub"
    return (
        f"{_listed(others)} can run code when loaded, and only {_SAFETENSORS} files are read from the hub; if you "
        "trust it, download it and give the file"
    )


def _no_checkpoint(address: HubAddress, missing: Sequence[str], names: Sequence[str]) -> str:
    """Return the message for a repository without a checkpoint of fercli."""
    if _EXPORTED in names:
        return (
            f"{address}: holds an exported model, and only checkpoints are read from the hub; download {_EXPORTED} and "
            "give the file"
        )
    text = f"{address}: not a checkpoint that fer push published (it has no {', '.join(missing)})"
    if any(name.endswith(_SAFETENSORS) for name in names):
        return f"{text}; weights of a known architecture are used by --weights {address} --model NAME"
    return f"{text}; {_pickles(names)}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (", ".join(names[:_SHOWN]) or "no files") + more


def _check(address: HubAddress, file: Path) -> None:
    """Compare a cached file with the digest that the hub gave for it, by which the cache names its contents.

    huggingface_hub itself checks no more than the size of a download.

    Raises:
        DataError: it differs.
    """
    if not file.is_symlink() or not file.exists():  # where links are not supported, the cache has no digests
        return
    blob = Path(os.path.normpath(file.parent / os.readlink(file)))
    if re.fullmatch(r"[0-9a-f]{64}", blob.name):  # a large file, by SHA-256
        digest = hashlib.sha256()
    elif re.fullmatch(r"[0-9a-f]{40}", blob.name) and blob.parent.name == "blobs":  # others, by git's SHA-1
        digest = hashlib.sha1(b"blob %d\0" % blob.stat().st_size, usedforsecurity=False)
    else:
        return
    with open_file(file) as opened:
        while chunk := opened.read(1 << 20):
            digest.update(chunk)
    if digest.hexdigest() != blob.name:
        raise DataError(
            f"{address}: {file.name} is damaged (its digest is not the hub's); remove {blob}, and repeat the call"
        )
