"""The key metrics of a run or an evaluation: model, seed, data, split, n, accuracy, macro F1, epoch.

They are read from manifests, which are untrusted: values of the wrong type are ignored.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fercli.artifacts import Artifact, Input, artifact_input, open_artifact
from fercli.artifacts.lineage import Ancestor, ancestors, display_name
from fercli.errors import FerError


@dataclass(frozen=True)
class DataNames:
    """Names of the data that a model was evaluated on.

    Attributes:
        pack: The pack.
        dataset: The dataset of the pack.
        source: The original source: photographs, or a published dataset.
    """

    pack: str = ""
    dataset: str = ""
    source: str = ""


@dataclass(frozen=True)
class KeyMetrics:
    """The key metrics; empty or None if unknown.

    Attributes:
        model: The architecture; for an ensemble its members, as in `2 x quick + resnet18`.
        seeds: The training seed; for an ensemble that of each member.
        data: Names of the data.
        split: The evaluated split.
        n: Number of images in the split.
        accuracy: Accuracy, in 0..1.
        interval: 95 % interval of the accuracy, low and high.
        macro_f1: Mean F1 over the emotions that occur, in 0..1.
        averaged_over: Number of emotions that occur in the split.
        best_epoch: The epoch of the checkpoint, from 1.
        epochs: Number of epochs trained.
    """

    model: str = ""
    seeds: tuple[int, ...] = ()
    data: DataNames = DataNames()
    split: str = ""
    n: int | None = None
    accuracy: float | None = None
    interval: tuple[float, float] | None = None
    macro_f1: float | None = None
    averaged_over: int | None = None
    best_epoch: int | None = None
    epochs: int | None = None


def key_metrics(artifact: Artifact) -> KeyMetrics:
    """Return the key metrics of a run, a checkpoint, a study, a cross-validation or an evaluation; of others none."""
    found = _KINDS.get(artifact.manifest.kind)
    return found(artifact) if found else KeyMetrics()


def _of_run(run: Artifact) -> KeyMetrics:
    m = run.manifest
    validation = mapping(m.summary.get("validation"))
    return KeyMetrics(
        model=text(m.summary.get("model")),
        seeds=() if m.seed is None else (m.seed,),
        data=_data(_pack_of(run)),
        split="validation" if validation else "",
        n=non_negative_int(validation.get("n")),
        accuracy=number(validation.get("accuracy")),
        interval=interval(validation.get("accuracy_interval")),
        macro_f1=number(validation.get("macro_f1")),
        averaged_over=_occurring(run, "validation"),
        best_epoch=non_negative_int(m.summary.get("best_epoch")),
        epochs=non_negative_int(m.summary.get("epochs")),
    )


def _of_checkpoint(checkpoint: Artifact) -> KeyMetrics:
    s = checkpoint.manifest.summary
    validation = mapping(s.get("validation"))
    return KeyMetrics(
        model=text(s.get("architecture")),
        seeds=tuple(_seeds([checkpoint.path])),
        data=_data(_pack_of(checkpoint)),
        split="validation" if validation else "",
        accuracy=number(validation.get("validation_accuracy")),
        macro_f1=number(validation.get("validation_macro_f1")),
        best_epoch=non_negative_int(s.get("epoch")),
    )


def _of_evaluation(evaluation: Artifact) -> KeyMetrics:
    s, origin = evaluation.summary, mapping(evaluation.manifest.details.get("origin"))
    split = text(s.get("split"))
    members = [one for one in ancestors(evaluation) if one.depth == 1 and one.kind == "checkpoint"]
    models = [text(one.manifest.summary.get("architecture")) for one in members if one.manifest]
    # If the inputs were moved or deleted, use what was recorded when the evaluation was made.
    recorded = [text(mapping(member).get("architecture")) for member in sequence(s.get("members"))]
    model = text(origin.get("model")) or joined(filter(None, models)) or joined(filter(None, recorded))
    seeds = tuple(seed for seed in sequence(origin.get("seeds")) if non_negative_int(seed) is not None)
    data = _data(_pack_of(evaluation))
    epoch = (
        non_negative_int(members[0].manifest.summary.get("epoch"))
        if len(members) == 1 and members[0].manifest
        else None
    )
    return KeyMetrics(
        model=model,
        seeds=seeds or tuple(_seeds([one.path for one in members])),
        data=DataNames(
            data.pack or text(origin.get("pack")),
            data.dataset or text(origin.get("dataset")),
            data.source or text(origin.get("source")),
        ),
        split=split,
        n=non_negative_int(s.get("n")),
        accuracy=number(s.get("accuracy")),
        interval=interval(s.get("accuracy_interval")),
        macro_f1=number(s.get("macro_f1")),
        averaged_over=_occurring(evaluation, split),
        best_epoch=epoch,
    )


def _of_crossvalidation(found: Artifact) -> KeyMetrics:
    """Return the means over the folds; n is the number of images, each of which was held out."""
    s = found.summary
    spread = {name: mapping(mapping(s.get("metrics")).get(name)) for name in ("accuracy", "macro_f1")}
    line = ancestors(found)
    return KeyMetrics(
        model=text(s.get("model")),
        seeds=() if found.manifest.seed is None else (found.manifest.seed,),
        data=_names_in("", line),
        split="held-out folds",
        n=non_negative_int(s.get("n")),
        accuracy=number(spread["accuracy"].get("mean")),
        interval=interval(spread["accuracy"].get("interval")),
        macro_f1=number(spread["macro_f1"].get("mean")),
        averaged_over=non_negative_int(mapping(s.get("pooled")).get("averaged_over")),
    )


def _of_study(study: Artifact) -> KeyMetrics:
    """Return the best trial's metrics on the half of validation that the search did not use."""
    best = mapping(study.summary.get("best"))
    other = mapping(best.get("other_half"))
    return KeyMetrics(
        model=text(study.summary.get("model")),
        data=_data(_pack_of(study)),
        split="validation, other half" if other else "",
        n=non_negative_int(other.get("n")),
        accuracy=number(other.get("accuracy")),
        interval=interval(other.get("accuracy_interval")),
        macro_f1=number(other.get("macro_f1")),
        averaged_over=_occurring(study, "validation"),
        best_epoch=non_negative_int(best.get("best_epoch")),
    )


