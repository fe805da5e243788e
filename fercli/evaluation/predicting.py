"""A checkpoint's predictions for a split of a pack, and which images it was trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.numpy import load as load_safetensors

from fercli.datasets.index import SPLITS
from fercli.emotions import CONTEMPT
from fercli.errors import DataError
from fercli.files import open_file
from fercli.hub.address import cached_address
from fercli.hub.fetching import TRAINING_DIGESTS as PUBLISHED_DIGESTS
from fercli.images import Pixels
from fercli.models.checkpoints import TRAINING_DIGESTS, Checkpoint
from fercli.models.inference import Tta, predict_both
from fercli.models.preprocessing import channels_first
from fercli.packs.file import PackInfo, PackSplit, read_split

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]
Digests = npt.NDArray[np.uint8]

ALL = "all"
"""Name of the union of all labelled splits of a pack."""


def read_faces(info: PackInfo, split: str) -> PackSplit:
    """Read a non-empty split, or `ALL` of them, concatenated.

    Raises:
        DataError: the pack has no such split, or it is empty or unreadable.
    """
    if split == ALL:
        return _joined(info)
    faces = read_split(info, split)
    if not len(faces.labels):
        raise DataError(f"{info.file.parent}: the {split} split is empty")
    return faces


def _joined(info: PackInfo) -> PackSplit:
    parts = {split: read_split(info, split) for split in SPLITS if info.counts.get(split)}
    if not parts:
        raise DataError(f"{info.file.parent}: the pack has no labelled images")
    several = list(parts.values())
    return PackSplit(
        np.concatenate([part.images for part in several]),
        np.concatenate([part.labels for part in several]),
        [path for part in several for path in part.paths],
        np.concatenate([part.sha256 for part in several]),
        splits=[split for split, part in parts.items() for _ in part.paths],
    )


def unseen(
    faces: PackSplit, info: PackInfo, checkpoints: Sequence[Checkpoint], *, leave_out: bool
) -> tuple[PackSplit, str]:
    """Return the faces of a pack that were not used to train or select any checkpoint, and a note for the user.

    Args:
        faces: All faces of the pack.
        info: The pack.
        checkpoints: Checkpoints in their runs; published weights, whose training is unknown, are skipped.
        leave_out: Exclude images used for training or selection; otherwise there must be none.

    Raises:
        DataError: there are such images and `leave_out` is not set, or no images are left.
    """
    runs = [one for one in checkpoints if one.path.is_dir()]
    note = "" if len(runs) == len(checkpoints) else "The training images of the published weights are unknown."
    kept = unseen_mask(faces, [training_digests(one, "--split all") for one in runs])
    trained = int((~kept).sum())
    if any(one.metadata.training_data == info.digest for one in runs):
        kept &= np.array([split != "validation" for split in faces.splits or ()], bool)
    chosen = int((~kept).sum()) - trained
    if not trained + chosen:
        return faces, note
    used = f"{trained:,} of its {len(kept):,} images were trained on"
    if chosen:
        used += f", and {chosen:,} were used to select the checkpoint"
    if not leave_out:
        raise DataError(f"{info.file.parent}: {used}; exclude them with --without-leaks, or use --split test")
    if not kept.any():
        raise DataError(f"{info.file.parent}: {used}; no images are left to evaluate")
    where = np.flatnonzero(kept)
    left = PackSplit(
        faces.images[where],
        faces.labels[where],
        [faces.paths[i] for i in where],
        faces.sha256[where],
        splits=[faces.splits[i] for i in where] if faces.splits else None,
    )
    return left, " ".join(filter(None, (f"Excluded: {used}.", note)))


def match_emotions(checkpoint: Checkpoint, info: PackInfo) -> Labels:
    """Return, for each label of the pack, the index of its emotion in the checkpoint, matched by name.

    Raises:
        DataError: the pack contains an emotion that the checkpoint does not have.
    """
    return emotion_indices(checkpoint, info.emotions, f"the pack {info.file.parent}")


def emotion_indices(checkpoint: Checkpoint, emotions: Sequence[str], holder: str) -> Labels:
    """Return the index of each emotion in the checkpoint, matched by name.

    Raises:
        DataError: the checkpoint does not have one of them; the message names their source, `holder`.
    """
    known = checkpoint.metadata.emotions
    unknown = [emotion for emotion in emotions if emotion not in known]
    if unknown:
        advice = "; fer import --classes 7 excludes it" if unknown == [CONTEMPT] else ""
        raise DataError(
            f"{checkpoint.name}: does not know {', '.join(unknown)}, which {holder} contains; it knows "
            f"{', '.join(known)}{advice}"
        )
    return np.array([known.index(emotion) for emotion in emotions], np.int64)


def predict_images(
    checkpoint: Checkpoint,
    faces: Pixels,
    *,
    device: torch.device,
    devices: int = 1,
    calibrated: bool = True,
    tta: Tta = "none",
    batch_size: int = 256,
    advance: Callable[[int], None] | None = None,
) -> Floats:
    """Return the probability of each of the checkpoint's emotions for each face, (N, C).

    Args:
        checkpoint: Its model is moved to `device`.
        faces: uint8 (N, H, W) or (N, H, W, 3), of a pack or from outside.
        device: Device to compute on.
        devices: Number of CUDA devices that share each batch, if `device` is one.
        calibrated: Divide the logits by the checkpoint's temperature.
        tta: Views of a face whose predictions are averaged.
        batch_size: Faces per batch, on each device.
        advance: Called with the number of faces done.

    Raises:
        DataError: the checkpoint's weights give NaN or infinite probabilities.
    """
    temperature = checkpoint.metadata.temperature if calibrated else 1.0
    options = {"device": device, "devices": devices, "tta": tta, "batch_size": batch_size, "advance": advance}
    found: Floats = _predict(checkpoint, faces, (temperature,), options)[0][0]
    return found


class Outputs(NamedTuple):
    """All that a checkpoint predicts for N faces.

    Attributes:
        probabilities: Of its C emotions, (N, C).
        raw: The same without calibration.
        affect: Valence and arousal, (N, 2), in -1..1; None if it does not predict them.
    """

    probabilities: Floats
    raw: Floats
    affect: Floats | None


def predict_outputs(checkpoint: Checkpoint, faces: Pixels, **options: Any) -> Outputs:
    """Return all that a checkpoint predicts, in one pass; the options are those of `predict_images`."""
    both = checkpoint.both is not None
    probabilities, affect = _predict(checkpoint, faces, (checkpoint.metadata.temperature, 1.0), options, both=both)
    return Outputs(probabilities[0], probabilities[1], affect if both else None)


def _predict(
    checkpoint: Checkpoint,
    faces: Pixels,
    temperatures: tuple[float, ...],
    options: Mapping[str, Any],
    *,
    both: bool = False,
) -> tuple[Floats, Floats]:
    """Return the probabilities at each temperature, (temperatures, N, C), and valence and arousal, (N, 2).

    Without `both` the second is (N, 0).
    """
    images = channels_first(torch.from_numpy(faces))
    given = dict(options)
    model, devices = (checkpoint.both if both else None) or checkpoint.model, given.pop("devices", 1)
    if devices > 1 and given["device"].type == "cuda":
        model = torch.nn.DataParallel(model.to(given["device"]), list(range(devices))).train(model.training)
        given["batch_size"] = devices * given.get("batch_size", 256)
    emotions = len(checkpoint.metadata.emotions) if both else None
    found = predict_both(model, images, checkpoint.metadata.preprocessing, temperatures, emotions, **given)
    if not all(part.isfinite().all() for part in found):
        raise DataError(f"{checkpoint.name}: its weights give NaN or infinite probabilities; train it again")
    return found[0].numpy(), found[1].numpy()


def digests_file(checkpoint: Checkpoint) -> Path:
    """Return the file, if it exists, with the digests of the images that a checkpoint's run was trained on.

    It is in the run; a model that was made one of fercli's own has it beside its weights, one from the hub as
    safetensors, since nothing else is read from there.
    """
    if cached_address(checkpoint.path) is not None:
        return checkpoint.path / PUBLISHED_DIGESTS
    beside = checkpoint.path / TRAINING_DIGESTS
    return beside if beside.is_file() else checkpoint.path.parent / TRAINING_DIGESTS


def training_digests(checkpoint: Checkpoint, needed_by: str = "--without-leaks") -> Digests:
    """Return the digests of the images that the checkpoint's run was trained on, (N, 32).

    Args:
        checkpoint: A checkpoint in its run.
        needed_by: The option that requires them, for the error message.

    Raises:
        DataError: the checkpoint is not in its run, or the run's list is invalid.
    """
    file = digests_file(checkpoint)
    try:
        with open_file(file) as opened:
            own = file.suffix == ".npy"
            digests: Digests = np.load(opened, allow_pickle=False) if own else load_safetensors(opened.read())["sha256"]
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise DataError(f"{checkpoint.name}: {needed_by} requires {file.name} next to it; use a run") from error
    if digests.dtype != np.uint8 or digests.ndim != 2 or digests.shape[1] != 32:
        raise DataError(f"{file}: not a list of digests")
    return digests


def unseen_mask(faces: PackSplit, seen: Iterable[Digests]) -> npt.NDArray[np.bool_]:
    """Return which faces are in none of the lists of digests, (N,)."""
    known = {row.tobytes() for digests in seen for row in digests}
    return np.array([row.tobytes() not in known for row in faces.sha256], bool)
