"""The features of a frozen encoder, computed once for each image and kept in the cache folder.

An image is known by its packed pixels, an encoder by its weights and preprocessing: so the packs of all folds of a
cross-validation, the trials of a search and later trainings share the features, and nothing has to be named or deleted
when a pack or an encoder changes. They are float32: a head that is trained on them sees what the whole model computes.

A store is a folder of files that are written whole and never changed. One call at a time computes for a store; the
others wait, and find the features there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from time import sleep
from typing import Protocol

import numpy as np
import numpy.typing as npt
import timm
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from fercli.artifacts import atomic_path
from fercli.artifacts.digests import cache_folder, digest_json
from fercli.artifacts.staging import locked
from fercli.errors import BusyError, FerError
from fercli.images import pixel_digest
from fercli.models.preprocessing import Preprocessing, channels_first
from fercli.progress import SILENT, Progress

FOLDER = "features"
SHARD = 4096
"""Images of a file at most, so that an interrupted call loses few."""
BATCH_SIZE = 128
WAIT = 0.2
"""Seconds between attempts to take the lock that another call holds."""


@dataclass(frozen=True)
class FrozenEncoder:
    """An encoder whose features are cached.

    Attributes:
        name: Name of the model that it belongs to, which determines how it computes.
        module: From normalised faces (B, C, H, W) to features (B, D).
        preprocessing: Its preprocessing.
    """

    name: str
    module: nn.Module
    preprocessing: Preprocessing

    @cached_property
    def identity(self) -> str:
        """Digest of all that its features depend on, besides the faces."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.module.state_dict().items()):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        given = [self.name, self.preprocessing.model_dump(mode="json"), timm.__version__, digest.hexdigest()]
        return digest_json(given)

    def features(self, images: Tensor, device: torch.device, *, mirrored: bool) -> Tensor:
        """Compute the features of uint8 images (B, H, W) or (B, H, W, 3), float32 (B, D) on the CPU."""
        # Not in inference mode, whose tensors no gradient may depend on.
        with torch.no_grad():
            faces = self.preprocessing(channels_first(images).to(device))
            features: Tensor = self.module(faces.flip(3) if mirrored else faces)
        return features.float().cpu()


class Images(Protocol):
    """Faces on the CPU by position: a tensor, uint8 (N, H, W) or (N, H, W, 3), or what reads them from files."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Tensor, /) -> Tensor: ...


def cached_features(
    encoder: FrozenEncoder,
    images: Images,
    device: torch.device,
    *,
    mirrored: bool = False,
    progress: Progress = SILENT,
) -> Tensor:
    """Return the features of faces, float32 (N, D) on the CPU; those that the cache lacks are computed and kept.

    Args:
        encoder: The encoder; it is moved to `device` if anything is computed.
        images: The faces.
        device: Device to compute on.
        mirrored: The features of the mirrored faces instead.
        progress: Progress callback.
    """
    parts = torch.split(torch.arange(len(images)), SHARD)
    digests = [bytes.fromhex(pixel_digest(image)) for rows in parts for image in images[rows].numpy()]
    folder = cache_folder() / FOLDER / (encoder.identity + ("-mirrored" if mirrored else ""))
    found = _read(folder, set(digests))
    computed = 0
    if not all(digest in found for digest in digests):
        with _alone(folder, progress) as writable:
            found = _read(folder, set(digests))  # another call may have computed them while this one waited
            rows = {digest: row for row, digest in enumerate(digests) if digest not in found}
            computed = len(rows)
            with progress.task("features of mirrored faces" if mirrored else "features", computed):
                for part in _parts(list(rows.items()), SHARD):
                    where = torch.tensor([row for _, row in part])
                    features = _compute(encoder, images, where, device, mirrored, progress)
                    if writable:
                        writable = _write(folder, [digest for digest, _ in part], features, progress)
                    found |= zip((digest for digest, _ in part), features.numpy(), strict=True)
    which = " mirrored" if mirrored else ""
    progress.log(f"features of {len(digests):,}{which} faces: {computed:,} computed, the others from the cache")
    return torch.from_numpy(np.stack([found[digest] for digest in digests]))


def _compute(
    encoder: FrozenEncoder, images: Images, rows: Tensor, device: torch.device, mirrored: bool, progress: Progress
) -> Tensor:
    encoder.module.to(device).to(memory_format=torch.channels_last)
    parts = []
    for batch in torch.split(rows, BATCH_SIZE):
        parts.append(encoder.features(images[batch], device, mirrored=mirrored))
        progress.advance(len(batch))
    features = torch.cat(parts)
    if not features.isfinite().all():
        raise FerError(f"{encoder.name}: its features are not finite; check the weights and the input size")
    return features


def _parts(items: Sequence[tuple[bytes, int]], size: int) -> Iterator[Sequence[tuple[bytes, int]]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


@contextmanager
def _alone(folder: Path, progress: Progress) -> Iterator[bool]:
    """Hold the store's lock, once no other call holds it; yield whether the store can be written."""
    with ExitStack() as stack:
        writable, waiting = True, False
        while True:
            try:
                stack.enter_context(locked(folder))
            except BusyError:
                if not waiting:
                    progress.log("waiting for another call that computes features of this encoder")
                waiting = True
                sleep(WAIT)
                continue
            except (OSError, FerError) as error:
                progress.log(f"features are not kept: {folder.parent} cannot be written ({error})")
                writable = False
            break
        yield writable


def _read(folder: Path, wanted: set[bytes]) -> dict[bytes, npt.NDArray[np.float32]]:
    """Return the features of the wanted images that a store has, by digest."""
    found: dict[bytes, npt.NDArray[np.float32]] = {}
    for file in sorted(folder.glob("*.safetensors")):
        # A file that is damaged, or removed at this moment, has no features for us: they are computed again.
        with suppress(OSError, SafetensorError), safe_open(file, "pt") as store:
            digests = [digest.tobytes() for digest in store.get_tensor("digests").numpy()]
            if wanted.isdisjoint(digests):
                continue
            features = store.get_tensor("features").numpy()
            if features.shape[0] == len(digests):
                found |= {d: row for d, row in zip(digests, features, strict=True) if d in wanted}
    return found


def _write(folder: Path, digests: list[bytes], features: Tensor, progress: Progress) -> bool:
    """Add a file to a store; return whether that was possible."""
    rows = torch.from_numpy(np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32).copy())
    name = hashlib.sha256(b"".join(digests)).hexdigest()[:16]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(folder / f"{name}.safetensors") as path:
            save_file({"digests": rows, "features": features.contiguous()}, path)
    except (OSError, SafetensorError) as error:
        progress.log(f"features are not kept: {folder} cannot be written ({error})")
        return False
    return True
