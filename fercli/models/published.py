"""Published weights as a checkpoint: the call supplies what the file does not contain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from fercli.artifacts.digests import digest_file
from fercli.datasets.affect import AFFECT
from fercli.emotions import CONTEMPT, EMOTIONS, in_order
from fercli.errors import DataError, UsageError
from fercli.hub.address import is_address, named_by_address, parse_address
from fercli.hub.fetching import fetch_weights
from fercli.models.checkpoints import Checkpoint, CheckpointMetadata
from fercli.models.preprocessing import Preprocessing
from fercli.models.pretrained import load_matching, order_of, rows_of
from fercli.models.registry import create_model, emotion_axes, find_model, rename_state
from fercli.models.soundness import check_weights
from fercli.models.state_dicts import mismatch, read_weights

SELECTION = "published weights, selection unknown"


def load_published(
    file: Path,
    model: str,
    options: Mapping[str, str | bool],
    *,
    order: Sequence[str] | None = None,
    input_size: int | None = None,
) -> tuple[Checkpoint, list[str]]:
    """Load published weights into a model, on the CPU.

    They must contain every tensor of the model, named as in fercli, the authors' code or a library, and no others.

    Args:
        file: The weights file, or its address on the hub.
        model: A name listed by `fer models`.
        options: The model's options.
        order: The emotions in the order of the classifier; None: from the metadata next to the file or the authors'
            code if known, else fercli's.
        input_size: Side of the model's input in pixels; None: the model's default.

    Returns:
        The checkpoint, with logits in fercli's order, the file as its path and the file's SHA-256 as its digest; and
        notes for the user.

    Raises:
        UsageError: there is no such model or option, or `order` contradicts the file.
        DataError: the file is missing or corrupt, or its weights are invalid or belong to another model.
        FerError: the hub cannot be reached, or huggingface_hub is not installed.
    """
    if is_address(file):
        file = fetch_weights(parse_address(file))
    if file.is_dir():
        raise UsageError(f"weights: {file} is a folder; pass a run or a checkpoint as CHECKPOINT, without --model")
    with named_by_address(file):
        return _load(file, model, options, order, input_size)


def _load(
    file: Path,
    model: str,
    options: Mapping[str, str | bool],
    order: Sequence[str] | None,
    input_size: int | None,
) -> tuple[Checkpoint, list[str]]:
    spec = find_model(model)
    own = spec.check_options(options)
    preprocessing = Preprocessing.of(spec, input_size, reduced=bool(own.get("reduced")))
    given, which = read_weights(file)
    state, axes = rename_state(spec, given), emotion_axes(spec, own)
    rows = rows_of(state, axes)
    known = order_of(spec, file, given, rows, order)
    notes = [f"{file.name}: {which}"] if which else []
    if known.emotions is not None and not set(AFFECT).isdisjoint(known.emotions):
        raise UsageError(f"weights: {file} also predicts valence and arousal; pass its folder as CHECKPOINT")
    if known.emotions is not None:
        emotions = list(known.emotions)
        if known.how:
            notes.append(f"{file.name}: order of its emotions, {known.how}: {', '.join(emotions)}")
    elif rows in (len(EMOTIONS), len(EMOTIONS) + 1):
        emotions = [*EMOTIONS, CONTEMPT][:rows]
        notes.append(
            f"{file.name}: the order of its emotions is unknown and assumed to be {', '.join(emotions)}; "
            "set it with --weights-emotions"
        )
    else:
        found = f"with {rows} classes" if rows is not None else "with a classifier"
        raise DataError(f"{file}: does not match {spec.name} {found}; choose another --model, or other weights")
    ordered = in_order(set(emotions))
    network = create_model(spec.name, len(emotions), **own)
    expected = network.state_dict()
    counts = {name: tensor for name, tensor in expected.items() if name.endswith(".num_batches_tracked")}
    state = {**counts, **state}  # no prediction depends on them, and old files lack them
    if wrong := mismatch(expected, state):
        raise DataError(f"{file}: not the weights of {spec.name} ({wrong})")
    check_weights(state, expected, file)
    load_matching(network, state, ordered, emotions, axes)
    metadata = CheckpointMetadata(
        architecture=spec.name, options=own, emotions=ordered, preprocessing=preprocessing, selection=SELECTION
    )
    return Checkpoint(file, metadata, network.eval(), digest_file(file)), notes
