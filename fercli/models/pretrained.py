"""Initial weights for training, from ImageNet, a checkpoint or a file, as far as they fit the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from fercli.artifacts import PRETRAINED, Input, input_of
from fercli.artifacts.digests import digest_file, digest_json
from fercli.errors import DataError, FerError, UsageError
from fercli.files import missing_message
from fercli.hub.address import is_address, named_by_address, parse_address
from fercli.hub.fetching import fetch_weights
from fercli.models.checkpoints import METADATA, WEIGHTS, checkpoint_folder, read_metadata
from fercli.models.registry import MODELS, emotion_axes, rename_state
from fercli.models.soundness import check_weights
from fercli.models.spec import ModelSpec
from fercli.models.state_dicts import read_weights
from fercli.pretrained import find_pretrained, is_pretrained


@dataclass(frozen=True)
class LoadReport:
    """Which of the given weights were loaded into a model.

    Attributes:
        loaded: Names of the model's tensors that were loaded whole.
        by_emotion: Names of the model's tensors that were loaded by emotion, matched by name.
        new: Names of the model's tensors that keep their random initialisation.
        unused: Names of the given tensors that were not loaded.
        emotions: The emotions loaded in `by_emotion`.
        order: The order of the emotions in the given classifier and how it is known, for display.
        which: Which of the file's sets of weights was read, for display.
    """

    loaded: list[str]
    by_emotion: list[str]
    new: list[str]
    unused: list[str]
    emotions: list[str]
    order: str = ""
    which: str = ""

    def __str__(self) -> str:
        shown = ", ".join(self.new[:4]) + (f" and {len(self.new) - 4} more" if len(self.new) > 4 else "")
        parts = [f"loaded {len(self.loaded)} tensors"]
        if self.by_emotion:
            parts.append(f"{', '.join(self.by_emotion)} by emotion ({', '.join(self.emotions)})")
        details = [part for part in (self.order, self.which) if part]
        return "; ".join([*parts, *details, f"new: {shown or 'none'}", f"not used: {len(self.unused)}"])


@dataclass(frozen=True)
class EmotionOrder:
    """The order of the emotions in the classifier of a weights file.

    Attributes:
        emotions: In order; None if unknown.
        how: How it is known, as a phrase; empty if from a checkpoint's metadata.
    """

    emotions: tuple[str, ...] | None
    how: str = ""


def weights_file(weights: str) -> Path:
    """Return the file that `--weights` refers to: a file, one on the hub, or that of a checkpoint.

    Raises:
        DataError: it does not exist.
        UsageError: it is not a valid address on the hub.
        FerError: the hub cannot be reached, or huggingface_hub is not installed.
    """
    path = Path(weights)
    if is_address(path):
        return fetch_weights(parse_address(path))
    is_checkpoint = path.is_dir() or find_pretrained(path) is not None
    file = checkpoint_folder(path) / WEIGHTS if is_checkpoint else path
    if not file.is_file():
        raise DataError(missing_message(file, "weights file"))
    return file


def weights_input(file: Path) -> Input:
    """Return a description of a weights file as an input; that of a model of fercli's own has a name, and no path."""
    if is_pretrained(file.parent):
        return input_of("weights", Path(file.parent.name), PRETRAINED, weights_digest(file))
    return input_of("weights", file, "weights", weights_digest(file))


def weights_digest(file: Path) -> str:
    """Return the digest of a weights file, including the order of the emotions if a checkpoint's metadata gives it."""
    known = _emotions_of(file)
    return digest_file(file) if known is None else digest_json([digest_file(file), known])


def _emotions_of(file: Path) -> list[str] | None:
    """Return a checkpoint's outputs in order, from the metadata next to its weights; None for other weights."""
    if file.name != WEIGHTS or not (file.parent / METADATA).is_file():
        return None
    return read_metadata(file.parent).outputs


def load_pretrained(
    model: nn.Module,
    spec: ModelSpec,
    weights: str,
    emotions: Sequence[str],
    options: Mapping[str, str | bool],
    order: Sequence[str] | None = None,
) -> LoadReport:
    """Load the weights that `--weights` names into a model, as far as they fit.

    Names from the authors' own code or from torchvision are mapped to ours. If the order of the emotions in the given
    classifier is known and differs from the model's, the part of each emotion is loaded by the emotion's name.

    Args:
        model: Built with `options` for `emotions`.
        spec: The model's spec.
        weights: `imagenet`, a checkpoint or run, or a weights file.
        emotions: In the order of the model's logits; after them valence and arousal, if it predicts them.
        options: The model's options.
        order: The emotions in the order of the given classifier; None: as returned by `order_of`.

    Raises:
        UsageError: there are no ImageNet weights for this model, or `order` contradicts the file.
        DataError: the file is missing or corrupt, no tensor in it fits, or its weights are invalid.
        FerError: the ImageNet weights cannot be fetched.
    """
    which, axes, known = "", dict[str, int](), EmotionOrder(None)
    if weights == "imagenet":
        state = rename_state(spec, imagenet_state(spec))
    else:
        file = weights_file(weights)
        with named_by_address(file):
            given, which = read_weights(file)
        state, axes = rename_state(spec, given), emotion_axes(spec, options)
        known = order_of(spec, file, given, rows_of(state, axes), order)
    check_weights(state, model.state_dict(), f"--weights {weights}")
    report = load_matching(model, state, emotions, known.emotions, axes)
    if not (report.loaded or report.by_emotion):
        raise DataError(f"--weights {weights}: no tensor fits {spec.name}")
    if axes.keys().isdisjoint([*report.loaded, *report.by_emotion]):
        return replace(report, which=which)
    return replace(report, order=_describe_order(known, emotions), which=which)


