"""Clean: report duplicates, and write the dataset without those that leak."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import combinations
from pathlib import Path

from fercli.artifacts import Artifact, Input, artifact_input, link_or_copy, open_artifact, write_text
from fercli.artifacts.building import ArtifactBuilder, build
from fercli.artifacts.digests import digest_file
from fercli.artifacts.staging import clear, discard
from fercli.artifacts.tables import write_csv
from fercli.datasets.duplicates import distinct, near_pairs, removals
from fercli.datasets.index import count, read_index, write_index
from fercli.errors import DataError, FerError, UsageError
from fercli.hub.fetching import located
from fercli.progress import SILENT, Progress
from fercli.runs import display_path, with_fold_runs
from fercli.stages.base import resolve_input, resolve_output
from fercli.stages.clean.alignment import write_turned
from fercli.stages.clean.confident import check_installed
from fercli.stages.clean.config import CleanConfig
from fercli.stages.clean.face_filter import face_inputs, find_faces
from fercli.stages.clean.findings import REMOVED_COLUMNS, Findings
from fercli.stages.clean.image_scan import SCAN_FILES, scan
from fercli.stages.clean.label_issues import LABEL_ISSUE, drops
from fercli.stages.clean.out_of_fold import examine_labels
from fercli.stages.clean.page import page

REPORT = "report.json"
PAGE = "report.html"
REMOVED = "removed.csv"
LABEL_ISSUES = "label_issues.csv"


def clean(config: CleanConfig, progress: Progress = SILENT) -> Artifact:
    """Report duplicates and constant images, and remove copies that leak from one split into another.

    Test outranks validation, validation outranks train: the copy in the lower split is removed, and copies within one
    split are kept (`fercli.datasets.duplicates.removals`). Exact copies are always removed, near copies and constant
    images on request. The remaining images keep their file and row. With `faces`, images without a face are removed
    first, in all splits; with `align`, tilted faces are rotated upright. With `report_only` only the report is written.

    With `labels`, runs find labels that are probably wrong (`fercli.stages.clean.label_issues`). They are kept, except
    in train with `drop_label_issues`, which also clears the folds.

    Returns:
        A dataset with `report.json`, `report.html` and `removed.csv` (and `label_issues.csv`), or a report.

    Raises:
        DataError: the dataset is missing or damaged, or no image would be left.
        UsageError: an option is wrong, or the output is inside the input.
        FerError: the face detector or its weights are not available.
    """
    dataset = resolve_input(config.dataset, "dataset", progress=progress)
    config = config.model_copy(update={"labels": with_fold_runs(map(located, config.labels))})
    inputs = [artifact_input("dataset", dataset), *_runs(config), *face_inputs(config)]
    out = resolve_output(config, config.out, dataset.path, inputs, progress)
    kind = "report" if config.report_only else config.kind
    options = config.options()
    with build(
        out, kind, config.stage, options=options, inputs=inputs, overwrite=config.overwrite, resumable=True
    ) as builder:
        if builder.done is None:
            clear(builder.folder, *SCAN_FILES)
            try:
                _clean(builder, dataset, config, progress)
            except FerError:
                discard(builder.folder)  # another call would fail again
                raise
    return builder.artifact


def _clean(builder: ArtifactBuilder, dataset: Artifact, config: CleanConfig, progress: Progress) -> None:
    """Write the dataset or the report into the partial's folder."""
    found = examine(dataset, config, builder.folder, progress)
    _write_report(builder.folder, dataset, found, config)
    if config.report_only:
        _finish_report(builder, dataset, found)
    else:
        _finish_dataset(builder, dataset, found, config, progress)
    for name in SCAN_FILES:
        (builder.folder / name).unlink()


