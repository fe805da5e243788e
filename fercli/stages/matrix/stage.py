"""Matrix: evaluate several checkpoints on a split of several packs."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import torch

from fercli.artifacts import Artifact, artifact_input, write_text
from fercli.artifacts.building import build
from fercli.artifacts.digests import digest_file
from fercli.artifacts.synthetic import synthetic_warning
from fercli.artifacts.tables import write_csv
from fercli.evaluation.predicting import predict_images, read_faces
from fercli.models.checkpoints import Checkpoint
from fercli.models.devices import find_device
from fercli.packs.opening import open_pack
from fercli.progress import SILENT, Progress
from fercli.runs import display_path
from fercli.sanitize import path_cell
from fercli.stages.base import resolve_output
from fercli.stages.matrix.config import MatrixConfig
from fercli.stages.matrix.inputs import read_inputs, short_names
from fercli.stages.matrix.measuring import measure_cell
from fercli.stages.matrix.page import heat_map, matrix_page
from fercli.stages.matrix.summary import MatrixCell, MatrixSummary

_COLUMNS = (
    "checkpoint", "pack", "split", "n", "left_out", "emotions", "accuracy", "accuracy_low", "accuracy_high",
    "macro_f1", "macro_f1_low", "macro_f1_high", "trained_on", "seen", "unseen_accuracy",
)  # fmt: skip


def matrix(config: MatrixConfig, progress: Progress = SILENT) -> Artifact:
    """Evaluate each checkpoint on a split of each pack.

    Raises:
        UsageError: there are no checkpoints or no packs, or one is given twice.
        DataError: an input is neither or invalid, or a pack has no such split.
    """
    checkpoints, packs = read_inputs(config.inputs)
    device = find_device(config.device)
    inputs = [*(one.as_input() for one in checkpoints), *(artifact_input("pack", pack) for pack in packs)]
    out = resolve_output(config, config.out, display_path(checkpoints[0].path), inputs, progress)
    with build(
        out, config.kind, config.stage, options=config.options(), inputs=inputs, overwrite=config.overwrite
    ) as builder:
        if builder.done:
            return builder.done
        cells = _measure(config, checkpoints, packs, device, progress)
        summary = MatrixSummary(
            split=config.split,
            tta=config.tta,
            checkpoints=list(dict.fromkeys(cell.checkpoint for cell in cells)),
            packs=list(dict.fromkeys(cell.pack for cell in cells)),
            cells=cells,
        )
        write_text(builder.folder / "matrix.json", json.dumps(dict(summary), indent=1) + "\n")
        _write_table(builder.folder / "matrix.csv", summary)
        picture = heat_map(summary)
        (builder.folder / "matrix.png").write_bytes(picture)
        page = matrix_page(summary, picture, checkpoints, packs, builder.manifest.command, str(device))
        write_text(builder.folder / "report.html", page)
        builder.finish(digest=digest_file(builder.folder / "matrix.csv"), summary=summary, device=str(device))
    return builder.artifact


def _measure(
    config: MatrixConfig, checkpoints: list[Checkpoint], packs: list[Artifact], device: torch.device, progress: Progress
) -> list[MatrixCell]:
    """Return the cells, row by row; every pack is read once."""
    rows = short_names([display_path(one.path) for one in checkpoints])
    columns = short_names([one.path for one in packs])
    found: list[list[MatrixCell]] = [[] for _ in checkpoints]
    opened = [open_pack(pack) for pack in packs]
    faces = [read_faces(info, config.split) for info in opened]  # errors of any pack before the first prediction
    with progress.task("evaluating", len(checkpoints) * sum(len(one.labels) for one in faces)):
        for row, checkpoint in enumerate(checkpoints):
            predict = partial(
                predict_images,
                checkpoint,
                device=device,
                tta=config.tta,
                batch_size=config.batch_size,
                advance=progress.advance,
            )
            for column, pack in enumerate(packs):
                name = display_path(checkpoint.path)
                if note := synthetic_warning(name, checkpoint.metadata.drawn_faces, pack.path):
                    progress.log(note)
                names = (rows[row], columns[column])
                found[row].append(measure_cell(checkpoint, opened[column], faces[column], names, predict))
            checkpoint.model.cpu()  # only one on the device at a time
    return [cell for line in found for cell in line]


def _write_table(file: Path, summary: MatrixSummary) -> None:
    """Write matrix.csv: one row per checkpoint and pack; unknown and undefined values are empty."""
    rows = (
        [
            path_cell(cell.checkpoint), path_cell(cell.pack), summary.split, cell.n, cell.left_out,
            " ".join(cell.emotions), _number(cell.accuracy), *map(_number, cell.accuracy_interval),
            _number(cell.macro_f1), *map(_number, cell.macro_f1_interval),
            "" if cell.trained_on is None else cell.trained_on, "" if cell.seen is None else cell.seen,
            _number(cell.unseen_accuracy),
        ]
        for cell in summary.cells
    )  # fmt: skip
    write_csv(file, _COLUMNS, rows)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"
