"""Weights that others published, as a checkpoint: what they do not say, the call says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from fercli.artifacts.digests import digest_file
from fercli.emotions import CONTEMPT, EMOTIONS, in_order
from fercli.errors import DataError, UsageError
from fercli.models.checkpoints import Checkpoint, CheckpointMetadata, mismatch, read_weights
from fercli.models.preprocessing import Preprocessing
from fercli.models.pretrained import emotion_axes, load_matching, order_of, rows_of
from fercli.models.registry import create_model, find_model, rename_state
from fercli.models.soundness import check_weights

SELECTION = "published weights, selection unknown"


def load_published(
    file: Path,
    model: str,
    options: Mapping[str, str],
    *,
    order: Sequence[str] | None = None,
    input_size: int | None = None,
) -> tuple[Checkpoint, list[str]]:
    """Load weights from elsewhere into a model, on the CPU.

    Every tensor of the model must be among them, under its names, its authors' or a library's, and none besides.

    Args:
        file: The weights file.
        model: A name of `fer models`.
        options: The model's own.
        order: The emotions in the order of the classifier; None: the metadata's beside the file or the authors', where
            known, else fercli's.
        input_size: Side of the model's input, pixels; None: the model's own.

    Returns:
        The checkpoint, its logits in fercli's order, its path the file and its digest the file's SHA-256; and what
        people must know of it.

    Raises:
        UsageError: there is no such model or option, or `order` cannot be that of the file.
        DataError: the file is missing or broken, or its weights are another model's or cannot be right.
    """
    if file.is_dir():
        raise UsageError(f"weights: {file} is a folder; a run or a checkpoint is given in their place, without a model")
    spec = find_model(model)
    own = spec.check_options(dict(options))
    preprocessing = Preprocessing.of(spec, input_size, reduced=own.get("reduced") == "yes")
    given, which = read_weights(file)
    state, axes = rename_state(spec, given), emotion_axes(spec, own)
    rows = rows_of(state, axes)
    known = order_of(spec, file, given, rows, order)
    said = [f"{file.name}: {which}"] if which else []
    if known.emotions is not None:
        emotions = list(known.emotions)
        if known.how:
            said.append(f"{file.name}: order of its emotions, {known.how}: {', '.join(emotions)}")
    elif rows in (len(EMOTIONS), len(EMOTIONS) + 1):
        emotions = [*EMOTIONS, CONTEMPT][:rows]
        said.append(
            f"{file.name}: the order of its emotions is not known and is taken as {', '.join(emotions)}; "
            "--weights-emotions says otherwise"
        )
    else:
        found = f"for {rows} classes" if rows is not None else "that is a classifier"
        raise DataError(f"{file}: nothing in it fits {spec.name} {found}; name another --model, or other weights")
    ordered = in_order(set(emotions))
    network = create_model(spec.name, len(emotions), **own)
    wanted = network.state_dict()
    counts = {name: tensor for name, tensor in wanted.items() if name.endswith(".num_batches_tracked")}
    state = {**counts, **state}  # which no prediction depends on, and old files lack
    if wrong := mismatch(wanted, state):
        raise DataError(f"{file}: not the weights of {spec.name} ({wrong})")
    check_weights(state, wanted, file)
    load_matching(network, state, ordered, emotions, axes)
    metadata = CheckpointMetadata(
        architecture=spec.name, options=own, emotions=ordered, preprocessing=preprocessing, selection=SELECTION
    )
    return Checkpoint(file, metadata, network.eval(), digest_file(file)), said
