"""Ensemble: predict a split with each member, combine the predictions, and compare them with the best member's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from fercli.artifacts import Artifact, artifact_input
from fercli.artifacts.building import build
from fercli.errors import DataError
from fercli.evaluation.files import Measured, finish_evaluation
from fercli.evaluation.predicting import (
    ALL,
    Digests,
    digests_file,
    match_emotions,
    predict_images,
    read_faces,
    training_digests,
    unseen,
    unseen_mask,
)
from fercli.evaluation.summary import EnsembleSummary, McNemarSummary, summarise
from fercli.metrics.significance import mcnemar
from fercli.models.checkpoints import load_checkpoint
from fercli.models.devices import find_device
from fercli.packs.file import PackInfo, PackSplit
from fercli.packs.opening import open_pack
from fercli.progress import SILENT, Progress
from fercli.runs import display_path
from fercli.stages.base import resolve_output, resolve_pack
from fercli.stages.ensemble.combining import combine, losses, select_members, weigh
from fercli.stages.ensemble.config import EnsembleConfig
from fercli.stages.ensemble.members import (
    Checkpoints,
    best_member,
    check_members,
    describe_selection,
    member_names,
    summarise_members,
)

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Predicted:
    """A split and the members' predictions for it.

    Attributes:
        faces: The split.
        labels: (N,), indices into the first member's emotions.
        members: The members' probabilities in the order of the first one's emotions, (K, N, C).
    """

    faces: PackSplit
    labels: Labels
    members: Floats

    @property
    def correct(self) -> npt.NDArray[np.bool_]:
        """Which faces each member classified correctly, (K, N)."""
        correct: npt.NDArray[np.bool_] = self.members.argmax(2) == self.labels
        return correct


def ensemble(config: EnsembleConfig, progress: Progress = SILENT) -> Artifact:
    """Evaluate an ensemble of checkpoints on a split; weights and members are selected on validation only.

    Raises:
        UsageError: the same model is given twice.
        DataError: a checkpoint or the pack is invalid, their emotions differ, the pack has no such split, it has no
            validation split to select on, or `without_leaks` is set and a checkpoint is not in its run.
    """
    checkpoints = tuple(load_checkpoint(path) for path in config.checkpoints)
    check_members(checkpoints)
    pack = resolve_pack(config.pack, checkpoints[0].path, progress)
    device = find_device(config.device)
    inputs = [one.as_input() for one in checkpoints]
    inputs.append(artifact_input("pack", pack))
    out = resolve_output(config, config.out, display_path(checkpoints[0].path), inputs, progress)
    with build(
        out, "evaluation", config.stage, options=config.options(), inputs=inputs, overwrite=config.overwrite
    ) as builder:
        if builder.done:
            return builder.done
        info = open_pack(pack)
        labels_of = match_emotions(checkpoints[0], info)
        compare = config.without_leaks and config.split != ALL
        seen = [training_digests(one) for one in checkpoints] if compare else None
        splits, note = _predict(config, checkpoints, info, labels_of, device, progress)
        notes = (*_notes(checkpoints, splits), *([note] if note else []))
        for note in notes:
            progress.log(note)
        summary, combined = _measure(config, checkpoints, splits, seen)
        on = splits[config.split]
        what = f"Ensemble of {sum(member.weight > 0 for member in summary.members)} ({config.method})"
        finish_evaluation(
            builder, Measured(what, checkpoints, pack, on.faces, on.labels, combined, summary, str(device), notes)
        )
    return builder.artifact


def _predict(
    config: EnsembleConfig,
    checkpoints: Checkpoints,
    info: PackInfo,
    labels_of: Labels,
    device: torch.device,
    progress: Progress,
) -> tuple[dict[str, Predicted], str]:
    """Predict the evaluated split, and validation if the pack has one, once with each member.

    Returns:
        Each split by name, and a note for the user about the images.

    Raises:
        DataError: selection on validation is requested and the pack has none; or members were trained on images of all
            splits.
    """
    wanted: list[str] = [config.split]
    if config.split not in ("validation", ALL) and info.counts.get("validation"):
        wanted.append("validation")
    elif config.chooses:
        what = "--method weighted" if config.method == "weighted" else "--select"
        raise DataError(f"{info.file.parent}: the pack has no validation split, which {what} requires")
    faces, note = {split: read_faces(info, split) for split in wanted}, ""
    if config.split == ALL:
        faces[ALL], note = unseen(faces[ALL], info, checkpoints, leave_out=config.without_leaks)
    found: dict[str, list[npt.NDArray[np.float32]]] = {split: [] for split in wanted}
    with progress.task("evaluating", len(checkpoints) * sum(len(one.labels) for one in faces.values())):
        for checkpoint in checkpoints:
            order = [checkpoint.metadata.emotions.index(emotion) for emotion in checkpoints[0].metadata.emotions]
            for split in wanted:
                probabilities = predict_images(
                    checkpoint,
                    faces[split].images,
                    device=device,
                    tta=config.tta,
                    batch_size=config.batch_size,
                    advance=progress.advance,
                )
                found[split].append(probabilities[:, order])
            checkpoint.model.cpu()  # only one member on the device at a time
    return {
        split: Predicted(faces[split], labels_of[faces[split].labels], np.stack(found[split]).astype(np.float64))
        for split in wanted
    }, note


def _notes(checkpoints: Checkpoints, splits: dict[str, Predicted]) -> tuple[str, ...]:
    """Return a note about validation images that a member was trained on, since selection then favours it."""
    runs = [one for one in checkpoints if digests_file(one).is_file()]
    if "validation" not in splits or not runs:
        return ()
    faces = splits["validation"].faces
    known = int((~unseen_mask(faces, (training_digests(one) for one in runs))).sum())
    text = f"Members were trained on {known:,} of the {len(faces.labels):,} validation images."
    return (text,) if known else ()


def _measure(
    config: EnsembleConfig, checkpoints: Checkpoints, splits: dict[str, Predicted], seen: list[Digests] | None
) -> tuple[EnsembleSummary, Floats]:
    """Select on validation; return the summary of the evaluated split, and the ensemble's probabilities (N, C)."""
    on, validation = splits[config.split], splits.get("validation")
    chosen = list(range(len(checkpoints)))
    # Without a validation split nothing is selected: mean and vote weight all members equally and use no labels.
    basis = validation or on
    if config.select:
        chosen = select_members(config.method, basis.members, basis.labels)
    weights = weigh(config.method, basis.members, basis.labels, chosen)
    combined = combine(config.method, on.members, weights)
    accuracies: list[float | None] = [one.metadata.validation.get("validation_accuracy") for one in checkpoints]
    if validation is not None:
        accuracies = [float(correct.mean()) for correct in validation.correct]
    metrics = summarise(
        on.labels,
        combined,
        checkpoints[0].metadata.emotions,
        split=config.split,
        tta=config.tta,
        selection=f"{_describe_method(config, len(chosen), len(checkpoints))}; {describe_selection(checkpoints)}",
        unseen=unseen_mask(on.faces, seen) if seen else None,
    )
    best = best_member(accuracies, losses(validation.members, validation.labels) if validation else None)
    summary = EnsembleSummary(
        **metrics,
        method=config.method,
        members=summarise_members(checkpoints, on.correct, weights, chosen, accuracies),
        mcnemar=None if best is None else _mcnemar(config, checkpoints, best, on, combined, validation is not None),
    )
    return summary, combined


def _describe_method(config: EnsembleConfig, chosen: int, given: int) -> str:
    """Return how members and weights were selected."""
    members = f"{chosen} of {given} members by validation accuracy" if config.select else f"all {given} members"
    weights = {
        "mean": "equal weights",
        "weighted": "weights by validation negative log likelihood",
        "vote": "one vote each",
    }
    return f"{members}, {weights[config.method]}"


def _mcnemar(
    config: EnsembleConfig, checkpoints: Checkpoints, best: int, on: Predicted, combined: Floats, measured: bool
) -> McNemarSummary:
    """Return McNemar's test of the ensemble against the member with the best validation accuracy."""
    by = "validation accuracy" if measured else "validation accuracy in training"
    if config.split == "validation":
        by += ", on the evaluated split itself"
    test = mcnemar(combined.argmax(1) == on.labels, on.correct[best])
    return McNemarSummary(
        best_member=member_names([one.path for one in checkpoints])[best],
        best_by=by,
        both=test.both,
        only_ensemble=test.only_first,
        only_member=test.only_second,
        neither=test.neither,
        p_value=test.p_value,
    )
