"""Weights that a training starts from: ImageNet's, a checkpoint's, or a file's, as far as they fit the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from fercli.digests import digest_file, digest_json
from fercli.errors import DataError
from fercli.models.checkpoints import CARD, WEIGHTS, checkpoint_folder, read_card, read_state
from fercli.models.registry import create_model, rename_state
from fercli.models.spec import ModelSpec
from fercli.weights import imagenet_state


@dataclass(frozen=True)
class Taken:
    """What a model took of the weights it was given.

    Attributes:
        loaded: Names of its tensors that were taken whole.
        by_emotion: Names of its tensors of which the emotions' parts were taken by the emotions' names.
        new: Names of its tensors that stay as they were drawn.
        unused: Names of the given tensors that have no place in it.
        emotions: The emotions that `by_emotion` holds for.
    """

    loaded: list[str]
    by_emotion: list[str]
    new: list[str]
    unused: list[str]
    emotions: list[str]

    def __str__(self) -> str:
        shown = ", ".join(self.new[:4]) + (f" and {len(self.new) - 4} more" if len(self.new) > 4 else "")
        parts = [f"loaded {len(self.loaded)} tensors"]
        if self.by_emotion:
            parts.append(f"{', '.join(self.by_emotion)} by emotion ({', '.join(self.emotions)})")
        return "; ".join([*parts, f"new: {shown or 'none'}", f"not used: {len(self.unused)}"])


def weights_file(weights: str) -> Path:
    """Return the file that `--weights` means: a file, or that of a checkpoint or of a run's best one.

    Raises:
        DataError: there is none.
    """
    path = Path(weights)
    file = checkpoint_folder(path) / WEIGHTS if path.is_dir() else path
    if not file.is_file():
        raise DataError(f"{file}: no such file of weights")
    return file


def weights_digest(file: Path) -> str:
    """Return the digest of a file of weights, with the order of the emotions where a checkpoint's card tells it."""
    known = _emotions_of(file)
    return digest_file(file) if known is None else digest_json([digest_file(file), known])


def _emotions_of(file: Path) -> list[str] | None:
    """Return a checkpoint's emotions in order, by the card beside its weights; None for weights from elsewhere."""
    if file.name != WEIGHTS or not (file.parent / CARD).is_file():
        return None
    return read_card(file.parent).emotions


def start(
    model: nn.Module, spec: ModelSpec, weights: str, emotions: Sequence[str], options: Mapping[str, str]
) -> Taken:
    """Load into a model what fits of the weights that `--weights` names.

    Names of the authors' own code, or of torchvision, are changed to ours. Of a checkpoint whose emotions differ, or
    stand in another order, the classifier takes each emotion's part by the emotion's name.

    Args:
        model: Built with `options` for `emotions`.
        spec: Its entry.
        weights: `imagenet`, a checkpoint or run, or a file of weights.
        emotions: In the order of the model's logits.
        options: The model's own.

    Raises:
        UsageError: there are no ImageNet weights for this model.
        DataError: the file is missing, broken, or not one tensor of it fits.
        FerError: the ImageNet weights cannot be fetched.
    """
    known: list[str] | None = None
    if weights == "imagenet":
        state = imagenet_state(spec)
    else:
        file = weights_file(weights)
        state, known = read_state(file), _emotions_of(file)
    taken = fit(model, rename_state(spec, state), emotions, known, emotion_axes(spec, options) if known else {})
    if not (taken.loaded or taken.by_emotion):
        raise DataError(f"--weights {weights}: not one tensor fits {spec.name}")
    return taken


def emotion_axes(spec: ModelSpec, options: Mapping[str, str]) -> dict[str, int]:
    """Return which tensors of a model have one part an emotion, and along which axis."""
    with torch.device("meta"):
        few, more = (create_model(spec.name, classes, **options).state_dict() for classes in (5, 6))
    return {
        name: axis
        for name, tensor in few.items()
        for axis, size in enumerate(tensor.shape)
        if size == 5 and more[name].shape[axis] == 6
    }


def fit(
    model: nn.Module,
    state: Mapping[str, Tensor],
    emotions: Sequence[str] = (),
    known: Sequence[str] | None = None,
    axes: Mapping[str, int] | None = None,
) -> Taken:
    """Load the tensors whose names and shapes fit; of those with a part an emotion, the parts of the same emotions.

    Args:
        model: The model.
        state: Names to tensors.
        emotions: In the order of the model's logits.
        known: In the order of the state's logits; None: not told, taken to be the model's.
        axes: As `emotion_axes` returns.
    """
    own = model.state_dict()
    by_name = axes if axes and known is not None and list(known) != list(emotions) else {}
    shared = [emotion for emotion in emotions if emotion in (known or ())]
    fitting: dict[str, Tensor] = {}
    loaded: list[str] = []
    parted: list[str] = []
    for name, mine in own.items():
        given = state.get(name)
        if given is not None and name in by_name:
            part = _by_emotion(mine, given, by_name[name], emotions, known or (), shared)
            if part is not None:
                fitting[name] = part
                parted.append(name)
        elif given is not None and given.shape == mine.shape:
            fitting[name] = given
            loaded.append(name)
    model.load_state_dict(fitting, strict=False)
    new = [name for name in own if name not in fitting]
    return Taken(loaded, parted, new, [name for name in state if name not in fitting], shared if parted else [])


def _by_emotion(
    own: Tensor, given: Tensor, axis: int, emotions: Sequence[str], known: Sequence[str], shared: list[str]
) -> Tensor | None:
    """Return the model's tensor with the shared emotions' parts of the given one; None where it cannot be parted so."""
    wanted = [*own.shape]
    wanted[axis] = len(known)
    if not shared or [*given.shape] != wanted:
        return None
    parts = given.index_select(axis, torch.tensor([known.index(emotion) for emotion in shared]))
    places = torch.tensor([emotions.index(emotion) for emotion in shared])
    return own.clone().index_copy_(axis, places, parts.to(own.dtype))
