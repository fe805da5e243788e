"""The stage: report copies, and write the data set without those that leak."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import combinations
from pathlib import Path

from fercli.artifacts import Artifact, Input, artifact_input, link_or_copy, open_artifact, write_text
from fercli.artifacts.building import ArtifactBuilder, build
from fercli.artifacts.digests import digest_file
from fercli.artifacts.tables import write_csv
from fercli.datasets.duplicates import distinct, near_pairs, removals
from fercli.datasets.index import count, read_index, write_index
from fercli.datasets.perceptual import COMPARE_SIDE
from fercli.datasets.thumbnails import ThumbnailStore
from fercli.errors import DataError, UsageError
from fercli.progress import SILENT, Progress
from fercli.stages.base import resolve_input, resolve_output
from fercli.stages.clean.alignment import write_turned
from fercli.stages.clean.confident import check_installed
from fercli.stages.clean.config import CleanConfig
from fercli.stages.clean.face_filter import face_inputs, find_faces
from fercli.stages.clean.findings import REMOVED_COLUMNS, Findings
from fercli.stages.clean.image_scan import scan
from fercli.stages.clean.label_issues import SUSPECTED, drops
from fercli.stages.clean.out_of_fold import find_suspects
from fercli.stages.clean.page import page

REPORT = "report.json"
PAGE = "report.html"
REMOVED = "removed.csv"
SUSPECTS = "suspects.csv"


def clean(config: CleanConfig, progress: Progress = SILENT) -> Artifact:
    """Report equal, near-equal and constant images, and take out the copies that leak from one split into another.

    Test outranks validation, validation outranks train: the copy of lower rank goes, copies within one split stay
    (`fercli.datasets.duplicates.removals`). Exact copies always go, near ones and constant images on request. Kept
    images keep their file and their row. With `faces` those that show none go first of all, whatever their split; with
    `align` those tilted are written anew, their eyes level. With `report_only` the artifact is the report alone.

    With `labels`, runs tell which labels are probably wrong (`fercli.stages.clean.label_issues`). They stay, but for
    those of train with `drop_suspects`; then the rows lose their fold.

    Returns:
        A dataset with `report.json`, `report.html` and `removed.csv` in it (and `suspects.csv`), or a report.

    Raises:
        DataError: the data set is missing or damaged, or nothing of it would be left.
        UsageError: an option is wrong, or the output lies in the input.
        FerError: the detector of faces, or its weights, cannot be had.
    """
    dataset = resolve_input(config.dataset, "dataset", progress=progress)
    inputs = [artifact_input("dataset", dataset), *_runs(config), *face_inputs(config)]
    out = resolve_output(config, config.out, dataset.path, inputs, progress)
    kind = "report" if config.report_only else config.kind
    options = config.options()
    with build(out, kind, config.stage, options=options, inputs=inputs, overwrite=config.overwrite) as job:
        if job.done is None:
            found = examine(dataset, config, job.folder, progress)
            _write_report(job.folder, dataset, found, config)
            if config.report_only:
                _finish_report(job, dataset, found)
            else:
                _finish_dataset(job, dataset, found, config, progress)
    return job.artifact


def examine(dataset: Artifact, config: CleanConfig, folder: Path, progress: Progress) -> Findings:
    """Find the copies in a data set, and which of them the options take out; `folder` is on a disk with room."""
    rows = read_index(dataset)
    pictures = distinct(rows)
    with ThumbnailStore(folder, COMPARE_SIDE) as album:
        looks = scan(dataset.path, rows, pictures, album, config.workers, progress)
        near = near_pairs(looks.hashes, album, looks.lively, progress=progress)
    facing = find_faces(dataset.path, rows, pictures, config, progress) if config.faces is not None else None
    faceless = facing.faceless if facing is not None else ()
    constant = looks.constant if config.constant else ()
    removed = removals(rows, pictures, near if config.near else (), constant, faceless)
    suspects = None
    if config.labels:
        suspects = find_suspects(dataset, rows, config, progress)
        if config.drop_suspects:
            removed = dict(sorted({**drops(rows, suspects), **removed}.items()))
    if len(removed) == len(rows):
        if len(faceless) == len(rows):
            raise DataError(
                f"{dataset.path}: {config.faces} finds no face in any of its {len(rows)} images; try another"
            )
        raise DataError(f"{dataset.path}: none of its {len(rows)} images would be left; make the data set anew")
    return Findings(rows, pictures, near, looks.constant, removed, facing, suspects)


def _runs(config: CleanConfig) -> list[Input]:
    """Return the runs of `labels` as inputs.

    Raises:
        DataError: one is no run or checkpoint.
        UsageError: one is named twice.
        FerError: cleanlab is missing.
    """
    if not config.labels:
        return []
    check_installed()
    runs = [open_artifact(run, "run", "checkpoint") for run in config.labels]
    for one, other in combinations(runs, 2):
        if one.manifest.digest == other.manifest.digest:
            raise UsageError(f"labels: {one.path} and {other.path} are the same run; name each once")
    return [artifact_input("run", run) for run in runs]


def _write_report(folder: Path, dataset: Artifact, found: Findings, config: CleanConfig) -> None:
    if found.suspects:
        found.suspects.write(folder / SUSPECTS, found.rows)
    write_text(folder / REPORT, json.dumps(found.report(), indent=1) + "\n")
    write_text(folder / PAGE, page(found, dataset, config))


def _finish_report(job: ArtifactBuilder, dataset: Artifact, found: Findings) -> None:
    emotions = dataset.manifest.emotions
    job.finish(
        digest=digest_file(job.folder / REPORT),
        emotions=emotions,
        counts=count(found.rows, emotions),
        summary=found.summary(),
    )


def _finish_dataset(
    job: ArtifactBuilder, dataset: Artifact, found: Findings, config: CleanConfig, progress: Progress
) -> None:
    write_csv(job.folder / REMOVED, REMOVED_COLUMNS, found.removed_rows())
    numbers = [i for i in range(len(found.rows)) if i not in found.removed]
    turns = {i: found.facing.turns[i] for i in found.turned()} if found.facing is not None else {}
    same = [found.rows[i] for i in numbers if i not in turns]
    for folder in {(job.folder / found.rows[i].path).parent for i in numbers}:
        folder.mkdir(parents=True, exist_ok=True)
    for row in progress.track(same, "linking", len(same)):
        link_or_copy(dataset.path / row.path, job.folder / row.path)
    kept = write_turned(dataset.path, job.folder, found.rows, numbers, turns, config.workers, progress)
    if any(why.reason == SUSPECTED for why in found.removed.values()) and any(row.fold for row in kept):
        # Each fold is held out in its turn: one without what a model finds wrong would be an easier test.
        kept = [replace(row, fold="") for row in kept]
        progress.log("the folds are forgotten: they lack the suspects that were taken out of train")
    emotions = dataset.manifest.emotions
    job.finish(
        digest=write_index(job.folder, kept),
        emotions=emotions,
        counts=count(kept, emotions),
        skipped=found.removed_by_reason(),
        summary=found.summary(),
    )