def examine(dataset: Artifact, config: CleanConfig, folder: Path, progress: Progress) -> Findings:
    """Find the duplicates in a dataset and select those to remove; the scan's files go to `folder`."""
    rows = read_index(dataset)
    pictures = distinct(rows)
    with scan(dataset.path, rows, pictures, folder, config.workers, progress) as scanned:
        near = near_pairs(scanned.hashes, scanned.thumbnails, scanned.has_contrast, progress=progress)
    faces = find_faces(dataset.path, rows, pictures, config, progress) if config.detector is not None else None
    faceless = faces.faceless if faces is not None else ()
    constant = scanned.constant if config.constant else ()
    removed = removals(rows, pictures, near if config.near else (), constant, faceless)
    label_issues = None
    if config.labels:
        label_issues = examine_labels(dataset, rows, config, progress)
        if config.drop_label_issues:
            removed = dict(sorted({**drops(rows, label_issues), **removed}.items()))
    if len(removed) == len(rows):
        if len(faceless) == len(rows):
            raise DataError(
                f"{dataset.path}: {config.detector} finds no face in any of the {len(rows)} images; use another one"
            )
        raise DataError(f"{dataset.path}: none of its {len(rows)} images would be left; re-create the dataset")
    return Findings(rows, pictures, near, scanned.constant, removed, faces, label_issues)


def _runs(config: CleanConfig) -> list[Input]:
    """Return the runs of `labels` as inputs.

    Raises:
        DataError: an input is not a run or checkpoint.
        UsageError: a run is given twice.
        FerError: cleanlab is not installed.
    """
    if not config.labels:
        return []
    check_installed()
    runs = [open_artifact(run, "run", "checkpoint") for run in config.labels]
    for one, other in combinations(runs, 2):
        if one.manifest.digest == other.manifest.digest:
            names = f"{display_path(one.path)} and {display_path(other.path)}"
            raise UsageError(f"labels: {names} are the same run; give each run once")
    return [artifact_input("run", run) for run in runs]


def _write_report(folder: Path, dataset: Artifact, found: Findings, config: CleanConfig) -> None:
    if found.label_issues:
        found.label_issues.write(folder / LABEL_ISSUES, found.rows)
    write_text(folder / REPORT, json.dumps(found.report(), indent=1) + "\n")
    write_text(folder / PAGE, page(found, dataset, config))


def _finish_report(builder: ArtifactBuilder, dataset: Artifact, found: Findings) -> None:
    emotions = dataset.manifest.emotions
    builder.finish(
        digest=digest_file(builder.folder / REPORT),
        emotions=emotions,
        counts=count(found.rows, emotions),
        summary=found.summary(),
    )


def _finish_dataset(
    builder: ArtifactBuilder, dataset: Artifact, found: Findings, config: CleanConfig, progress: Progress
) -> None:
    write_csv(builder.folder / REMOVED, REMOVED_COLUMNS, found.removed_rows())
    numbers = [i for i in range(len(found.rows)) if i not in found.removed]
    turns = {i: found.faces.turns[i] for i in found.turned()} if found.faces is not None else {}
    same = [found.rows[i] for i in numbers if i not in turns]
    for folder in {(builder.folder / found.rows[i].path).parent for i in numbers}:
        folder.mkdir(parents=True, exist_ok=True)
    for row in progress.track(same, "linking", len(same)):
        link_or_copy(dataset.path / row.path, builder.folder / row.path)
    kept = write_turned(dataset.path, builder.folder, found.rows, numbers, turns, config.workers, progress)
    if any(why.reason == LABEL_ISSUE for why in found.removed.values()) and any(row.fold for row in kept):
        # Each fold serves as a test set once: removing label issues would make it an easier one.
        kept = [replace(row, fold="") for row in kept]
        progress.log("folds cleared: they lack the label issues removed from train")
    emotions = dataset.manifest.emotions
    builder.finish(
        digest=write_index(builder.folder, kept),
        emotions=emotions,
        counts=count(kept, emotions),
        skipped=found.removed_by_reason(),
        summary=found.summary(),
    )
