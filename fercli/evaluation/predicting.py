"""A checkpoint's predictions for a split of a pack, and which of its images the checkpoint was trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt
import torch

from fercli.errors import DataError
from fercli.files import open_file
from fercli.images import Pixels
from fercli.models.checkpoints import TRAINING_DIGESTS, Checkpoint
from fercli.models.inference import Tta, predict
from fercli.packs.file import PackInfo, PackSplit, read_split

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]
Digests = npt.NDArray[np.uint8]


def read_faces(info: PackInfo, split: str) -> PackSplit:
    """Read a split that has faces.

    Raises:
        DataError: the pack has no such split, or it is empty or cannot be read.
    """
    faces = read_split(info, split)
    if not len(faces.labels):
        raise DataError(f"{info.file.parent}: the {split} split is empty")
    return faces


def match_emotions(checkpoint: Checkpoint, info: PackInfo) -> Labels:
    """Return, for each of the pack's labels, the place of its emotion among the checkpoint's: matched by name.

    Raises:
        DataError: the pack holds an emotion that the checkpoint does not know.
    """
    return places_of(checkpoint, info.emotions, f"the pack {info.file.parent}")


def places_of(checkpoint: Checkpoint, emotions: Sequence[str], holder: str) -> Labels:
    """Return the place of each emotion among the checkpoint's: matched by name.

    Raises:
        DataError: there is one that the checkpoint does not know; `holder` is what the error says it is of.
    """
    known = checkpoint.card.emotions
    unknown = [emotion for emotion in emotions if emotion not in known]
    if unknown:
        raise DataError(
            f"{checkpoint.path}: does not know {', '.join(unknown)}, which {holder} holds; it knows {', '.join(known)}"
        )
    return np.array([known.index(emotion) for emotion in emotions], np.int64)


def predict_faces(
    checkpoint: Checkpoint,
    faces: PackSplit,
    *,
    device: torch.device,
    tta: Tta,
    batch_size: int,
    advance: Callable[[int], None],
) -> Floats:
    """Return the probability of each of the checkpoint's emotions for each face, (N, C).

    Args:
        checkpoint: Its model is moved to `device`.
        faces: A pack's split.
        device: Where to compute.
        tta: Views of a face whose predictions are averaged.
        batch_size: Faces at a time.
        advance: Called with the number of faces done.

    Raises:
        DataError: the checkpoint's weights give probabilities that are no numbers.
    """
    return predict_images(checkpoint, faces.images, device=device, tta=tta, batch_size=batch_size, advance=advance)


def predict_images(
    checkpoint: Checkpoint,
    faces: Pixels,
    *,
    device: torch.device,
    tta: Tta = "none",
    batch_size: int = 256,
    advance: Callable[[int], None] | None = None,
) -> Floats:
    """Do as `predict_faces` with faces that are no pack's, uint8 (N, H, W) or (N, H, W, 3)."""
    images = torch.from_numpy(faces)
    probabilities: Floats = predict(
        checkpoint.model,
        images.unsqueeze(1) if images.ndim == 3 else images.permute(0, 3, 1, 2),
        checkpoint.card.preprocessing,
        device=device,
        tta=tta,
        batch_size=batch_size,
        advance=advance,
    ).numpy()
    if not np.isfinite(probabilities).all():
        raise DataError(f"{checkpoint.path}: its weights give probabilities that are no numbers; train it anew")
    return probabilities


def trained_on(checkpoint: Checkpoint, needed_by: str = "--without-leaks") -> Digests:
    """Return the digests of the images that the checkpoint's run was trained on, (N, 32).

    Args:
        checkpoint: In its run.
        needed_by: The option that needs them, for the error.

    Raises:
        DataError: the checkpoint does not stand in its run, or the run's list is broken.
    """
    file = checkpoint.path.parent / TRAINING_DIGESTS
    try:
        with open_file(file) as opened:
            digests: Digests = np.load(opened, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{checkpoint.path}: {needed_by} needs {TRAINING_DIGESTS} beside it; name the run") from error
    if digests.dtype != np.uint8 or digests.ndim != 2 or digests.shape[1] != 32:
        raise DataError(f"{file}: not a list of digests")
    return digests


def fresh(faces: PackSplit, seen: Iterable[Digests]) -> npt.NDArray[np.bool_]:
    """Tell which faces are in none of the lists of digests, (N,)."""
    known = {row.tobytes() for digests in seen for row in digests}
    return np.array([row.tobytes() not in known for row in faces.sha256], bool)