def order_of(
    spec: ModelSpec, file: Path, given: Mapping[str, Tensor], rows: int | None, order: Sequence[str] | None = None
) -> EmotionOrder:
    """Return the order of the emotions in the classifier of a weights file.

    It comes from a checkpoint's metadata, from `order`, or, for state_dicts of the authors' own code, from that code.

    Args:
        spec: The model's spec.
        file: The weights file.
        given: Its contents, under their original names.
        rows: Number of emotions of its classifier; None if it has none.
        order: The order given by the user.

    Raises:
        UsageError: `order` differs from the metadata's, or has another number of emotions.
    """
    stored = _emotions_of(file)
    if stored is not None:
        if order is not None and list(order) != stored:
            raise UsageError(
                f"weights-emotions: the metadata of {file} gives the order, {', '.join(stored)}; omit the option"
            )
        return EmotionOrder(tuple(stored))
    if order is not None:
        if rows is not None and rows != len(order):
            raise UsageError(f"weights-emotions: names {len(order)} emotions, but the classifier in {file} has {rows}")
        return EmotionOrder(tuple(order), "as given")
    if rows == len(spec.authors_emotions) and any(name.startswith(spec.authors_mark) for name in given):
        return EmotionOrder(spec.authors_emotions, f"{spec.paper}'s authors'")
    return EmotionOrder(None)


def rows_of(state: Mapping[str, Tensor], axes: Mapping[str, int]) -> int | None:
    """Return the number of emotions in weights, from the tensors with one part per emotion; None without such tensors.

    Args:
        state: The model's names to tensors.
        axes: As returned by `emotion_axes`.
    """
    return next((state[name].shape[axis] for name, axis in axes.items() if _has_axis(state.get(name), axis)), None)


def _has_axis(tensor: Tensor | None, axis: int) -> bool:
    return tensor is not None and tensor.ndim > axis


def _describe_order(order: EmotionOrder, emotions: Sequence[str]) -> str:
    """Return the order of a classifier's emotions, for display."""
    if order.emotions is None:
        return (
            "the order of its emotions is unknown and assumed to be the model's "
            f"({', '.join(emotions)}); set it with --weights-emotions"
        )
    return f"order of its emotions, {order.how}: {', '.join(order.emotions)}" if order.how else ""


def load_matching(
    model: nn.Module,
    state: Mapping[str, Tensor],
    emotions: Sequence[str] = (),
    known: Sequence[str] | None = None,
    axes: Mapping[str, int] | None = None,
) -> LoadReport:
    """Load the tensors whose names and shapes match; for those with one part per emotion, the parts of shared emotions.

    Args:
        model: The model.
        state: Names to tensors.
        emotions: In the order of the model's logits.
        known: In the order of the state's logits; None: unknown, assumed to be the model's.
        axes: As returned by `emotion_axes`.
    """
    own = model.state_dict()
    by_name = axes if axes and known is not None and list(known) != list(emotions) else {}
    shared = [emotion for emotion in emotions if emotion in (known or ())]
    fitting: dict[str, Tensor] = {}
    loaded: list[str] = []
    by_emotion: list[str] = []
    for name, tensor in own.items():
        given = state.get(name)
        if given is not None and name in by_name:
            part = _by_emotion(tensor, given, by_name[name], emotions, known or (), shared)
            if part is not None:
                fitting[name] = part
                by_emotion.append(name)
        elif given is not None and given.shape == tensor.shape:
            fitting[name] = given
            loaded.append(name)
    model.load_state_dict(fitting, strict=False)
    new = [name for name in own if name not in fitting]
    unused = [name for name in state if name not in fitting]
    return LoadReport(loaded, by_emotion, new, unused, shared if by_emotion else [])


def _by_emotion(
    own: Tensor, given: Tensor, axis: int, emotions: Sequence[str], known: Sequence[str], shared: list[str]
) -> Tensor | None:
    """Return the model's tensor with the parts of the shared emotions from the given one; None if the shapes differ."""
    expected_shape = [*own.shape]
    expected_shape[axis] = len(known)
    if not shared or [*given.shape] != expected_shape:
        return None
    parts = given.index_select(axis, torch.tensor([known.index(emotion) for emotion in shared]))
    places = torch.tensor([emotions.index(emotion) for emotion in shared])
    return own.clone().index_copy_(axis, places, parts.to(own.dtype))


def imagenet_state(spec: ModelSpec) -> dict[str, Tensor]:
    """Return the ImageNet weights of a model's backbone under the model's names, from timm's hub entry.

    They are downloaded once and kept in the hub's cache ($HF_HOME), which can be copied to a machine without a network.

    Raises:
        UsageError: there are none for this model.
        FerError: they are not in the cache and cannot be downloaded.
    """
    if not spec.imagenet:
        # Only the first of each family: the full list would fill pages.
        names = ", ".join({s.family: s.name for s in reversed(MODELS) if s.imagenet}.values())
        raise UsageError(
            f"--weights imagenet: not available for {spec.name}; available for {names}, their families, and timm/<name>"
        )
    import timm  # slow to import

    try:
        state = timm.create_model(spec.imagenet, pretrained=True).state_dict()
    except Exception as error:  # the hub client raises its own, network and system errors here
        raise FerError(
            f"--weights imagenet: timm's {spec.imagenet} is not in the hub's cache and cannot be downloaded "
            f"({type(error).__name__}); use --weights FILE, or copy it into the cache ($HF_HOME)"
        ) from error
    return {spec.imagenet_prefix + name: tensor for name, tensor in state.items()}