_KINDS = {
    "run": _of_run,
    "study": _of_study,
    "checkpoint": _of_checkpoint,
    "evaluation": _of_evaluation,
    "crossvalidation": _of_crossvalidation,
}


def origin_of(models: Sequence[str], checkpoints: Sequence[Path], pack: Artifact) -> dict[str, Any]:
    """Return the origin of an evaluation for its manifest, in case the inputs are moved or deleted."""
    data = _data((artifact_input("pack", pack), pack.path))
    return {"model": joined(models), "seeds": list(_seeds(checkpoints)), **asdict(data)}


def joined(models: Any) -> str:
    """Join the names of several models, as in `2 x quick + resnet18`."""
    return " + ".join(name if n == 1 else f"{n} x {name}" for name, n in Counter(models).items())


def _seeds(checkpoints: Sequence[Path]) -> Iterator[int]:
    """Yield the training seeds of the runs that checkpoints belong to."""
    for path in checkpoints:
        try:
            seed = open_artifact(path.parent, "run").manifest.seed
        except FerError:
            continue
        if seed is not None:
            yield seed


def _pack_of(artifact: Artifact) -> tuple[Input, Path] | None:
    """Return the pack among an artifact's inputs, and its path."""
    for item in artifact.manifest.inputs:
        if item.kind == "pack":
            return item, Path(os.path.normpath(artifact.path.resolve() / item.path))
    return None


def _occurring(artifact: Artifact, split: str) -> int | None:
    """Return the number of emotions that occur in a split, by an artifact's counts."""
    counts = artifact.manifest.counts.get(split)
    return None if counts is None else sum(1 for images in counts.values() if images)


def _data(pack: tuple[Input, Path] | None) -> DataNames:
    """Return the names of a pack, of its dataset, and of the original source."""
    if pack is None:
        return DataNames()
    item, path = pack
    try:
        artifact = open_artifact(path, "pack")
    except FerError:
        return DataNames(display_name(path))
    if artifact.manifest.digest != item.digest:
        return DataNames(display_name(path))
    return _names_in(display_name(path), ancestors(artifact))


def _names_in(pack: str, line: Sequence[Ancestor]) -> DataNames:
    """Return the names of the nearest dataset and of the original source in a lineage."""
    dataset = next((one.name for one in line if one.kind == "dataset"), "")
    source = next((one.name for one in line if one.kind in ("photographs", "raw")), "")
    return DataNames(pack, dataset, source)


def text(value: Any) -> str:
    """Return a string, or an empty one if the value is not a string."""
    return value if isinstance(value, str) else ""


def number(value: Any) -> float | None:
    """Return a number, or None if the value is not a number."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def non_negative_int(value: Any) -> int | None:
    """Return a non-negative integer, or None if the value is not one."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def interval(value: Any) -> tuple[float, float] | None:
    """Return an interval, low and high, or None if the value is not one."""
    bounds = [number(bound) for bound in sequence(value)]
    if len(bounds) != 2 or bounds[0] is None or bounds[1] is None:
        return None
    return bounds[0], bounds[1]


def mapping(value: Any) -> dict[str, Any]:
    """Return a JSON object, or an empty one if the value is not an object."""
    return value if isinstance(value, dict) else {}


def sequence(value: Any) -> list[Any]:
    """Return a JSON array, or an empty one if the value is not an array."""
    return list(value) if isinstance(value, list | tuple) else []
