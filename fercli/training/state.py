"""The file from which an interrupted training resumes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from fercli.artifacts import atomic_path
from fercli.distributed.group import ALONE, Group
from fercli.errors import FerError


def save_training_state(state: dict[str, Any], file: Path) -> None:
    """Write a trainer's state atomically."""
    file.parent.mkdir(exist_ok=True)
    # An open file, because torch reports a full disk as a position in the archive.
    with atomic_path(file) as tmp_path, tmp_path.open("wb") as opened:
        torch.save(state, opened)


def read_training_state(file: Path, device: torch.device, group: Group = ALONE) -> dict[str, Any] | None:
    """Return a trainer's state, or None if there is none.

    Args:
        file: Read by the leader alone, whose disk it may be on.
        device: Device to load the tensors on.
        group: The processes of the training, which all get the state.

    Raises:
        FerError: it cannot be read.
    """
    if group.size == 1:
        return _load(file, file, device) if file.is_file() else None
    content = group.broadcast(file.read_bytes() if group.leads and file.is_file() else None)
    return None if content is None else _load(io.BytesIO(content), file, device)


def _load(source: Any, file: Path, device: torch.device) -> dict[str, Any]:
    try:
        state: dict[str, Any] = torch.load(source, map_location=device, weights_only=True)
    except Exception as error:
        raise FerError(f"{file}: cannot be read; remove the folder {file.parents[1]} to start over") from error
    return state
