"""The figures by which people know a run or an evaluation: model, seed, data, split, n, accuracy, macro F1, epoch.

They are read from manifests, which may come from strangers: what is not of the type it should be is left out.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fercli.artifacts import Artifact, Input, artifact_input, open_artifact
from fercli.artifacts.lineage import ancestors, display_name
from fercli.errors import FerError


@dataclass(frozen=True)
class DataNames:
    """What was measured on, by name.

    Attributes:
        pack: The pack.
        dataset: The data set that the pack was made of.
        source: What that goes back to: photographs, or a published data set.
    """

    pack: str = ""
    dataset: str = ""
    source: str = ""


@dataclass(frozen=True)
class KeyFigures:
    """What is known of a model and what was measured; empty or None where it is not.

    Attributes:
        model: The architecture; an ensemble's members, as `2 x quick + resnet18`.
        seeds: The seed of its training; of an ensemble each member's.
        data: What was measured on.
        split: The split that was measured on.
        n: Its images.
        accuracy: Share of the images that were right, 0..1.
        interval: The accuracy's 95 % interval, low and high.
        macro_f1: Mean F1 over the emotions that occur, 0..1.
        averaged_over: How many emotions occur in the split.
        best_epoch: The epoch of the checkpoint, from 1.
        epochs: How many epochs were trained.
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


def key_figures(artifact: Artifact) -> KeyFigures:
    """Return the figures of a run, a checkpoint or an evaluation; of another kind none."""
    found = _KINDS.get(artifact.manifest.kind)
    return found(artifact) if found else KeyFigures()


def _of_run(run: Artifact) -> KeyFigures:
    m = run.manifest
    figures = mapping(m.summary.get("validation"))
    return KeyFigures(
        model=text(m.summary.get("model")),
        seeds=() if m.seed is None else (m.seed,),
        data=_data(_pack_of(run)),
        split="validation" if figures else "",
        n=whole(figures.get("n")),
        accuracy=number(figures.get("accuracy")),
        interval=interval(figures.get("accuracy_interval")),
        macro_f1=number(figures.get("macro_f1")),
        averaged_over=_occurring(run, "validation"),
        best_epoch=whole(m.summary.get("best_epoch")),
        epochs=whole(m.summary.get("epochs")),
    )


def _of_checkpoint(checkpoint: Artifact) -> KeyFigures:
    s = checkpoint.manifest.summary
    figures = mapping(s.get("validation"))
    return KeyFigures(
        model=text(s.get("architecture")),
        seeds=tuple(_seeds([checkpoint.path])),
        data=_data(_pack_of(checkpoint)),
        split="validation" if figures else "",
        accuracy=number(figures.get("validation_accuracy")),
        macro_f1=number(figures.get("validation_macro_f1")),
        best_epoch=whole(s.get("epoch")),
    )


def _of_evaluation(evaluation: Artifact) -> KeyFigures:
    s, origin = evaluation.summary, mapping(evaluation.manifest.details.get("origin"))
    split = text(s.get("split"))
    members = [one for one in ancestors(evaluation) if one.depth == 1 and one.kind == "checkpoint"]
    models = [text(one.manifest.summary.get("architecture")) for one in members if one.manifest]
    # Where what it was made from is gone or has moved, there is what was noted when it was made.
    told = [text(mapping(member).get("architecture")) for member in sequence(s.get("members"))]
    model = text(origin.get("model")) or joined(filter(None, models)) or joined(filter(None, told))
    seeds = tuple(seed for seed in sequence(origin.get("seeds")) if whole(seed) is not None)
    data = _data(_pack_of(evaluation))
    epoch = whole(members[0].manifest.summary.get("epoch")) if len(members) == 1 and members[0].manifest else None
    return KeyFigures(
        model=model,
        seeds=seeds or tuple(_seeds([one.path for one in members])),
        data=DataNames(
            data.pack or text(origin.get("pack")),
            data.dataset or text(origin.get("dataset")),
            data.source or text(origin.get("source")),
        ),
        split=split,
        n=whole(s.get("n")),
        accuracy=number(s.get("accuracy")),
        interval=interval(s.get("accuracy_interval")),
        macro_f1=number(s.get("macro_f1")),
        averaged_over=_occurring(evaluation, split),
        best_epoch=epoch,
    )


_KINDS = {"run": _of_run, "checkpoint": _of_checkpoint, "evaluation": _of_evaluation}


def origin_of(models: Sequence[str], checkpoints: Sequence[Path], pack: Artifact) -> dict[str, Any]:
    """Return what an evaluation's manifest keeps of where its figures come from, should that move or go."""
    data = _data((artifact_input("pack", pack), pack.path))
    return {"model": joined(models), "seeds": list(_seeds(checkpoints)), **asdict(data)}


def joined(models: Any) -> str:
    """Return several models' names as one, as `2 x quick + resnet18`."""
    return " + ".join(name if n == 1 else f"{n} x {name}" for name, n in Counter(models).items())


def _seeds(checkpoints: Sequence[Path]) -> Iterator[int]:
    """Yield the seeds of the trainings whose runs checkpoints are in."""
    for path in checkpoints:
        try:
            seed = open_artifact(path.parent, "run").manifest.seed
        except FerError:
            continue
        if seed is not None:
            yield seed


def _pack_of(artifact: Artifact) -> tuple[Input, Path] | None:
    """Return the pack among an artifact's inputs, and where it was."""
    for item in artifact.manifest.inputs:
        if item.kind == "pack":
            return item, Path(os.path.normpath(artifact.path.resolve() / item.path))
    return None


def _occurring(artifact: Artifact, split: str) -> int | None:
    """Return how many emotions occur in a split, by the counts of an artifact."""
    counts = artifact.manifest.counts.get(split)
    return None if counts is None else sum(1 for images in counts.values() if images)


def _data(pack: tuple[Input, Path] | None) -> DataNames:
    """Return the names of a pack, of the data set it was made of, and of what that goes back to."""
    if pack is None:
        return DataNames()
    item, path = pack
    try:
        artifact = open_artifact(path, "pack")
    except FerError:
        return DataNames(display_name(path))
    if artifact.manifest.digest != item.digest:
        return DataNames(display_name(path))
    line = ancestors(artifact)
    dataset = next((one.name for one in line if one.kind == "dataset"), "")
    source = next((one.name for one in line if one.kind in ("photographs", "raw")), "")
    return DataNames(display_name(path), dataset, source)


def text(value: Any) -> str:
    """Return a text, or an empty one where it is none."""
    return value if isinstance(value, str) else ""


def number(value: Any) -> float | None:
    """Return a number, or None where it is none."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def whole(value: Any) -> int | None:
    """Return a whole number that counts something, or None where it is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def interval(value: Any) -> tuple[float, float] | None:
    """Return an interval, low and high, or None where it is none."""
    bounds = [number(bound) for bound in sequence(value)]
    if len(bounds) != 2 or bounds[0] is None or bounds[1] is None:
        return None
    return bounds[0], bounds[1]


def mapping(value: Any) -> dict[str, Any]:
    """Return an object of JSON, or an empty one where it is none."""
    return value if isinstance(value, dict) else {}


def sequence(value: Any) -> list[Any]:
    """Return a list of JSON, or an empty one where it is none."""
    return list(value) if isinstance(value, list | tuple) else []
